-- A rotated key is found by the value before as well, for as long as its record names it. No two live keys share one.
ALTER TABLE api_keys ADD COLUMN previous_hash text COLLATE "C";
CREATE UNIQUE INDEX api_keys_previous_hash ON api_keys (previous_hash) WHERE previous_hash IS NOT NULL AND deleted_at_ms IS NULL;
-- Pages of a tenant's keys of one kind: with the kind before the id, a page reads no keys of other kinds. Of an expression that is the
-- id, for which the primary key gives no order: the planner would else walk the primary key, through other tenants' rows, wherever it
-- thinks that a tenant has many.
CREATE INDEX api_keys_of_kind ON api_keys (tenant_id, kind, (id || '')) WHERE deleted_at_ms IS NULL;

-- Lists of a tenant's events, newest first: of every type, and of one. Of an expression for the same reason.
CREATE INDEX events_of_tenant ON events (tenant_id, (-seq));
CREATE INDEX events_of_type ON events (tenant_id, type, (-seq));
