-- What a USD is worth in other currencies, and what was paid into prepaid balances.

CREATE TABLE exchange_rates (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE balance_credits (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- A page of a tenant's credits: ids sort by time.
CREATE INDEX balance_credits_of_tenant ON balance_credits (tenant_id, id);

-- What a call took from a prepaid balance: micro-cents of that currency, by that many nano-units for a USD. Empty and 0: from none.
ALTER TABLE usage_tail ADD COLUMN debit_currency TEXT NOT NULL DEFAULT '';
ALTER TABLE usage_tail ADD COLUMN debit_per_usd_nanos INTEGER NOT NULL DEFAULT 0 CHECK (debit_per_usd_nanos >= 0);
ALTER TABLE usage_tail ADD COLUMN debit_microcents INTEGER NOT NULL DEFAULT 0 CHECK (debit_microcents >= 0);
ALTER TABLE usage_events ADD COLUMN debit_currency TEXT NOT NULL DEFAULT '';
ALTER TABLE usage_events ADD COLUMN debit_per_usd_nanos INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_events ADD COLUMN debit_microcents INTEGER NOT NULL DEFAULT 0;
