-- Which customer of the payment service a tenant is, under the tenant's id.
CREATE TABLE billing_customers (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- How much of a tenant's usage the payment service was told of, under the tenant's id.
CREATE TABLE usage_meters (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Payments that were taken, under the ids that the payment service gave them: each is credited once.
CREATE TABLE payments (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
