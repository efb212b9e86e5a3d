-- What seals a tenant's values, under the tenant's id; itself sealed by the master key.
CREATE TABLE tenant_keys (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Values for containers: an id is tenant and name.
CREATE TABLE secrets (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;

CREATE INDEX secrets_by_tenant ON secrets (tenant_id, id);

-- What opens a registry: an id is tenant and registry.
CREATE TABLE registry_credentials (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;

CREATE INDEX registry_credentials_by_tenant ON registry_credentials (tenant_id, id);
