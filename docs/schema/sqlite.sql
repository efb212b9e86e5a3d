-- The SQLite schema after all migrations. Written by `npm run schema:dump`; not to be edited.
-- Migrations: e3490981a83f0033183251be8c61a2ae908791382c4ac884ace1ee92260bb074

CREATE TABLE accounts (
  no INTEGER PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('budget', 'key_cap', 'window', 'balance')),
  scope TEXT NOT NULL,
  unit TEXT NOT NULL,
  period TEXT NOT NULL,
  allocated INTEGER,
  spent INTEGER NOT NULL CHECK (spent >= 0),
  reserved INTEGER NOT NULL CHECK (reserved >= 0),
  debt INTEGER NOT NULL CHECK (debt >= 0),
  overdraft_limit INTEGER NOT NULL,
  is_over_limit INTEGER NOT NULL CHECK (is_over_limit IN (0, 1)),
  status TEXT NOT NULL CHECK (status IN ('ACTIVE', 'FROZEN', 'CLOSED')),
  overage_policy TEXT,
  created_at_ms INTEGER NOT NULL,
  terms_sum INTEGER NOT NULL,
  journal_sum INTEGER NOT NULL
, terms TEXT, used_percent INTEGER) STRICT;

CREATE UNIQUE INDEX accounts_identity ON accounts (tenant_id, kind, scope, unit, period);

CREATE INDEX budgets_by_debt ON accounts (debt, tenant_id, scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL;

CREATE INDEX budgets_by_period ON accounts (terms ->> 'periodEndMs') WHERE terms IS NOT NULL AND status <> 'CLOSED';

CREATE INDEX budgets_by_policy ON accounts (coalesce(overage_policy, ''), tenant_id, scope, unit)
  WHERE kind = 'budget' AND allocated IS NOT NULL;

CREATE INDEX budgets_by_scope ON accounts (scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL;

CREATE INDEX budgets_by_status ON accounts (status, tenant_id, scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL;

CREATE INDEX budgets_by_tenant ON accounts (tenant_id, scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL;

CREATE INDEX budgets_by_unit ON accounts (unit, tenant_id, scope) WHERE kind = 'budget' AND allocated IS NOT NULL;

CREATE INDEX budgets_by_use ON accounts (used_percent, tenant_id, scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL;

CREATE INDEX budgets_over_limit ON accounts (tenant_id, scope, unit)
  WHERE kind = 'budget' AND allocated IS NOT NULL AND is_over_limit = 1;

CREATE INDEX budgets_owing ON accounts (tenant_id, scope, unit) WHERE kind = 'budget' AND allocated IS NOT NULL AND debt > 0;

CREATE TRIGGER tally_budget AFTER UPDATE OF status, allocated ON accounts
WHEN NEW.kind = 'budget' AND (OLD.status <> NEW.status OR (OLD.allocated IS NULL) <> (NEW.allocated IS NULL))
BEGIN
  UPDATE tallies SET count = count - 1 WHERE OLD.allocated IS NOT NULL AND name = 'budget ' || OLD.status || ' ' || OLD.unit;
  INSERT INTO tallies SELECT 'budget ' || NEW.status || ' ' || NEW.unit, 1 WHERE NEW.allocated IS NOT NULL
    ON CONFLICT (name) DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER tally_new_budget AFTER INSERT ON accounts WHEN NEW.kind = 'budget' AND NEW.allocated IS NOT NULL
BEGIN
  INSERT INTO tallies VALUES ('budget ' || NEW.status || ' ' || NEW.unit, 1) ON CONFLICT (name) DO UPDATE SET count = count + 1;
END;

CREATE TABLE activity (
  minute_ms INTEGER NOT NULL,
  tenant_id TEXT NOT NULL,
  metric TEXT NOT NULL,
  count INTEGER NOT NULL CHECK (count >= 0),
  PRIMARY KEY (minute_ms, tenant_id, metric)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  hash TEXT NOT NULL,
  name TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  deleted_at_ms INTEGER,
  body TEXT NOT NULL
, previous_hash TEXT) STRICT, WITHOUT ROWID;

CREATE INDEX api_keys_deleted_hash ON api_keys (hash) WHERE deleted_at_ms IS NOT NULL;

CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash) WHERE deleted_at_ms IS NULL;

CREATE INDEX api_keys_of_kind ON api_keys (tenant_id, kind, id) WHERE deleted_at_ms IS NULL;

CREATE INDEX api_keys_of_one_tenant ON api_keys (tenant_id, created_at_ms, id) WHERE kind = 'tenant';

CREATE INDEX api_keys_of_tenant ON api_keys (tenant_id, id) WHERE deleted_at_ms IS NULL;

CREATE INDEX api_keys_of_tenants ON api_keys (created_at_ms, id) WHERE kind = 'tenant';

CREATE UNIQUE INDEX api_keys_previous_hash ON api_keys (previous_hash) WHERE previous_hash IS NOT NULL AND deleted_at_ms IS NULL;

CREATE INDEX api_keys_untold_expiry ON api_keys (json_extract(body, '$.expiresAtMs'))
WHERE deleted_at_ms IS NULL AND json_extract(body, '$.expiresAtMs') IS NOT NULL
  AND json_extract(body, '$.expiryToldMs') IS NOT json_extract(body, '$.expiresAtMs');

CREATE TABLE audit (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  operation TEXT NOT NULL,
  actor_kind TEXT NOT NULL,
  actor_id TEXT NOT NULL,
  resource_kind TEXT NOT NULL,
  resource_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  code TEXT,
  metadata TEXT NOT NULL
, trace_id TEXT, source_ip TEXT, user_agent TEXT, no INTEGER, previous TEXT, hash TEXT, http_status INTEGER, error_code TEXT) STRICT;

CREATE INDEX audit_by_actor ON audit (actor_id, at_ms, seq);

CREATE INDEX audit_by_error ON audit (error_code, at_ms, seq) WHERE error_code IS NOT NULL;

CREATE INDEX audit_by_kind ON audit (resource_kind, at_ms, seq);

CREATE INDEX audit_by_operation ON audit (operation, at_ms, seq);

CREATE INDEX audit_by_status ON audit (coalesce(http_status, 0), at_ms, seq);

CREATE INDEX audit_by_tenant ON audit (tenant_id, at_ms, seq);

CREATE INDEX audit_by_thing ON audit (resource_id, at_ms, seq);

CREATE INDEX audit_by_time ON audit (at_ms, seq);

CREATE UNIQUE INDEX audit_chain ON audit (tenant_id, no) WHERE no IS NOT NULL;

CREATE INDEX audit_of_request ON audit (request_id);

CREATE INDEX audit_of_tenant ON audit (tenant_id, seq);

CREATE INDEX audit_of_trace ON audit (trace_id) WHERE trace_id IS NOT NULL;

CREATE TABLE audit_heads (
  tenant_id TEXT PRIMARY KEY,
  no INTEGER NOT NULL,
  hash TEXT NOT NULL,
  pruned_no INTEGER,
  pruned_hash TEXT
, pruned_mac TEXT) STRICT, WITHOUT ROWID;

CREATE TABLE balance_credits (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX balance_credits_of_tenant ON balance_credits (tenant_id, id);

CREATE TABLE bill_corrections (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX bill_corrections_of_tenant ON bill_corrections (tenant_id, id);

CREATE TABLE bill_links (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX bill_links_of_tenant ON bill_links (tenant_id, id);

CREATE TABLE bill_states (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE billing_customers (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE container_meters (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE container_rosters (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE container_samples (
  container_id TEXT NOT NULL,
  level_ms INTEGER NOT NULL,
  bucket_ms INTEGER NOT NULL,
  samples INTEGER NOT NULL,
  cpu_sum INTEGER NOT NULL,
  cpu_max INTEGER NOT NULL,
  memory_sum INTEGER NOT NULL,
  memory_max INTEGER NOT NULL,
  memory_total INTEGER NOT NULL,
  gpu_samples INTEGER NOT NULL,
  gpu_sum INTEGER NOT NULL,
  gpu_max INTEGER NOT NULL,
  gpu_memory_sum INTEGER NOT NULL,
  gpu_memory_max INTEGER NOT NULL,
  gpu_memory_total INTEGER NOT NULL,
  PRIMARY KEY (container_id, level_ms, bucket_ms)
) STRICT, WITHOUT ROWID;

CREATE INDEX container_samples_by_age ON container_samples (level_ms, bucket_ms);

CREATE TABLE containers (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX containers_of_tenant ON containers (tenant_id, id);

CREATE TABLE deliveries (
  webhook_id TEXT NOT NULL,
  event_seq INTEGER NOT NULL,
  replay_id TEXT NOT NULL,
  id TEXT NOT NULL,
  event_id TEXT NOT NULL,
  event_type TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  trace_id TEXT,
  trace_flags TEXT,
  status TEXT NOT NULL CHECK (status IN ('PENDING', 'RETRYING', 'SUCCESS', 'FAILED')),
  attempts INTEGER NOT NULL CHECK (attempts >= 0),
  created_at_ms INTEGER NOT NULL,
  due_at_ms INTEGER,
  attempted_at_ms INTEGER,
  completed_at_ms INTEGER,
  response_status INTEGER,
  response_time_ms INTEGER,
  error TEXT,
  untold INTEGER NOT NULL CHECK (untold IN (0, 1)),
  PRIMARY KEY (webhook_id, event_seq, replay_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_ended ON deliveries (completed_at_ms) WHERE completed_at_ms IS NOT NULL;

CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, status, created_at_ms, id);

CREATE INDEX deliveries_open ON deliveries (webhook_id, event_seq, replay_id) WHERE due_at_ms IS NOT NULL;

CREATE INDEX deliveries_untold ON deliveries (webhook_id, event_seq, replay_id) WHERE untold = 1;

CREATE TABLE domain_claims (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE domains (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX domains_of_tenant ON domains (tenant_id, id);

CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  data TEXT NOT NULL,
  delivered_at_ms INTEGER
, scope TEXT, request_id TEXT, trace_id TEXT, correlation_id TEXT, about TEXT) STRICT;

CREATE INDEX events_age ON events (at_ms);

CREATE INDEX events_by_scope ON events (coalesce(scope, ''), seq);

CREATE INDEX events_by_type ON events (type, at_ms, seq);

CREATE INDEX events_delivered ON events (delivered_at_ms) WHERE delivered_at_ms IS NOT NULL;

CREATE INDEX events_of_correlation ON events (correlation_id, seq) WHERE correlation_id IS NOT NULL;

CREATE INDEX events_of_request ON events (request_id, seq) WHERE request_id IS NOT NULL;

CREATE INDEX events_of_tenant ON events (tenant_id, seq);

CREATE INDEX events_of_tenant_by_type ON events (tenant_id, type, at_ms, seq);

CREATE INDEX events_of_trace ON events (trace_id, seq) WHERE trace_id IS NOT NULL;

CREATE INDEX events_of_type ON events (tenant_id, type, seq);

CREATE INDEX events_undelivered ON events (seq) WHERE delivered_at_ms IS NULL;

CREATE TABLE exchange_rates (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE heartbeats (
  owner_id TEXT PRIMARY KEY,
  seen_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
  tenant_id TEXT NOT NULL,
  operation TEXT NOT NULL,
  target TEXT NOT NULL,
  key TEXT NOT NULL,
  hash TEXT NOT NULL,
  answer TEXT NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, operation, target, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_expiry ON idempotency (expires_at_ms);

CREATE TABLE key_names (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE key_uses (
  key_id TEXT PRIMARY KEY,
  last_used_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE leases (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger_checkpoints (
  account_no INTEGER PRIMARY KEY,
  lines INTEGER NOT NULL CHECK (lines >= 0),
  d_allocated INTEGER NOT NULL,
  d_spent INTEGER NOT NULL,
  d_reserved INTEGER NOT NULL,
  d_debt INTEGER NOT NULL,
  journal_sum INTEGER NOT NULL
) STRICT;

CREATE TABLE ledger_entries (
  seq INTEGER PRIMARY KEY,
  account_no INTEGER NOT NULL,
  command TEXT NOT NULL,
  verb TEXT NOT NULL,
  d_allocated INTEGER NOT NULL,
  d_spent INTEGER NOT NULL,
  d_reserved INTEGER NOT NULL,
  d_debt INTEGER NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT;

CREATE TRIGGER ledger_entries_no_delete BEFORE DELETE ON ledger_entries
WHEN NOT EXISTS (SELECT 1 FROM retention_marks WHERE kind = 'ledger' AND step = 'lines' AND OLD.at_ms < before_ms)
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER ledger_entries_no_update BEFORE UPDATE ON ledger_entries
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TABLE members (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX members_of_tenant ON members (tenant_id, id);

CREATE TABLE models (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE payments (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE policies (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX policies_of_tenant ON policies (tenant_id, id);

CREATE TABLE policy_names (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE prices (
  id TEXT PRIMARY KEY,
  model_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rate_windows (
  tenant_id TEXT NOT NULL,
  policy_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('reserve', 'commit')),
  minute INTEGER NOT NULL,
  count INTEGER NOT NULL CHECK (count >= 0),
  PRIMARY KEY (tenant_id, policy_id, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE registry_credentials (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;

CREATE INDEX registry_credentials_by_tenant ON registry_credentials (tenant_id, id);

CREATE TABLE reservations (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  purpose TEXT NOT NULL CHECK (purpose IN ('call', 'budget')),
  state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'COMMITTED', 'RELEASED', 'EXPIRED')),
  legs TEXT NOT NULL,
  charged TEXT,
  overage_policy TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  grace_ms INTEGER NOT NULL,
  extensions INTEGER NOT NULL,
  max_extensions INTEGER NOT NULL,
  finalized_at_ms INTEGER,
  settled_at_ms INTEGER,
  owner_id TEXT NOT NULL,
  context TEXT NOT NULL,
  checkpoint TEXT
, scope_path TEXT, held INTEGER, request_key TEXT, request_hash TEXT, request_answer TEXT, settled_with TEXT, settle_key TEXT, settle_hash TEXT, settle_answer TEXT) STRICT, WITHOUT ROWID;

CREATE INDEX reservations_due ON reservations (expires_at_ms + grace_ms) WHERE state = 'ACTIVE';

CREATE INDEX reservations_expiring ON reservations (tenant_id, state, expires_at_ms, id) WHERE purpose = 'budget';

CREATE INDEX reservations_listed ON reservations (tenant_id, state, created_at_ms, id) WHERE purpose = 'budget';

CREATE UNIQUE INDEX reservations_of_request ON reservations (tenant_id, request_key) WHERE request_key IS NOT NULL;

CREATE INDEX reservations_uncharged ON reservations (expires_at_ms) WHERE state = 'EXPIRED' AND purpose = 'call' AND settled_at_ms IS NULL;

CREATE TABLE retention_marks (
  kind TEXT PRIMARY KEY,
  before_ms INTEGER NOT NULL,
  step TEXT NOT NULL CHECK (step IN ('lines', 'reservations', 'done')),
  cursor TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL, compatible_with INTEGER) STRICT;

CREATE TABLE secrets (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;

CREATE INDEX secrets_by_tenant ON secrets (tenant_id, id);

CREATE TABLE settings (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE ssh_keys (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;

CREATE INDEX ssh_keys_by_tenant ON ssh_keys (tenant_id, id);

CREATE TABLE statement_lines (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT;

CREATE TRIGGER statement_lines_stand BEFORE UPDATE ON statement_lines
BEGIN SELECT RAISE(ABORT, 'an issued statement never changes'); END;

CREATE TRIGGER statement_lines_stay BEFORE DELETE ON statement_lines
BEGIN SELECT RAISE(ABORT, 'an issued statement never changes'); END;

CREATE TABLE statements (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX statements_of_tenant ON statements (tenant_id, id);

CREATE TRIGGER statements_stand BEFORE UPDATE ON statements
BEGIN SELECT RAISE(ABORT, 'an issued statement never changes'); END;

CREATE TRIGGER statements_stay BEFORE DELETE ON statements
BEGIN SELECT RAISE(ABORT, 'an issued statement never changes'); END;

CREATE TABLE store_state (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  last_ms INTEGER NOT NULL,
  generation INTEGER NOT NULL
) STRICT;

CREATE TABLE tallies (
  name TEXT PRIMARY KEY,
  count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tenant_keys (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tenants (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX tenants_by_creation ON tenants (json_extract(body, '$.createdAtMs'), id);

CREATE INDEX tenants_by_name ON tenants (json_extract(body, '$.name'), id);

CREATE INDEX tenants_by_status ON tenants (json_extract(body, '$.status'), id);

CREATE TRIGGER tally_new_tenant AFTER INSERT ON tenants
BEGIN
  INSERT INTO tallies VALUES ('tenant ' || json_extract(NEW.body, '$.status'), 1) ON CONFLICT (name) DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER tally_tenant AFTER UPDATE OF body ON tenants
WHEN json_extract(OLD.body, '$.status') IS NOT json_extract(NEW.body, '$.status')
BEGIN
  UPDATE tallies SET count = count - 1 WHERE name = 'tenant ' || json_extract(OLD.body, '$.status');
  INSERT INTO tallies VALUES ('tenant ' || json_extract(NEW.body, '$.status'), 1) ON CONFLICT (name) DO UPDATE SET count = count + 1;
END;

CREATE TABLE upstream_objects (
  tenant_id TEXT NOT NULL,
  id TEXT NOT NULL,
  upstream_id TEXT NOT NULL,
  model TEXT NOT NULL,
  tokens INTEGER CHECK (tokens >= 0),
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX upstream_objects_age ON upstream_objects (at_ms);

CREATE TABLE upstreams (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_events (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  model TEXT NOT NULL,
  upstream_id TEXT NOT NULL,
  price_id TEXT NOT NULL,
  route TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  held_at_ms INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  cached_prompt_tokens INTEGER NOT NULL,
  reasoning_tokens INTEGER NOT NULL,
  cost_nano_usd INTEGER NOT NULL,
  charge_microcents INTEGER NOT NULL,
  streaming INTEGER NOT NULL,
  estimated INTEGER NOT NULL,
  interrupted INTEGER NOT NULL
, media_unit TEXT NOT NULL DEFAULT '', media_quantity INTEGER NOT NULL DEFAULT 0, cache_write_prompt_tokens INTEGER NOT NULL DEFAULT 0, debit_currency TEXT NOT NULL DEFAULT '', debit_per_usd_nanos INTEGER NOT NULL DEFAULT 0, debit_microcents INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;

CREATE INDEX usage_events_age ON usage_events (at_ms);

CREATE INDEX usage_events_of_tenant ON usage_events (tenant_id, at_ms);

CREATE INDEX usage_over_midnight ON usage_events (tenant_id, at_ms) WHERE at_ms / 86400000 <> held_at_ms / 86400000;

CREATE TABLE usage_meters (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_reporters (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_reports (
  reporter_id TEXT NOT NULL,
  event_id TEXT NOT NULL,
  hash TEXT NOT NULL,
  reason TEXT,
  received_at_ms INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (reporter_id, event_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_reports_age ON usage_reports (received_at_ms);

CREATE INDEX usage_reports_quarantined ON usage_reports (reporter_id, event_id) WHERE reason IS NOT NULL;

CREATE TABLE usage_rollups (
  tenant_id TEXT NOT NULL,
  level_ms INTEGER NOT NULL,
  bucket_ms INTEGER NOT NULL,
  key_id TEXT NOT NULL,
  model TEXT NOT NULL,
  requests INTEGER NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  cached_prompt_tokens INTEGER NOT NULL,
  cost_nano_usd INTEGER NOT NULL,
  charge_microcents INTEGER NOT NULL,
  last_at_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, level_ms, bucket_ms, key_id, model)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_tail (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  model TEXT NOT NULL,
  upstream_id TEXT NOT NULL,
  price_id TEXT NOT NULL,
  route TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  held_at_ms INTEGER NOT NULL,
  requests INTEGER NOT NULL CHECK (requests >= 0),
  prompt_tokens INTEGER NOT NULL CHECK (prompt_tokens >= 0),
  completion_tokens INTEGER NOT NULL CHECK (completion_tokens >= 0),
  cached_prompt_tokens INTEGER NOT NULL CHECK (cached_prompt_tokens >= 0),
  reasoning_tokens INTEGER NOT NULL CHECK (reasoning_tokens >= 0),
  cost_nano_usd INTEGER NOT NULL CHECK (cost_nano_usd >= 0),
  charge_microcents INTEGER NOT NULL CHECK (charge_microcents >= 0),
  streaming INTEGER NOT NULL,
  estimated INTEGER NOT NULL,
  interrupted INTEGER NOT NULL
, media_unit TEXT NOT NULL DEFAULT '', media_quantity INTEGER NOT NULL DEFAULT 0 CHECK (media_quantity >= 0), cache_write_prompt_tokens INTEGER NOT NULL DEFAULT 0 CHECK (cache_write_prompt_tokens >= 0), debit_currency TEXT NOT NULL DEFAULT '', debit_per_usd_nanos INTEGER NOT NULL DEFAULT 0 CHECK (debit_per_usd_nanos >= 0), debit_microcents INTEGER NOT NULL DEFAULT 0 CHECK (debit_microcents >= 0)) STRICT, WITHOUT ROWID;

CREATE TRIGGER usage_tail_once BEFORE INSERT ON usage_tail
WHEN EXISTS (SELECT 1 FROM usage_events WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the usage event was counted already'); END;

CREATE TABLE webhook_health (
  webhook_id TEXT PRIMARY KEY,
  epoch INTEGER NOT NULL,
  failures INTEGER NOT NULL CHECK (failures >= 0),
  last_triggered_at_ms INTEGER,
  last_success_at_ms INTEGER,
  last_failure_at_ms INTEGER,
  due_at_ms INTEGER,
  lease_owner TEXT,
  lease_until_ms INTEGER,
  fence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX webhook_health_due ON webhook_health (due_at_ms) WHERE due_at_ms IS NOT NULL;

CREATE TABLE webhooks (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX webhooks_of_tenant ON webhooks (tenant_id, id);
