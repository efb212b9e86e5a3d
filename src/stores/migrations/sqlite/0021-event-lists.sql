-- Lists of events by time: those of one type, of all tenants and of one. A list of several types merges theirs.
CREATE INDEX events_by_type ON events (type, at_ms, seq);
CREATE INDEX events_of_tenant_by_type ON events (tenant_id, type, at_ms, seq);
-- By scope, and what belongs to one request, one trace, one act.
CREATE INDEX events_by_scope ON events (coalesce(scope, ''), seq);
CREATE INDEX events_of_request ON events (request_id, seq) WHERE request_id IS NOT NULL;
CREATE INDEX events_of_trace ON events (trace_id, seq) WHERE trace_id IS NOT NULL;
CREATE INDEX events_of_correlation ON events (correlation_id, seq) WHERE correlation_id IS NOT NULL;
-- Pruning by age: every event goes by when it happened.
CREATE INDEX events_age ON events (at_ms);
-- Keys whose time is over and that nobody was told of. The moments stand in the record.
CREATE INDEX api_keys_untold_expiry ON api_keys (json_extract(body, '$.expiresAtMs'))
WHERE deleted_at_ms IS NULL AND json_extract(body, '$.expiresAtMs') IS NOT NULL
  AND json_extract(body, '$.expiryToldMs') IS NOT json_extract(body, '$.expiresAtMs');
