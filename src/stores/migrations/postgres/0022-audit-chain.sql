-- The trail of each tenant is a chain: a row's place in it, the hash of the row before, and its own. Rows from before this have none; the
-- first link of a tenant's chain is over them.
ALTER TABLE audit ADD COLUMN no bigint;
ALTER TABLE audit ADD COLUMN previous text COLLATE "C";
ALTER TABLE audit ADD COLUMN hash text COLLATE "C";

-- Where each chain ends, and where it begins once older rows were forgotten (`pruned_no` NULL: none were).
CREATE TABLE audit_heads (
  tenant_id text COLLATE "C" PRIMARY KEY,
  no bigint NOT NULL,
  hash text COLLATE "C" NOT NULL,
  pruned_no bigint,
  pruned_hash text COLLATE "C"
);
