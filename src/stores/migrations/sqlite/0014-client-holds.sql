-- What a reservation of a Cycles client has beside its hold, and the remembered answers that its row keeps: to what made it and to what
-- ended it. So a hold and its end are one row each time, and an answer is there for as long as its reservation. NULL for calls.
ALTER TABLE reservations ADD COLUMN scope_path TEXT;
ALTER TABLE reservations ADD COLUMN held INTEGER;
ALTER TABLE reservations ADD COLUMN request_key TEXT;
ALTER TABLE reservations ADD COLUMN request_hash TEXT;
ALTER TABLE reservations ADD COLUMN request_answer TEXT;
ALTER TABLE reservations ADD COLUMN settled_with TEXT;
ALTER TABLE reservations ADD COLUMN settle_key TEXT;
ALTER TABLE reservations ADD COLUMN settle_hash TEXT;
ALTER TABLE reservations ADD COLUMN settle_answer TEXT;

-- What policies count: the last minute in which anything was, and how often.
CREATE TABLE rate_windows (
  tenant_id TEXT NOT NULL,
  policy_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('reserve', 'commit')),
  minute INTEGER NOT NULL,
  count INTEGER NOT NULL CHECK (count >= 0),
  PRIMARY KEY (tenant_id, policy_id, kind)
) STRICT, WITHOUT ROWID;
