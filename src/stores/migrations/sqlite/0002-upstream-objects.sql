-- Things that an upstream keeps for a tenant, such as a stored response and the items in it: who holds them. `tokens` is what a response
-- adds at most to the prompt of a call that builds on it; NULL where nobody knows.
CREATE TABLE upstream_objects (
  tenant_id TEXT NOT NULL,
  id TEXT NOT NULL,
  upstream_id TEXT NOT NULL,
  model TEXT NOT NULL,
  tokens INTEGER CHECK (tokens >= 0),
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
-- Pruning by age.
CREATE INDEX upstream_objects_age ON upstream_objects (at_ms);

-- What a call used beside tokens: 'seconds', 'characters' or 'images', and how many of them. Empty where it used nothing of the sort.
ALTER TABLE usage_tail ADD COLUMN media_unit TEXT NOT NULL DEFAULT '';
ALTER TABLE usage_tail ADD COLUMN media_quantity INTEGER NOT NULL DEFAULT 0 CHECK (media_quantity >= 0);
ALTER TABLE usage_events ADD COLUMN media_unit TEXT NOT NULL DEFAULT '';
ALTER TABLE usage_events ADD COLUMN media_quantity INTEGER NOT NULL DEFAULT 0;
