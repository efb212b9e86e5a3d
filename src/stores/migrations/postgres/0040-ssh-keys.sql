-- Public keys that open shells in debug containers: an id is tenant and name.
CREATE TABLE ssh_keys (
  id text COLLATE "C" PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  body json NOT NULL
);

CREATE INDEX ssh_keys_by_tenant ON ssh_keys (tenant_id, id);
