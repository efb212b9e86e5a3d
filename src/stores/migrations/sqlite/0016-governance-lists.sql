-- The orders in which tenants and their keys are listed.
CREATE INDEX tenants_by_creation ON tenants (json_extract(body, '$.createdAtMs'), id);
CREATE INDEX tenants_by_name ON tenants (json_extract(body, '$.name'), id);
CREATE INDEX tenants_by_status ON tenants (json_extract(body, '$.status'), id);
CREATE INDEX api_keys_of_tenants ON api_keys (created_at_ms, id) WHERE kind = 'tenant';
CREATE INDEX api_keys_of_one_tenant ON api_keys (tenant_id, created_at_ms, id) WHERE kind = 'tenant';
