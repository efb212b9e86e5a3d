-- no transaction
-- What the caller was answered: NULL where nobody knows.
ALTER TABLE audit ADD COLUMN IF NOT EXISTS http_status bigint;
ALTER TABLE audit ADD COLUMN IF NOT EXISTS error_code text COLLATE "C";

-- The place of a row in its chain, once. A build that was broken off leaves an index that is of no use, so each starts anew.
DROP INDEX CONCURRENTLY IF EXISTS audit_chain;
CREATE UNIQUE INDEX CONCURRENTLY audit_chain ON audit (tenant_id, no) WHERE no IS NOT NULL;

-- The orders in which the trail is listed; what narrows a list is read in the order of time from the same indexes.
DROP INDEX CONCURRENTLY IF EXISTS audit_by_time;
CREATE INDEX CONCURRENTLY audit_by_time ON audit (at_ms, seq);
DROP INDEX CONCURRENTLY IF EXISTS audit_by_tenant;
CREATE INDEX CONCURRENTLY audit_by_tenant ON audit (tenant_id, at_ms, seq);
DROP INDEX CONCURRENTLY IF EXISTS audit_by_operation;
CREATE INDEX CONCURRENTLY audit_by_operation ON audit (operation, at_ms, seq);
DROP INDEX CONCURRENTLY IF EXISTS audit_by_kind;
CREATE INDEX CONCURRENTLY audit_by_kind ON audit (resource_kind, at_ms, seq);
DROP INDEX CONCURRENTLY IF EXISTS audit_by_actor;
CREATE INDEX CONCURRENTLY audit_by_actor ON audit (actor_id, at_ms, seq);
DROP INDEX CONCURRENTLY IF EXISTS audit_by_status;
CREATE INDEX CONCURRENTLY audit_by_status ON audit ((coalesce(http_status, 0)), at_ms, seq);
DROP INDEX CONCURRENTLY IF EXISTS audit_by_error;
CREATE INDEX CONCURRENTLY audit_by_error ON audit (error_code, at_ms, seq) WHERE error_code IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS audit_by_thing;
CREATE INDEX CONCURRENTLY audit_by_thing ON audit (resource_id, at_ms, seq);
DROP INDEX CONCURRENTLY IF EXISTS audit_of_trace;
CREATE INDEX CONCURRENTLY audit_of_trace ON audit (trace_id) WHERE trace_id IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS audit_of_request;
CREATE INDEX CONCURRENTLY audit_of_request ON audit (request_id);
