-- The whole first schema: records, the ledger, usage, events, audit, and what the store needs for itself.
--
-- Text that identifies or orders is compared byte for byte (COLLATE "C"), whatever the locale of the database. Bodies are `json`, not
-- `jsonb`: it keeps the text as it was written (key order, escapes such as \u0000), so a replayed answer is the original one.
-- Moments and lengths are milliseconds, amounts are in the account's unit.

-- Records. `body` is the record; other columns exist only where a query looks for them.

CREATE TABLE tenants (
  id text COLLATE "C" PRIMARY KEY,
  body json NOT NULL
);

CREATE TABLE members (
  id text COLLATE "C" PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  body json NOT NULL
);
CREATE INDEX members_of_tenant ON members (tenant_id, id);

CREATE TABLE api_keys (
  id text COLLATE "C" PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  hash text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  created_at_ms bigint NOT NULL,
  deleted_at_ms bigint,
  body json NOT NULL
);
CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash) WHERE deleted_at_ms IS NULL;
CREATE INDEX api_keys_of_tenant ON api_keys (tenant_id, id) WHERE deleted_at_ms IS NULL;

CREATE TABLE upstreams (
  id text COLLATE "C" PRIMARY KEY,
  body json NOT NULL
);

CREATE TABLE models (
  id text COLLATE "C" PRIMARY KEY,
  body json NOT NULL
);

CREATE TABLE prices (
  id text COLLATE "C" PRIMARY KEY,
  model_id text COLLATE "C" NOT NULL,
  body json NOT NULL
);

CREATE TABLE settings (
  id text COLLATE "C" PRIMARY KEY,
  body json NOT NULL
);

-- The ledger. Half of each page of accounts stays free, so that the new version of a busy row finds room beside the old one and no
-- index is touched.

CREATE TABLE accounts (
  no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  scope text COLLATE "C" NOT NULL,
  unit text COLLATE "C" NOT NULL,
  period text COLLATE "C" NOT NULL,
  allocated bigint,
  spent bigint NOT NULL,
  reserved bigint NOT NULL,
  debt bigint NOT NULL,
  overdraft_limit bigint NOT NULL,
  is_over_limit boolean NOT NULL,
  status text COLLATE "C" NOT NULL,
  overage_policy text COLLATE "C",
  created_at_ms bigint NOT NULL,
  -- For verification: of the account's terms, and of its lines in the journal.
  terms_sum bigint NOT NULL,
  journal_sum bigint NOT NULL,
  -- In one piece: the server reads the text of each constraint anew for every statement that updates.
  CONSTRAINT accounts_sound CHECK (
    spent >= 0 AND reserved >= 0 AND debt >= 0
    AND kind IN ('budget', 'key_cap', 'window', 'balance') AND status IN ('ACTIVE', 'FROZEN', 'CLOSED')
  )
) WITH (fillfactor = 50);
-- The account's id. No part holds a bar, so it is unique exactly when the five parts are.
CREATE UNIQUE INDEX accounts_id ON accounts ((tenant_id || '|' || kind || '|' || scope || '|' || unit || '|' || period));

-- Read from end to end (verification) or by ranges of `seq`, never by one number: block ranges do, and cost nothing to append to.
CREATE TABLE ledger_entries (
  seq bigint GENERATED ALWAYS AS IDENTITY,
  account_no bigint NOT NULL,
  command text COLLATE "C" NOT NULL,
  verb text COLLATE "C" NOT NULL,
  d_allocated bigint NOT NULL,
  d_spent bigint NOT NULL,
  d_reserved bigint NOT NULL,
  d_debt bigint NOT NULL,
  at_ms bigint NOT NULL
);

CREATE INDEX ledger_entries_seq ON ledger_entries USING brin (seq) WITH (autosummarize = on);

CREATE FUNCTION refuse_journal_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'ledger_entries is append-only: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE ON ledger_entries
  FOR EACH ROW EXECUTE FUNCTION refuse_journal_change();
CREATE TRIGGER ledger_entries_no_truncate BEFORE TRUNCATE ON ledger_entries
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_journal_change();

-- `legs` is [[account number, "amount"], ...]; `charged` is ["amount", ...] in the same order, null until the settlement.
CREATE TABLE reservations (
  id text COLLATE "C" PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  purpose text COLLATE "C" NOT NULL,
  state text COLLATE "C" NOT NULL,
  legs json NOT NULL,
  charged json,
  overage_policy text COLLATE "C" NOT NULL,
  created_at_ms bigint NOT NULL,
  expires_at_ms bigint NOT NULL,
  grace_ms bigint NOT NULL,
  extensions bigint NOT NULL,
  max_extensions bigint NOT NULL,
  finalized_at_ms bigint,
  settled_at_ms bigint,
  owner_id text COLLATE "C" NOT NULL,
  context json NOT NULL,
  checkpoint json,
  CONSTRAINT reservations_sound CHECK (
    purpose IN ('call', 'budget') AND state IN ('ACTIVE', 'COMMITTED', 'RELEASED', 'EXPIRED')
  )
) WITH (fillfactor = 80);
-- A settled reservation is in none of the two, so settling one touches the primary key alone.
CREATE INDEX reservations_expiry ON reservations ((expires_at_ms + grace_ms), id) WHERE state = 'ACTIVE';
CREATE INDEX reservations_uncharged ON reservations (id) WHERE state = 'EXPIRED' AND settled_at_ms IS NULL;

CREATE TABLE idempotency (
  tenant_id text COLLATE "C" NOT NULL,
  operation text COLLATE "C" NOT NULL,
  target text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  hash text COLLATE "C" NOT NULL,
  answer json NOT NULL,
  expires_at_ms bigint NOT NULL,
  PRIMARY KEY (tenant_id, operation, target, key)
);
CREATE INDEX idempotency_expiry ON idempotency USING brin (expires_at_ms) WITH (pages_per_range = 32, autosummarize = on);

-- Usage. A batch appends to the tail; the fold moves it to the events and adds it to the rollups.

CREATE TABLE usage_tail (
  id text COLLATE "C" PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  key_id text COLLATE "C" NOT NULL,
  model text COLLATE "C" NOT NULL,
  upstream_id text COLLATE "C" NOT NULL,
  price_id text COLLATE "C" NOT NULL,
  route text COLLATE "C" NOT NULL,
  at_ms bigint NOT NULL,
  held_at_ms bigint NOT NULL,
  requests bigint NOT NULL,
  prompt_tokens bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  cached_prompt_tokens bigint NOT NULL,
  reasoning_tokens bigint NOT NULL,
  cost_nano_usd bigint NOT NULL,
  charge_microcents bigint NOT NULL,
  streaming boolean NOT NULL,
  estimated boolean NOT NULL,
  interrupted boolean NOT NULL,
  CONSTRAINT usage_not_negative CHECK (
    requests >= 0 AND prompt_tokens >= 0 AND completion_tokens >= 0 AND cached_prompt_tokens >= 0 AND reasoning_tokens >= 0
    AND cost_nano_usd >= 0 AND charge_microcents >= 0
  )
);

CREATE TABLE usage_events (LIKE usage_tail INCLUDING ALL);

-- A call is counted once: an event in the tail is unique by its key, one that was folded is refused here.
CREATE FUNCTION refuse_folded_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM added JOIN usage_events USING (id)) THEN
    RAISE EXCEPTION 'a usage event was folded already' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER usage_tail_folded AFTER INSERT ON usage_tail REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_folded_usage();

CREATE INDEX usage_events_of_tenant ON usage_events (tenant_id, at_ms DESC, id DESC);
CREATE INDEX usage_events_age ON usage_events USING brin (at_ms) WITH (pages_per_range = 32, autosummarize = on);

CREATE TABLE usage_rollups (
  tenant_id text COLLATE "C" NOT NULL,
  level_ms bigint NOT NULL,
  bucket_ms bigint NOT NULL,
  key_id text COLLATE "C" NOT NULL,
  model text COLLATE "C" NOT NULL,
  requests bigint NOT NULL,
  prompt_tokens bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  cached_prompt_tokens bigint NOT NULL,
  cost_nano_usd bigint NOT NULL,
  charge_microcents bigint NOT NULL,
  last_at_ms bigint NOT NULL,
  PRIMARY KEY (tenant_id, level_ms, bucket_ms, key_id, model)
) WITH (fillfactor = 70);
-- For forgetting old buckets; the levels kept for ever are left out.
CREATE INDEX usage_rollups_age ON usage_rollups (level_ms, bucket_ms) WHERE level_ms > 0 AND level_ms < 86400000;

-- Events wait here, written with their cause, until they are delivered.

CREATE TABLE events (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text COLLATE "C" NOT NULL UNIQUE,
  type text COLLATE "C" NOT NULL,
  tenant_id text COLLATE "C" NOT NULL,
  at_ms bigint NOT NULL,
  data json NOT NULL,
  delivered_at_ms bigint
);
CREATE INDEX events_undelivered ON events (seq) WHERE delivered_at_ms IS NULL;

CREATE TABLE audit (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text COLLATE "C" NOT NULL UNIQUE,
  tenant_id text COLLATE "C" NOT NULL,
  at_ms bigint NOT NULL,
  operation text COLLATE "C" NOT NULL,
  actor_kind text COLLATE "C" NOT NULL,
  actor_id text COLLATE "C" NOT NULL,
  resource_kind text COLLATE "C" NOT NULL,
  resource_id text COLLATE "C" NOT NULL,
  request_id text COLLATE "C" NOT NULL,
  code text COLLATE "C",
  metadata json NOT NULL
);
CREATE INDEX audit_of_tenant ON audit (tenant_id, seq);

-- The store's own. A batch that writes leaves its id, by which a lost answer to COMMIT is resolved.

CREATE TABLE batches (
  id text COLLATE "C" PRIMARY KEY,
  at_ms bigint NOT NULL
);
CREATE INDEX batches_age ON batches USING brin (at_ms) WITH (pages_per_range = 32, autosummarize = on);

CREATE TABLE generation (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  value bigint NOT NULL
);
INSERT INTO generation (value) VALUES (0);

CREATE TABLE heartbeats (
  owner_id text COLLATE "C" PRIMARY KEY,
  seen_at_ms bigint NOT NULL
);
