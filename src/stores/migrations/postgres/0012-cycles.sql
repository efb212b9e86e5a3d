-- What a Cycles budget has beside its amounts; NULL for accounts that no Cycles client made.
ALTER TABLE accounts ADD COLUMN terms json;

-- What an event concerns, and the request that it came of. `about` is what no query looks for.
ALTER TABLE events ADD COLUMN scope text COLLATE "C";
ALTER TABLE events ADD COLUMN request_id text COLLATE "C";
ALTER TABLE events ADD COLUMN trace_id text COLLATE "C";
ALTER TABLE events ADD COLUMN correlation_id text COLLATE "C";
ALTER TABLE events ADD COLUMN about json;

ALTER TABLE audit ADD COLUMN trace_id text COLLATE "C";
ALTER TABLE audit ADD COLUMN source_ip text COLLATE "C";
ALTER TABLE audit ADD COLUMN user_agent text COLLATE "C";

CREATE TABLE policies (
  id text COLLATE "C" PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  body json NOT NULL
);
CREATE INDEX policies_of_tenant ON policies (tenant_id, id);

CREATE TABLE webhooks (
  id text COLLATE "C" PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  body json NOT NULL
);
CREATE INDEX webhooks_of_tenant ON webhooks (tenant_id, id);
