-- Applications that are deployed, or were: an id is a tenant's own.
CREATE TABLE containers (
  id text COLLATE "C" PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  body json NOT NULL
);

CREATE INDEX containers_of_tenant ON containers (tenant_id, id);

-- What a tenant's containers must know of each other, under the tenant's id.
CREATE TABLE container_rosters (
  id text COLLATE "C" PRIMARY KEY,
  body json NOT NULL
);

-- Who alone does a work of the whole server, and until when.
CREATE TABLE leases (
  id text COLLATE "C" PRIMARY KEY,
  body json NOT NULL
);
