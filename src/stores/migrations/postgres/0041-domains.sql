-- Names of tenants' own for containers: an id is tenant and domain.
CREATE TABLE domains (
  id text COLLATE "C" PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  body json NOT NULL
);

CREATE INDEX domains_of_tenant ON domains (tenant_id, id);

-- The one tenant that may have a domain verified, under the domain.
CREATE TABLE domain_claims (
  id text COLLATE "C" PRIMARY KEY,
  body json NOT NULL
);
