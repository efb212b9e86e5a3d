-- Things that an upstream keeps for a tenant, such as a stored response and the items in it: who holds them. `tokens` is what a response
-- adds at most to the prompt of a call that builds on it; NULL where nobody knows.
CREATE TABLE upstream_objects (
  tenant_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  upstream_id text COLLATE "C" NOT NULL,
  model text COLLATE "C" NOT NULL,
  tokens bigint CHECK (tokens >= 0),
  at_ms bigint NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
-- Pruning by age; rows are appended nearly in its order.
CREATE INDEX upstream_objects_age ON upstream_objects USING brin (at_ms) WITH (pages_per_range = 32, autosummarize = on);

-- What a call used beside tokens: 'seconds', 'characters' or 'images', and how many of them. Empty where it used nothing of the sort.
ALTER TABLE usage_tail
  ADD COLUMN media_unit text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN media_quantity bigint NOT NULL DEFAULT 0 CHECK (media_quantity >= 0);
ALTER TABLE usage_events
  ADD COLUMN media_unit text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN media_quantity bigint NOT NULL DEFAULT 0;
