-- no transaction
-- Pruning of what was delivered. A build that was broken off leaves an index that is of no use, so it starts anew.
DROP INDEX CONCURRENTLY IF EXISTS events_delivered;
CREATE INDEX CONCURRENTLY events_delivered ON events (delivered_at_ms) WHERE delivered_at_ms IS NOT NULL;
