-- When tenants' keys were last used. No record: a use is no change that other nodes have to hear of.
CREATE TABLE key_uses (
  key_id TEXT PRIMARY KEY,
  last_used_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
