-- The PostgreSQL schema after all migrations. Written by `npm run schema:dump`; not to be edited.
-- Migrations: ff305ec8ad4b161a19b1a8bc8d7bf017619811e370eee33fa42bfd07ad52fee7

CREATE FUNCTION public.refuse_folded_usage() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF EXISTS (SELECT FROM added JOIN usage_events USING (id)) THEN
    RAISE EXCEPTION 'a usage event was folded already' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END
$$;

CREATE FUNCTION public.refuse_journal_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    IF EXISTS (SELECT FROM retention_marks WHERE kind = 'ledger' AND step = 'lines' AND OLD.at_ms < before_ms) THEN
      RETURN OLD;
    END IF;
  END IF;
  RAISE EXCEPTION 'ledger_entries is append-only: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;

CREATE FUNCTION public.refuse_statement_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  RAISE EXCEPTION 'an issued statement never changes: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;

CREATE FUNCTION public.tally(counted text, difference bigint) RETURNS void
    LANGUAGE sql
    AS $$
  INSERT INTO tallies VALUES (counted, pg_backend_pid() % 256, difference)
  ON CONFLICT (name, shard) DO UPDATE SET count = tallies.count + excluded.count
$$;

CREATE FUNCTION public.tally_budget() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.allocated IS NOT NULL THEN
    PERFORM tally('budget ' || OLD.status || ' ' || OLD.unit, -1);
  END IF;
  IF NEW.allocated IS NOT NULL THEN
    PERFORM tally('budget ' || NEW.status || ' ' || NEW.unit, 1);
  END IF;
  RETURN NULL;
END
$$;

CREATE FUNCTION public.tally_tenant() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    PERFORM tally('tenant ' || (OLD.body ->> 'status'), -1);
  END IF;
  PERFORM tally('tenant ' || (NEW.body ->> 'status'), 1);
  RETURN NULL;
END
$$;

CREATE TABLE public.accounts (
    no bigint NOT NULL,
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    scope text NOT NULL COLLATE pg_catalog."C",
    unit text NOT NULL COLLATE pg_catalog."C",
    period text NOT NULL COLLATE pg_catalog."C",
    allocated bigint,
    spent bigint NOT NULL,
    reserved bigint NOT NULL,
    debt bigint NOT NULL,
    overdraft_limit bigint NOT NULL,
    is_over_limit boolean NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    overage_policy text COLLATE pg_catalog."C",
    created_at_ms bigint NOT NULL,
    terms_sum bigint NOT NULL,
    journal_sum bigint NOT NULL,
    terms json,
    used_percent bigint,
    CONSTRAINT accounts_sound CHECK (((spent >= 0) AND (reserved >= 0) AND (debt >= 0) AND (kind = ANY (ARRAY['budget'::text, 'key_cap'::text, 'window'::text, 'balance'::text])) AND (status = ANY (ARRAY['ACTIVE'::text, 'FROZEN'::text, 'CLOSED'::text]))))
)
WITH (fillfactor='50');

ALTER TABLE public.accounts ALTER COLUMN no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.accounts_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.activity (
    minute_ms bigint NOT NULL,
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    metric text NOT NULL COLLATE pg_catalog."C",
    count bigint NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE public.api_keys (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    hash text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    created_at_ms bigint NOT NULL,
    deleted_at_ms bigint,
    body json NOT NULL,
    previous_hash text COLLATE pg_catalog."C"
);

CREATE TABLE public.audit (
    seq bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    at_ms bigint NOT NULL,
    operation text NOT NULL COLLATE pg_catalog."C",
    actor_kind text NOT NULL COLLATE pg_catalog."C",
    actor_id text NOT NULL COLLATE pg_catalog."C",
    resource_kind text NOT NULL COLLATE pg_catalog."C",
    resource_id text NOT NULL COLLATE pg_catalog."C",
    request_id text NOT NULL COLLATE pg_catalog."C",
    code text COLLATE pg_catalog."C",
    metadata json NOT NULL,
    trace_id text COLLATE pg_catalog."C",
    source_ip text COLLATE pg_catalog."C",
    user_agent text COLLATE pg_catalog."C",
    no bigint,
    previous text COLLATE pg_catalog."C",
    hash text COLLATE pg_catalog."C",
    http_status bigint,
    error_code text COLLATE pg_catalog."C"
);

CREATE TABLE public.audit_heads (
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    no bigint NOT NULL,
    hash text NOT NULL COLLATE pg_catalog."C",
    pruned_no bigint,
    pruned_hash text COLLATE pg_catalog."C",
    pruned_mac text COLLATE pg_catalog."C"
);

ALTER TABLE public.audit ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.balance_credits (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.batches (
    id text NOT NULL COLLATE pg_catalog."C",
    at_ms bigint NOT NULL
);

CREATE TABLE public.bill_corrections (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.bill_links (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.bill_states (
    id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.billing_customers (
    id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.container_meters (
    id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.container_rosters (
    id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.container_samples (
    container_id text NOT NULL COLLATE pg_catalog."C",
    level_ms bigint NOT NULL,
    bucket_ms bigint NOT NULL,
    samples bigint NOT NULL,
    cpu_sum bigint NOT NULL,
    cpu_max bigint NOT NULL,
    memory_sum bigint NOT NULL,
    memory_max bigint NOT NULL,
    memory_total bigint NOT NULL,
    gpu_samples bigint NOT NULL,
    gpu_sum bigint NOT NULL,
    gpu_max bigint NOT NULL,
    gpu_memory_sum bigint NOT NULL,
    gpu_memory_max bigint NOT NULL,
    gpu_memory_total bigint NOT NULL
);

CREATE TABLE public.containers (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.deliveries (
    webhook_id text NOT NULL COLLATE pg_catalog."C",
    event_seq bigint NOT NULL,
    replay_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    event_id text NOT NULL COLLATE pg_catalog."C",
    event_type text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    trace_id text COLLATE pg_catalog."C",
    trace_flags text COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    attempts integer NOT NULL,
    created_at_ms bigint NOT NULL,
    due_at_ms bigint,
    attempted_at_ms bigint,
    completed_at_ms bigint,
    response_status integer,
    response_time_ms integer,
    error text,
    untold boolean NOT NULL,
    CONSTRAINT deliveries_status_check CHECK ((status = ANY (ARRAY['PENDING'::text, 'RETRYING'::text, 'SUCCESS'::text, 'FAILED'::text])))
)
WITH (fillfactor='70');

CREATE TABLE public.domain_claims (
    id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.domains (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.events (
    seq bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    type text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    at_ms bigint NOT NULL,
    data json NOT NULL,
    delivered_at_ms bigint,
    scope text COLLATE pg_catalog."C",
    request_id text COLLATE pg_catalog."C",
    trace_id text COLLATE pg_catalog."C",
    correlation_id text COLLATE pg_catalog."C",
    about json
);

ALTER TABLE public.events ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.events_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.exchange_rates (
    id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.generation (
    only_row boolean DEFAULT true NOT NULL,
    value bigint NOT NULL,
    CONSTRAINT generation_only_row_check CHECK (only_row)
);

CREATE TABLE public.heartbeats (
    owner_id text NOT NULL COLLATE pg_catalog."C",
    seen_at_ms bigint NOT NULL
);

CREATE TABLE public.idempotency (
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    operation text NOT NULL COLLATE pg_catalog."C",
    target text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    hash text NOT NULL COLLATE pg_catalog."C",
    answer json NOT NULL,
    expires_at_ms bigint NOT NULL
);

CREATE TABLE public.key_names (
    id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.key_uses (
    key_id text NOT NULL COLLATE pg_catalog."C",
    last_used_at_ms bigint NOT NULL
);

CREATE TABLE public.leases (
    id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.ledger_checkpoints (
    account_no bigint NOT NULL,
    d_allocated bigint NOT NULL,
    d_spent bigint NOT NULL,
    d_reserved bigint NOT NULL,
    d_debt bigint NOT NULL,
    journal_sum bigint NOT NULL
);

CREATE TABLE public.ledger_entries (
    seq bigint NOT NULL,
    account_no bigint NOT NULL,
    command text NOT NULL COLLATE pg_catalog."C",
    verb text NOT NULL COLLATE pg_catalog."C",
    d_allocated bigint NOT NULL,
    d_spent bigint NOT NULL,
    d_reserved bigint NOT NULL,
    d_debt bigint NOT NULL,
    at_ms bigint NOT NULL
);

ALTER TABLE public.ledger_entries ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.ledger_entries_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.members (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.models (
    id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.payments (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.policies (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.policy_names (
    id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.prices (
    id text NOT NULL COLLATE pg_catalog."C",
    model_id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.rate_windows (
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    policy_id text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    minute bigint NOT NULL,
    count bigint NOT NULL,
    CONSTRAINT rate_windows_count_check CHECK ((count >= 0)),
    CONSTRAINT rate_windows_kind_check CHECK ((kind = ANY (ARRAY['reserve'::text, 'commit'::text])))
);

CREATE TABLE public.registry_credentials (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.reservations (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    purpose text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL COLLATE pg_catalog."C",
    legs json NOT NULL,
    charged json,
    overage_policy text NOT NULL COLLATE pg_catalog."C",
    created_at_ms bigint NOT NULL,
    expires_at_ms bigint NOT NULL,
    grace_ms bigint NOT NULL,
    extensions bigint NOT NULL,
    max_extensions bigint NOT NULL,
    finalized_at_ms bigint,
    settled_at_ms bigint,
    owner_id text NOT NULL COLLATE pg_catalog."C",
    context json NOT NULL,
    checkpoint json,
    scope_path text COLLATE pg_catalog."C",
    held bigint,
    request_key text COLLATE pg_catalog."C",
    request_hash text COLLATE pg_catalog."C",
    request_answer text COLLATE pg_catalog."C",
    settled_with text COLLATE pg_catalog."C",
    settle_key text COLLATE pg_catalog."C",
    settle_hash text COLLATE pg_catalog."C",
    settle_answer text COLLATE pg_catalog."C",
    CONSTRAINT reservations_sound CHECK (((purpose = ANY (ARRAY['call'::text, 'budget'::text])) AND (state = ANY (ARRAY['ACTIVE'::text, 'COMMITTED'::text, 'RELEASED'::text, 'EXPIRED'::text]))))
)
WITH (fillfactor='80');

CREATE TABLE public.retention_marks (
    kind text NOT NULL COLLATE pg_catalog."C",
    before_ms bigint NOT NULL,
    step text NOT NULL COLLATE pg_catalog."C",
    cursor text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT retention_marks_sound CHECK ((step = ANY (ARRAY['lines'::text, 'reservations'::text, 'done'::text])))
);

CREATE TABLE public.schema_version (
    version bigint NOT NULL,
    name text NOT NULL,
    applied_at timestamp with time zone NOT NULL,
    compatible_with bigint
);

CREATE TABLE public.secrets (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.settings (
    id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.ssh_keys (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.statement_lines (
    id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.statements (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.tallies (
    name text NOT NULL COLLATE pg_catalog."C",
    shard integer NOT NULL,
    count bigint NOT NULL
);

CREATE TABLE public.tenant_keys (
    id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.tenants (
    id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.upstream_objects (
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    upstream_id text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    tokens bigint,
    at_ms bigint NOT NULL,
    CONSTRAINT upstream_objects_tokens_check CHECK ((tokens >= 0))
);

CREATE TABLE public.upstreams (
    id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.usage_events (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    key_id text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    upstream_id text NOT NULL COLLATE pg_catalog."C",
    price_id text NOT NULL COLLATE pg_catalog."C",
    route text NOT NULL COLLATE pg_catalog."C",
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
    media_unit text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    media_quantity bigint DEFAULT 0 NOT NULL,
    cache_write_prompt_tokens bigint DEFAULT 0 NOT NULL,
    debit_currency text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    debit_per_usd_nanos bigint DEFAULT 0 NOT NULL,
    debit_microcents bigint DEFAULT 0 NOT NULL,
    CONSTRAINT usage_cache_writes_not_negative CHECK ((cache_write_prompt_tokens >= 0)),
    CONSTRAINT usage_debit_rates_not_negative CHECK ((debit_per_usd_nanos >= 0)),
    CONSTRAINT usage_debits_not_negative CHECK ((debit_microcents >= 0)),
    CONSTRAINT usage_not_negative CHECK (((requests >= 0) AND (prompt_tokens >= 0) AND (completion_tokens >= 0) AND (cached_prompt_tokens >= 0) AND (reasoning_tokens >= 0) AND (cost_nano_usd >= 0) AND (charge_microcents >= 0)))
);

CREATE TABLE public.usage_meters (
    id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.usage_reporters (
    id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

CREATE TABLE public.usage_reports (
    reporter_id text NOT NULL COLLATE pg_catalog."C",
    event_id text NOT NULL COLLATE pg_catalog."C",
    hash text NOT NULL COLLATE pg_catalog."C",
    reason text COLLATE pg_catalog."C",
    received_at_ms bigint NOT NULL,
    body json NOT NULL
);

CREATE TABLE public.usage_rollups (
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    level_ms bigint NOT NULL,
    bucket_ms bigint NOT NULL,
    key_id text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    requests bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cached_prompt_tokens bigint NOT NULL,
    cost_nano_usd bigint NOT NULL,
    charge_microcents bigint NOT NULL,
    last_at_ms bigint NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE public.usage_tail (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    key_id text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    upstream_id text NOT NULL COLLATE pg_catalog."C",
    price_id text NOT NULL COLLATE pg_catalog."C",
    route text NOT NULL COLLATE pg_catalog."C",
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
    media_unit text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    media_quantity bigint DEFAULT 0 NOT NULL,
    cache_write_prompt_tokens bigint DEFAULT 0 NOT NULL,
    debit_currency text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    debit_per_usd_nanos bigint DEFAULT 0 NOT NULL,
    debit_microcents bigint DEFAULT 0 NOT NULL,
    CONSTRAINT usage_cache_writes_not_negative CHECK ((cache_write_prompt_tokens >= 0)),
    CONSTRAINT usage_debit_rates_not_negative CHECK ((debit_per_usd_nanos >= 0)),
    CONSTRAINT usage_debits_not_negative CHECK ((debit_microcents >= 0)),
    CONSTRAINT usage_not_negative CHECK (((requests >= 0) AND (prompt_tokens >= 0) AND (completion_tokens >= 0) AND (cached_prompt_tokens >= 0) AND (reasoning_tokens >= 0) AND (cost_nano_usd >= 0) AND (charge_microcents >= 0))),
    CONSTRAINT usage_tail_media_quantity_check CHECK ((media_quantity >= 0))
);

CREATE TABLE public.webhook_health (
    webhook_id text NOT NULL COLLATE pg_catalog."C",
    epoch bigint NOT NULL,
    failures bigint NOT NULL,
    last_triggered_at_ms bigint,
    last_success_at_ms bigint,
    last_failure_at_ms bigint,
    due_at_ms bigint,
    lease_owner text COLLATE pg_catalog."C",
    lease_until_ms bigint,
    fence bigint NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.webhooks (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant_id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL
);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (no);

ALTER TABLE ONLY public.activity
    ADD CONSTRAINT activity_pkey PRIMARY KEY (minute_ms, tenant_id, metric);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.audit_heads
    ADD CONSTRAINT audit_heads_pkey PRIMARY KEY (tenant_id);

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_id_key UNIQUE (id);

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY public.balance_credits
    ADD CONSTRAINT balance_credits_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.batches
    ADD CONSTRAINT batches_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.bill_corrections
    ADD CONSTRAINT bill_corrections_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.bill_links
    ADD CONSTRAINT bill_links_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.bill_states
    ADD CONSTRAINT bill_states_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.billing_customers
    ADD CONSTRAINT billing_customers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.container_meters
    ADD CONSTRAINT container_meters_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.container_rosters
    ADD CONSTRAINT container_rosters_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.container_samples
    ADD CONSTRAINT container_samples_pkey PRIMARY KEY (container_id, level_ms, bucket_ms);

ALTER TABLE ONLY public.containers
    ADD CONSTRAINT containers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (webhook_id, event_seq, replay_id);

ALTER TABLE ONLY public.domain_claims
    ADD CONSTRAINT domain_claims_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.domains
    ADD CONSTRAINT domains_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_id_key UNIQUE (id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY public.exchange_rates
    ADD CONSTRAINT exchange_rates_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.generation
    ADD CONSTRAINT generation_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY public.heartbeats
    ADD CONSTRAINT heartbeats_pkey PRIMARY KEY (owner_id);

ALTER TABLE ONLY public.idempotency
    ADD CONSTRAINT idempotency_pkey PRIMARY KEY (tenant_id, operation, target, key);

ALTER TABLE ONLY public.key_names
    ADD CONSTRAINT key_names_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.key_uses
    ADD CONSTRAINT key_uses_pkey PRIMARY KEY (key_id);

ALTER TABLE ONLY public.leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ledger_checkpoints
    ADD CONSTRAINT ledger_checkpoints_pkey PRIMARY KEY (account_no);

ALTER TABLE ONLY public.members
    ADD CONSTRAINT members_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.payments
    ADD CONSTRAINT payments_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.policies
    ADD CONSTRAINT policies_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.policy_names
    ADD CONSTRAINT policy_names_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.prices
    ADD CONSTRAINT prices_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.rate_windows
    ADD CONSTRAINT rate_windows_pkey PRIMARY KEY (tenant_id, policy_id, kind);

ALTER TABLE ONLY public.registry_credentials
    ADD CONSTRAINT registry_credentials_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.reservations
    ADD CONSTRAINT reservations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.retention_marks
    ADD CONSTRAINT retention_marks_pkey PRIMARY KEY (kind);

ALTER TABLE ONLY public.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.secrets
    ADD CONSTRAINT secrets_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.settings
    ADD CONSTRAINT settings_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ssh_keys
    ADD CONSTRAINT ssh_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.statement_lines
    ADD CONSTRAINT statement_lines_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.statements
    ADD CONSTRAINT statements_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tallies
    ADD CONSTRAINT tallies_pkey PRIMARY KEY (name, shard);

ALTER TABLE ONLY public.tenant_keys
    ADD CONSTRAINT tenant_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants
    ADD CONSTRAINT tenants_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.upstream_objects
    ADD CONSTRAINT upstream_objects_pkey PRIMARY KEY (tenant_id, id);

ALTER TABLE ONLY public.upstreams
    ADD CONSTRAINT upstreams_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.usage_events
    ADD CONSTRAINT usage_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.usage_meters
    ADD CONSTRAINT usage_meters_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.usage_reporters
    ADD CONSTRAINT usage_reporters_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.usage_reports
    ADD CONSTRAINT usage_reports_pkey PRIMARY KEY (reporter_id, event_id);

ALTER TABLE ONLY public.usage_rollups
    ADD CONSTRAINT usage_rollups_pkey PRIMARY KEY (tenant_id, level_ms, bucket_ms, key_id, model);

ALTER TABLE ONLY public.usage_tail
    ADD CONSTRAINT usage_tail_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_health
    ADD CONSTRAINT webhook_health_pkey PRIMARY KEY (webhook_id);

ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT webhooks_pkey PRIMARY KEY (id);

CREATE UNIQUE INDEX accounts_id ON public.accounts USING btree ((((((((((tenant_id || '|'::text) || kind) || '|'::text) || scope) || '|'::text) || unit) || '|'::text) || period)));

CREATE INDEX api_keys_deleted_hash ON public.api_keys USING btree (hash) WHERE (deleted_at_ms IS NOT NULL);

CREATE UNIQUE INDEX api_keys_hash ON public.api_keys USING btree (hash) WHERE (deleted_at_ms IS NULL);

CREATE INDEX api_keys_of_kind ON public.api_keys USING btree (tenant_id, kind, ((id || ''::text))) WHERE (deleted_at_ms IS NULL);

CREATE INDEX api_keys_of_one_tenant ON public.api_keys USING btree (tenant_id, created_at_ms, id) WHERE (kind = 'tenant'::text);

CREATE INDEX api_keys_of_tenant ON public.api_keys USING btree (tenant_id, id) WHERE (deleted_at_ms IS NULL);

CREATE INDEX api_keys_of_tenants ON public.api_keys USING btree (created_at_ms, id) WHERE (kind = 'tenant'::text);

CREATE UNIQUE INDEX api_keys_previous_hash ON public.api_keys USING btree (previous_hash) WHERE ((previous_hash IS NOT NULL) AND (deleted_at_ms IS NULL));

CREATE INDEX api_keys_untold_expiry ON public.api_keys USING btree ((((body ->> 'expiresAtMs'::text))::bigint)) WHERE ((deleted_at_ms IS NULL) AND ((body ->> 'expiresAtMs'::text) IS NOT NULL) AND ((body ->> 'expiryToldMs'::text) IS DISTINCT FROM (body ->> 'expiresAtMs'::text)));

CREATE INDEX audit_by_actor ON public.audit USING btree (actor_id, at_ms, seq);

CREATE INDEX audit_by_error ON public.audit USING btree (error_code, at_ms, seq) WHERE (error_code IS NOT NULL);

CREATE INDEX audit_by_kind ON public.audit USING btree (resource_kind, at_ms, seq);

CREATE INDEX audit_by_operation ON public.audit USING btree (operation, at_ms, seq);

CREATE INDEX audit_by_status ON public.audit USING btree (COALESCE(http_status, (0)::bigint), at_ms, seq);

CREATE INDEX audit_by_tenant ON public.audit USING btree (tenant_id, at_ms, seq);

CREATE INDEX audit_by_thing ON public.audit USING btree (resource_id, at_ms, seq);

CREATE INDEX audit_by_time ON public.audit USING btree (at_ms, seq);

CREATE UNIQUE INDEX audit_chain ON public.audit USING btree (tenant_id, no) WHERE (no IS NOT NULL);

CREATE INDEX audit_of_request ON public.audit USING btree (request_id);

CREATE INDEX audit_of_tenant ON public.audit USING btree (tenant_id, seq);

CREATE INDEX audit_of_trace ON public.audit USING btree (trace_id) WHERE (trace_id IS NOT NULL);

CREATE INDEX balance_credits_of_tenant ON public.balance_credits USING btree (tenant_id, id);

CREATE INDEX batches_age ON public.batches USING brin (at_ms) WITH (pages_per_range='32', autosummarize='on');

CREATE INDEX bill_corrections_of_tenant ON public.bill_corrections USING btree (tenant_id, id);

CREATE INDEX bill_links_of_tenant ON public.bill_links USING btree (tenant_id, id);

CREATE INDEX budgets_by_debt ON public.accounts USING btree (debt, tenant_id, scope, unit) WHERE ((kind = 'budget'::text) AND (allocated IS NOT NULL));

CREATE INDEX budgets_by_period ON public.accounts USING btree ((((terms ->> 'periodEndMs'::text))::bigint)) WHERE ((terms IS NOT NULL) AND (status <> 'CLOSED'::text));

CREATE INDEX budgets_by_policy ON public.accounts USING btree (COALESCE(overage_policy, ''::text), tenant_id, scope, unit) WHERE ((kind = 'budget'::text) AND (allocated IS NOT NULL));

CREATE INDEX budgets_by_scope ON public.accounts USING btree (scope, unit) WHERE ((kind = 'budget'::text) AND (allocated IS NOT NULL));

CREATE INDEX budgets_by_status ON public.accounts USING btree (status, tenant_id, scope, unit) WHERE ((kind = 'budget'::text) AND (allocated IS NOT NULL));

CREATE INDEX budgets_by_tenant ON public.accounts USING btree (tenant_id, scope, unit) WHERE ((kind = 'budget'::text) AND (allocated IS NOT NULL));

CREATE INDEX budgets_by_unit ON public.accounts USING btree (unit, tenant_id, scope) WHERE ((kind = 'budget'::text) AND (allocated IS NOT NULL));

CREATE INDEX budgets_by_use ON public.accounts USING btree (used_percent, tenant_id, scope, unit) WHERE ((kind = 'budget'::text) AND (allocated IS NOT NULL));

CREATE INDEX budgets_over_limit ON public.accounts USING btree (tenant_id, scope, unit) WHERE ((kind = 'budget'::text) AND (allocated IS NOT NULL) AND is_over_limit);

CREATE INDEX budgets_owing ON public.accounts USING btree (tenant_id, scope, unit) WHERE ((kind = 'budget'::text) AND (allocated IS NOT NULL) AND (debt > 0));

CREATE INDEX container_samples_by_age ON public.container_samples USING btree (level_ms, bucket_ms);

CREATE INDEX containers_of_tenant ON public.containers USING btree (tenant_id, id);

CREATE INDEX deliveries_ended ON public.deliveries USING btree (completed_at_ms) WHERE (completed_at_ms IS NOT NULL);

CREATE INDEX deliveries_of_webhook ON public.deliveries USING btree (webhook_id, status, created_at_ms, id);

CREATE INDEX deliveries_open ON public.deliveries USING btree (webhook_id, event_seq, replay_id) WHERE (due_at_ms IS NOT NULL);

CREATE INDEX deliveries_untold ON public.deliveries USING btree (webhook_id, event_seq, replay_id) WHERE untold;

CREATE INDEX domains_of_tenant ON public.domains USING btree (tenant_id, id);

CREATE INDEX events_age ON public.events USING btree (at_ms);

CREATE INDEX events_by_scope ON public.events USING btree (COALESCE(scope, ''::text), seq);

CREATE INDEX events_by_tenant ON public.events USING btree (tenant_id, seq);

CREATE INDEX events_by_type ON public.events USING btree (type, at_ms, seq);

CREATE INDEX events_delivered ON public.events USING btree (delivered_at_ms) WHERE (delivered_at_ms IS NOT NULL);

CREATE INDEX events_of_correlation ON public.events USING btree (correlation_id, seq) WHERE (correlation_id IS NOT NULL);

CREATE INDEX events_of_request ON public.events USING btree (request_id, seq) WHERE (request_id IS NOT NULL);

CREATE INDEX events_of_tenant ON public.events USING btree (tenant_id, ((- seq)));

CREATE INDEX events_of_tenant_by_type ON public.events USING btree (tenant_id, type, at_ms, seq);

CREATE INDEX events_of_trace ON public.events USING btree (trace_id, seq) WHERE (trace_id IS NOT NULL);

CREATE INDEX events_of_type ON public.events USING btree (tenant_id, type, ((- seq)));

CREATE INDEX events_undelivered ON public.events USING btree (seq) WHERE (delivered_at_ms IS NULL);

CREATE INDEX idempotency_expiry ON public.idempotency USING brin (expires_at_ms) WITH (pages_per_range='32', autosummarize='on');

CREATE INDEX ledger_entries_seq ON public.ledger_entries USING brin (seq) WITH (autosummarize='on');

CREATE INDEX members_of_tenant ON public.members USING btree (tenant_id, id);

CREATE INDEX policies_of_tenant ON public.policies USING btree (tenant_id, id);

CREATE INDEX registry_credentials_by_tenant ON public.registry_credentials USING btree (tenant_id, id);

CREATE INDEX reservations_expiring ON public.reservations USING btree (tenant_id, state, expires_at_ms, id) WHERE (purpose = 'budget'::text);

CREATE INDEX reservations_expiry ON public.reservations USING btree (((expires_at_ms + grace_ms)), id) WHERE (state = 'ACTIVE'::text);

CREATE INDEX reservations_listed ON public.reservations USING btree (tenant_id, state, created_at_ms, id) WHERE (purpose = 'budget'::text);

CREATE UNIQUE INDEX reservations_of_request ON public.reservations USING btree (tenant_id, request_key) WHERE (request_key IS NOT NULL);

CREATE INDEX reservations_uncharged ON public.reservations USING btree (id) WHERE ((state = 'EXPIRED'::text) AND (settled_at_ms IS NULL));

CREATE INDEX secrets_by_tenant ON public.secrets USING btree (tenant_id, id);

CREATE INDEX ssh_keys_by_tenant ON public.ssh_keys USING btree (tenant_id, id);

CREATE INDEX statements_of_tenant ON public.statements USING btree (tenant_id, id);

CREATE INDEX tenants_by_creation ON public.tenants USING btree ((((body ->> 'createdAtMs'::text))::bigint), id);

CREATE INDEX tenants_by_name ON public.tenants USING btree (((body ->> 'name'::text)) COLLATE "C", id);

CREATE INDEX tenants_by_status ON public.tenants USING btree (((body ->> 'status'::text)) COLLATE "C", id);

CREATE INDEX upstream_objects_age ON public.upstream_objects USING brin (at_ms) WITH (pages_per_range='32', autosummarize='on');

CREATE INDEX usage_events_age ON public.usage_events USING brin (at_ms) WITH (pages_per_range='32', autosummarize='on');

CREATE INDEX usage_events_of_tenant ON public.usage_events USING btree (tenant_id, at_ms DESC, id DESC);

CREATE INDEX usage_over_midnight ON public.usage_events USING btree (tenant_id, at_ms) WHERE ((at_ms / 86400000) <> (held_at_ms / 86400000));

CREATE INDEX usage_reports_age ON public.usage_reports USING brin (received_at_ms) WITH (pages_per_range='32', autosummarize='on');

CREATE INDEX usage_reports_quarantined ON public.usage_reports USING btree (reporter_id, event_id) WHERE (reason IS NOT NULL);

CREATE INDEX usage_rollups_age ON public.usage_rollups USING btree (level_ms, bucket_ms) WHERE ((level_ms > 0) AND (level_ms < 86400000));

CREATE INDEX webhook_health_due ON public.webhook_health USING btree (due_at_ms) WHERE (due_at_ms IS NOT NULL);

CREATE INDEX webhooks_of_tenant ON public.webhooks USING btree (tenant_id, id);

CREATE TRIGGER ledger_entries_append_only BEFORE DELETE OR UPDATE ON public.ledger_entries FOR EACH ROW EXECUTE FUNCTION public.refuse_journal_change();

CREATE TRIGGER ledger_entries_no_truncate BEFORE TRUNCATE ON public.ledger_entries FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_journal_change();

CREATE TRIGGER statement_lines_no_truncate BEFORE TRUNCATE ON public.statement_lines FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_statement_change();

CREATE TRIGGER statement_lines_stand BEFORE DELETE OR UPDATE ON public.statement_lines FOR EACH ROW EXECUTE FUNCTION public.refuse_statement_change();

CREATE TRIGGER statements_no_truncate BEFORE TRUNCATE ON public.statements FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_statement_change();

CREATE TRIGGER statements_stand BEFORE DELETE OR UPDATE ON public.statements FOR EACH ROW EXECUTE FUNCTION public.refuse_statement_change();

CREATE TRIGGER tally_budget AFTER UPDATE OF status, allocated ON public.accounts FOR EACH ROW WHEN (((new.kind = 'budget'::text) AND ((old.status <> new.status) OR ((old.allocated IS NULL) <> (new.allocated IS NULL))))) EXECUTE FUNCTION public.tally_budget();

CREATE TRIGGER tally_new_budget AFTER INSERT ON public.accounts FOR EACH ROW WHEN ((new.kind = 'budget'::text)) EXECUTE FUNCTION public.tally_budget();

CREATE TRIGGER tally_new_tenant AFTER INSERT ON public.tenants FOR EACH ROW EXECUTE FUNCTION public.tally_tenant();

CREATE TRIGGER tally_tenant AFTER UPDATE ON public.tenants FOR EACH ROW WHEN (((old.body ->> 'status'::text) IS DISTINCT FROM (new.body ->> 'status'::text))) EXECUTE FUNCTION public.tally_tenant();

CREATE TRIGGER usage_tail_folded AFTER INSERT ON public.usage_tail REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_folded_usage();
