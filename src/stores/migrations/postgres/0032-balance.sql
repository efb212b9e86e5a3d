-- What a USD is worth in other currencies, and what was paid into prepaid balances.

CREATE TABLE exchange_rates (
  id text COLLATE "C" PRIMARY KEY,
  body json NOT NULL
);

CREATE TABLE balance_credits (
  id text COLLATE "C" PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  body json NOT NULL
);
-- A page of a tenant's credits: ids sort by time.
CREATE INDEX balance_credits_of_tenant ON balance_credits (tenant_id, id);

-- What a call took from a prepaid balance: micro-cents of that currency, by that many nano-units for a USD. Empty and 0: from none.
ALTER TABLE usage_tail ADD COLUMN debit_currency text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE usage_tail ADD COLUMN debit_per_usd_nanos bigint NOT NULL DEFAULT 0
  CONSTRAINT usage_debit_rates_not_negative CHECK (debit_per_usd_nanos >= 0);
ALTER TABLE usage_tail ADD COLUMN debit_microcents bigint NOT NULL DEFAULT 0
  CONSTRAINT usage_debits_not_negative CHECK (debit_microcents >= 0);
ALTER TABLE usage_events ADD COLUMN debit_currency text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE usage_events ADD COLUMN debit_per_usd_nanos bigint NOT NULL DEFAULT 0
  CONSTRAINT usage_debit_rates_not_negative CHECK (debit_per_usd_nanos >= 0);
ALTER TABLE usage_events ADD COLUMN debit_microcents bigint NOT NULL DEFAULT 0
  CONSTRAINT usage_debits_not_negative CHECK (debit_microcents >= 0);
