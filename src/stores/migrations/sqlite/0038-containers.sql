-- Applications that are deployed, or were: an id is a tenant's own.
CREATE TABLE containers (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX containers_of_tenant ON containers (tenant_id, id);

-- What a tenant's containers must know of each other, under the tenant's id.
CREATE TABLE container_rosters (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Who alone does a work of the whole server, and until when.
CREATE TABLE leases (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
