-- Usage that other proxies report.

CREATE TABLE usage_reporters (
  id text COLLATE "C" PRIMARY KEY,
  body json NOT NULL
);

-- Every event that a reporter told us of, so that it is booked once. `reason` is NULL where it was booked; else the event is in quarantine,
-- and `body` is what is kept of it.
CREATE TABLE usage_reports (
  reporter_id text COLLATE "C" NOT NULL,
  event_id text COLLATE "C" NOT NULL,
  hash text COLLATE "C" NOT NULL,
  reason text COLLATE "C",
  received_at_ms bigint NOT NULL,
  body json NOT NULL,
  PRIMARY KEY (reporter_id, event_id)
);
CREATE INDEX usage_reports_quarantined ON usage_reports (reporter_id, event_id) WHERE reason IS NOT NULL;
CREATE INDEX usage_reports_age ON usage_reports USING brin (received_at_ms) WITH (pages_per_range = 32, autosummarize = on);

-- Usage of a key may be reported after the key was deleted.
CREATE INDEX api_keys_deleted_hash ON api_keys (hash) WHERE deleted_at_ms IS NOT NULL;
