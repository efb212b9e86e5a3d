-- Usage that other proxies report.

CREATE TABLE usage_reporters (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Every event that a reporter told us of, so that it is booked once. `reason` is NULL where it was booked; else the event is in quarantine,
-- and `body` (JSON) is what is kept of it.
CREATE TABLE usage_reports (
  reporter_id TEXT NOT NULL,
  event_id TEXT NOT NULL,
  hash TEXT NOT NULL,
  reason TEXT,
  received_at_ms INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (reporter_id, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_reports_quarantined ON usage_reports (reporter_id, event_id) WHERE reason IS NOT NULL;
CREATE INDEX usage_reports_age ON usage_reports (received_at_ms);

-- Usage of a key may be reported after the key was deleted.
CREATE INDEX api_keys_deleted_hash ON api_keys (hash) WHERE deleted_at_ms IS NOT NULL;
