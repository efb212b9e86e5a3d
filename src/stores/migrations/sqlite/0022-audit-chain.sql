-- The trail of each tenant is a chain: a row's place in it, the hash of the row before, and its own. Rows from before this have none; the
-- first link of a tenant's chain is over them.
ALTER TABLE audit ADD COLUMN no INTEGER;
ALTER TABLE audit ADD COLUMN previous TEXT;
ALTER TABLE audit ADD COLUMN hash TEXT;
CREATE UNIQUE INDEX audit_chain ON audit (tenant_id, no) WHERE no IS NOT NULL;

-- Where each chain ends, and where it begins once older rows were forgotten (`pruned_no` NULL: none were).
CREATE TABLE audit_heads (
  tenant_id TEXT PRIMARY KEY,
  no INTEGER NOT NULL,
  hash TEXT NOT NULL,
  pruned_no INTEGER,
  pruned_hash TEXT
) STRICT, WITHOUT ROWID;
