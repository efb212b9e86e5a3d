-- What was forgotten by age. `kind` 'ledger': reservations settled before `before_ms`, and lines of the journal from before it, are gone or on
-- their way: `step` is 'lines' while lines are folded, 'reservations' while those they told of are deleted, 'done' after that, and `cursor`
-- tells how far that has come. `kind` 'usage_events': of events from before `before_ms` any may be gone.
CREATE TABLE retention_marks (
  kind text COLLATE "C" PRIMARY KEY,
  before_ms bigint NOT NULL,
  step text COLLATE "C" NOT NULL,
  cursor text COLLATE "C" NOT NULL,
  CONSTRAINT retention_marks_sound CHECK (step IN ('lines', 'reservations', 'done'))
);

-- What the lines that were taken out of the journal add up to, a row for each account: verification starts from it.
CREATE TABLE ledger_checkpoints (
  account_no bigint PRIMARY KEY,
  d_allocated bigint NOT NULL,
  d_spent bigint NOT NULL,
  d_reserved bigint NOT NULL,
  d_debt bigint NOT NULL,
  journal_sum bigint NOT NULL
);

-- A line of the journal goes only when it is old enough to be folded.
CREATE OR REPLACE FUNCTION refuse_journal_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    IF EXISTS (SELECT FROM retention_marks WHERE kind = 'ledger' AND step = 'lines' AND OLD.at_ms < before_ms) THEN
      RETURN OLD;
    END IF;
  END IF;
  RAISE EXCEPTION 'ledger_entries is append-only: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
