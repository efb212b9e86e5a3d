-- What is delivered of events: a row for each event and subscription, and for each replay of both. `replay_id` is empty for what was
-- delivered when it happened. `due_at_ms` is NULL once a delivery has ended. `untold` is 1 while its failure is still to be told.
CREATE TABLE deliveries (
  webhook_id TEXT NOT NULL,
  event_seq INTEGER NOT NULL,
  replay_id TEXT NOT NULL,
  id TEXT NOT NULL,
  event_id TEXT NOT NULL,
  event_type TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  trace_id TEXT,
  trace_flags TEXT,
  status TEXT NOT NULL CHECK (status IN ('PENDING', 'RETRYING', 'SUCCESS', 'FAILED')),
  attempts INTEGER NOT NULL CHECK (attempts >= 0),
  created_at_ms INTEGER NOT NULL,
  due_at_ms INTEGER,
  attempted_at_ms INTEGER,
  completed_at_ms INTEGER,
  response_status INTEGER,
  response_time_ms INTEGER,
  error TEXT,
  untold INTEGER NOT NULL CHECK (untold IN (0, 1)),
  PRIMARY KEY (webhook_id, event_seq, replay_id)
) STRICT, WITHOUT ROWID;
-- What is due to one subscription, in the order of the events.
CREATE INDEX deliveries_open ON deliveries (webhook_id, event_seq, replay_id) WHERE due_at_ms IS NOT NULL;
-- Lists of one subscription's deliveries, a status at a time.
CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, status, created_at_ms, id);
-- Pruning, and failures that nobody was told of.
CREATE INDEX deliveries_ended ON deliveries (completed_at_ms) WHERE completed_at_ms IS NOT NULL;
CREATE INDEX deliveries_untold ON deliveries (webhook_id, event_seq, replay_id) WHERE untold = 1;

-- How the deliveries of a subscription go, and who delivers: apart from its record, so that neither writes over the other. `due_at_ms` is
-- when something is due, NULL where nothing waits. `fence` grows with each lease.
CREATE TABLE webhook_health (
  webhook_id TEXT PRIMARY KEY,
  epoch INTEGER NOT NULL,
  failures INTEGER NOT NULL CHECK (failures >= 0),
  last_triggered_at_ms INTEGER,
  last_success_at_ms INTEGER,
  last_failure_at_ms INTEGER,
  due_at_ms INTEGER,
  lease_owner TEXT,
  lease_until_ms INTEGER,
  fence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_health_due ON webhook_health (due_at_ms) WHERE due_at_ms IS NOT NULL;

-- Counts of what tenants do, by minute, for rates.
CREATE TABLE activity (
  minute_ms INTEGER NOT NULL,
  tenant_id TEXT NOT NULL,
  metric TEXT NOT NULL,
  count INTEGER NOT NULL CHECK (count >= 0),
  PRIMARY KEY (minute_ms, tenant_id, metric)
) STRICT, WITHOUT ROWID;
