-- Public keys that open shells in debug containers: an id is tenant and name.
CREATE TABLE ssh_keys (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;

CREATE INDEX ssh_keys_by_tenant ON ssh_keys (tenant_id, id);
