-- Which customer of the payment service a tenant is, under the tenant's id.
CREATE TABLE billing_customers (
  id text COLLATE "C" PRIMARY KEY,
  body json NOT NULL
);

-- How much of a tenant's usage the payment service was told of, under the tenant's id.
CREATE TABLE usage_meters (
  id text COLLATE "C" PRIMARY KEY,
  body json NOT NULL
);

-- Payments that were taken, under the ids that the payment service gave them: each is credited once.
CREATE TABLE payments (
  id text COLLATE "C" PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  body json NOT NULL
);
