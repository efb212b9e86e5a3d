-- no transaction
-- The orders in which tenants and their keys are listed. A build that was broken off leaves an index that is of no use, so it starts anew.
DROP INDEX CONCURRENTLY IF EXISTS tenants_by_creation;
CREATE INDEX CONCURRENTLY tenants_by_creation ON tenants (((body ->> 'createdAtMs')::bigint), id);
DROP INDEX CONCURRENTLY IF EXISTS tenants_by_name;
CREATE INDEX CONCURRENTLY tenants_by_name ON tenants (((body ->> 'name') COLLATE "C"), id);
DROP INDEX CONCURRENTLY IF EXISTS tenants_by_status;
CREATE INDEX CONCURRENTLY tenants_by_status ON tenants (((body ->> 'status') COLLATE "C"), id);
DROP INDEX CONCURRENTLY IF EXISTS api_keys_of_tenants;
CREATE INDEX CONCURRENTLY api_keys_of_tenants ON api_keys (created_at_ms, id) WHERE kind = 'tenant';
DROP INDEX CONCURRENTLY IF EXISTS api_keys_of_one_tenant;
CREATE INDEX CONCURRENTLY api_keys_of_one_tenant ON api_keys (tenant_id, created_at_ms, id) WHERE kind = 'tenant';
