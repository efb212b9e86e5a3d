-- What a reservation of a Cycles client has beside its hold, and the remembered answers that its row keeps: to what made it and to what
-- ended it. So a hold and its end are one row each time, and an answer is there for as long as its reservation. NULL for calls.
ALTER TABLE reservations ADD COLUMN scope_path text COLLATE "C";
ALTER TABLE reservations ADD COLUMN held bigint;
ALTER TABLE reservations ADD COLUMN request_key text COLLATE "C";
ALTER TABLE reservations ADD COLUMN request_hash text COLLATE "C";
ALTER TABLE reservations ADD COLUMN request_answer text COLLATE "C";
ALTER TABLE reservations ADD COLUMN settled_with text COLLATE "C";
ALTER TABLE reservations ADD COLUMN settle_key text COLLATE "C";
ALTER TABLE reservations ADD COLUMN settle_hash text COLLATE "C";
ALTER TABLE reservations ADD COLUMN settle_answer text COLLATE "C";

-- What policies count: the last minute in which anything was, and how often.
CREATE TABLE rate_windows (
  tenant_id text COLLATE "C" NOT NULL,
  policy_id text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL CHECK (kind IN ('reserve', 'commit')),
  minute bigint NOT NULL,
  count bigint NOT NULL CHECK (count >= 0),
  PRIMARY KEY (tenant_id, policy_id, kind)
);
