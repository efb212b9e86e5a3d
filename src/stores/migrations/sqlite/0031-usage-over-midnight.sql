-- Usage of calls that were held before a midnight (UTC) and booked after it: few, and what the sums of days cannot tell of a budget's window.
CREATE INDEX usage_over_midnight ON usage_events (tenant_id, at_ms) WHERE at_ms / 86400000 <> held_at_ms / 86400000;
