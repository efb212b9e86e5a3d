-- What seals a tenant's values, under the tenant's id; itself sealed by the master key.
CREATE TABLE tenant_keys (
  id text COLLATE "C" PRIMARY KEY,
  body json NOT NULL
);

-- Values for containers: an id is tenant and name.
CREATE TABLE secrets (
  id text COLLATE "C" PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  body json NOT NULL
);

CREATE INDEX secrets_by_tenant ON secrets (tenant_id, id);

-- What opens a registry: an id is tenant and registry.
CREATE TABLE registry_credentials (
  id text COLLATE "C" PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  body json NOT NULL
);

CREATE INDEX registry_credentials_by_tenant ON registry_credentials (tenant_id, id);
