-- What made a hold, for its repeats.
CREATE UNIQUE INDEX reservations_of_request ON reservations (tenant_id, request_key) WHERE request_key IS NOT NULL;

-- The lists: in the order of creation and of expiry, by state; a list without a state merges all four.
CREATE INDEX reservations_listed ON reservations (tenant_id, state, created_at_ms, id) WHERE purpose = 'budget';
CREATE INDEX reservations_expiring ON reservations (tenant_id, state, expires_at_ms, id) WHERE purpose = 'budget';
