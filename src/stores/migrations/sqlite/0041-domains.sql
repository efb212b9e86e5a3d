-- Names of tenants' own for containers: an id is tenant and domain.
CREATE TABLE domains (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX domains_of_tenant ON domains (tenant_id, id);

-- The one tenant that may have a domain verified, under the domain.
CREATE TABLE domain_claims (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
