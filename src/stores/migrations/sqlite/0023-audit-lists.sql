-- What the caller was answered: NULL where nobody knows.
ALTER TABLE audit ADD COLUMN http_status INTEGER;
ALTER TABLE audit ADD COLUMN error_code TEXT;

-- The orders in which the trail is listed; what narrows a list is read in the order of time from the same indexes.
CREATE INDEX audit_by_time ON audit (at_ms, seq);
CREATE INDEX audit_by_tenant ON audit (tenant_id, at_ms, seq);
CREATE INDEX audit_by_operation ON audit (operation, at_ms, seq);
CREATE INDEX audit_by_kind ON audit (resource_kind, at_ms, seq);
CREATE INDEX audit_by_actor ON audit (actor_id, at_ms, seq);
CREATE INDEX audit_by_status ON audit (coalesce(http_status, 0), at_ms, seq);
CREATE INDEX audit_by_error ON audit (error_code, at_ms, seq) WHERE error_code IS NOT NULL;
CREATE INDEX audit_by_thing ON audit (resource_id, at_ms, seq);
CREATE INDEX audit_of_trace ON audit (trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX audit_of_request ON audit (request_id);
