-- Pruning of what was delivered.
CREATE INDEX events_delivered ON events (delivered_at_ms) WHERE delivered_at_ms IS NOT NULL;
