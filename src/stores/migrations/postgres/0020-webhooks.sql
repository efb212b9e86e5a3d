-- What is delivered of events: a row for each event and subscription, and for each replay of both. `replay_id` is empty for what was
-- delivered when it happened. `due_at_ms` is null once a delivery has ended. `untold` while its failure is still to be told.
CREATE TABLE deliveries (
  webhook_id text COLLATE "C" NOT NULL,
  event_seq bigint NOT NULL,
  replay_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  event_id text COLLATE "C" NOT NULL,
  event_type text COLLATE "C" NOT NULL,
  tenant_id text COLLATE "C" NOT NULL,
  trace_id text COLLATE "C",
  trace_flags text COLLATE "C",
  status text COLLATE "C" NOT NULL CHECK (status IN ('PENDING', 'RETRYING', 'SUCCESS', 'FAILED')),
  attempts integer NOT NULL,
  created_at_ms bigint NOT NULL,
  due_at_ms bigint,
  attempted_at_ms bigint,
  completed_at_ms bigint,
  response_status integer,
  response_time_ms integer,
  error text,
  untold boolean NOT NULL,
  PRIMARY KEY (webhook_id, event_seq, replay_id)
) WITH (fillfactor = 70);
-- What is due to one subscription, in the order of the events.
CREATE INDEX deliveries_open ON deliveries (webhook_id, event_seq, replay_id) WHERE due_at_ms IS NOT NULL;
-- Lists of one subscription's deliveries, a status at a time.
CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, status, created_at_ms, id);
-- Pruning, and failures that nobody was told of.
CREATE INDEX deliveries_ended ON deliveries (completed_at_ms) WHERE completed_at_ms IS NOT NULL;
CREATE INDEX deliveries_untold ON deliveries (webhook_id, event_seq, replay_id) WHERE untold;

-- How the deliveries of a subscription go, and who delivers: apart from its record, so that neither writes over the other. `due_at_ms` is
-- when something is due, null where nothing waits. `fence` grows with each lease.
CREATE TABLE webhook_health (
  webhook_id text COLLATE "C" PRIMARY KEY,
  epoch bigint NOT NULL,
  failures bigint NOT NULL,
  last_triggered_at_ms bigint,
  last_success_at_ms bigint,
  last_failure_at_ms bigint,
  due_at_ms bigint,
  lease_owner text COLLATE "C",
  lease_until_ms bigint,
  fence bigint NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX webhook_health_due ON webhook_health (due_at_ms) WHERE due_at_ms IS NOT NULL;

-- Counts of what tenants do, by minute, for rates.
CREATE TABLE activity (
  minute_ms bigint NOT NULL,
  tenant_id text COLLATE "C" NOT NULL,
  metric text COLLATE "C" NOT NULL,
  count bigint NOT NULL,
  PRIMARY KEY (minute_ms, tenant_id, metric)
) WITH (fillfactor = 70);
