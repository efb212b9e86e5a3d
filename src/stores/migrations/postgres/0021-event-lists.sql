-- no transaction
-- Lists of events by time: those of one type, of all tenants and of one. A list of several types merges theirs. A build that was broken off
-- leaves an index that is of no use, so each starts anew.
DROP INDEX CONCURRENTLY IF EXISTS events_by_type;
CREATE INDEX CONCURRENTLY events_by_type ON events (type, at_ms, seq);
DROP INDEX CONCURRENTLY IF EXISTS events_of_tenant_by_type;
CREATE INDEX CONCURRENTLY events_of_tenant_by_type ON events (tenant_id, type, at_ms, seq);
-- By tenant, by scope, and what belongs to one request, one trace, one act.
DROP INDEX CONCURRENTLY IF EXISTS events_by_tenant;
CREATE INDEX CONCURRENTLY events_by_tenant ON events (tenant_id, seq);
DROP INDEX CONCURRENTLY IF EXISTS events_by_scope;
CREATE INDEX CONCURRENTLY events_by_scope ON events (coalesce(scope, ''), seq);
DROP INDEX CONCURRENTLY IF EXISTS events_of_request;
CREATE INDEX CONCURRENTLY events_of_request ON events (request_id, seq) WHERE request_id IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS events_of_trace;
CREATE INDEX CONCURRENTLY events_of_trace ON events (trace_id, seq) WHERE trace_id IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS events_of_correlation;
CREATE INDEX CONCURRENTLY events_of_correlation ON events (correlation_id, seq) WHERE correlation_id IS NOT NULL;
-- Pruning by age: every event goes by when it happened.
DROP INDEX CONCURRENTLY IF EXISTS events_age;
CREATE INDEX CONCURRENTLY events_age ON events (at_ms);
-- Keys whose time is over and that nobody was told of. The moments stand in the record.
DROP INDEX CONCURRENTLY IF EXISTS api_keys_untold_expiry;
CREATE INDEX CONCURRENTLY api_keys_untold_expiry ON api_keys (((body ->> 'expiresAtMs')::bigint))
WHERE deleted_at_ms IS NULL AND body ->> 'expiresAtMs' IS NOT NULL AND (body ->> 'expiryToldMs') IS DISTINCT FROM (body ->> 'expiresAtMs');
