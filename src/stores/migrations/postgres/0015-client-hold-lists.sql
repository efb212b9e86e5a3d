-- no transaction
-- What made a hold, for its repeats; and the lists: in the order of creation and of expiry, by state. A build that was broken off leaves
-- an index that is of no use, so it starts anew.
DROP INDEX CONCURRENTLY IF EXISTS reservations_of_request;
CREATE UNIQUE INDEX CONCURRENTLY reservations_of_request ON reservations (tenant_id, request_key) WHERE request_key IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS reservations_listed;
CREATE INDEX CONCURRENTLY reservations_listed ON reservations (tenant_id, state, created_at_ms, id) WHERE purpose = 'budget';
DROP INDEX CONCURRENTLY IF EXISTS reservations_expiring;
CREATE INDEX CONCURRENTLY reservations_expiring ON reservations (tenant_id, state, expires_at_ms, id) WHERE purpose = 'budget';
