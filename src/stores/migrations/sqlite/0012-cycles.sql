-- What a Cycles budget has beside its amounts, as JSON; NULL for accounts that no Cycles client made.
ALTER TABLE accounts ADD COLUMN terms TEXT;

-- What an event concerns, and the request that it came of. `about` is what no query looks for, as JSON.
ALTER TABLE events ADD COLUMN scope TEXT;
ALTER TABLE events ADD COLUMN request_id TEXT;
ALTER TABLE events ADD COLUMN trace_id TEXT;
ALTER TABLE events ADD COLUMN correlation_id TEXT;
ALTER TABLE events ADD COLUMN about TEXT;

ALTER TABLE audit ADD COLUMN trace_id TEXT;
ALTER TABLE audit ADD COLUMN source_ip TEXT;
ALTER TABLE audit ADD COLUMN user_agent TEXT;

CREATE TABLE policies (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX policies_of_tenant ON policies (tenant_id, id);

CREATE TABLE webhooks (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX webhooks_of_tenant ON webhooks (tenant_id, id);
