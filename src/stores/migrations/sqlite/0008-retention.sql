-- What was forgotten by age. `kind` 'ledger': reservations settled before `before_ms`, and lines of the journal from before it, are gone or on
-- their way: `step` is 'lines' while lines are folded, 'reservations' while those they told of are deleted, 'done' after that, and `cursor`
-- tells how far that has come.
CREATE TABLE retention_marks (
  kind TEXT PRIMARY KEY,
  before_ms INTEGER NOT NULL,
  step TEXT NOT NULL CHECK (step IN ('lines', 'reservations', 'done')),
  cursor TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What the lines that were taken out of the journal add up to, a row for each account: verification starts from it.
CREATE TABLE ledger_checkpoints (
  account_no INTEGER PRIMARY KEY,
  lines INTEGER NOT NULL CHECK (lines >= 0),
  d_allocated INTEGER NOT NULL,
  d_spent INTEGER NOT NULL,
  d_reserved INTEGER NOT NULL,
  d_debt INTEGER NOT NULL,
  journal_sum INTEGER NOT NULL
) STRICT;

-- A line of the journal goes only when it is old enough to be folded.
DROP TRIGGER ledger_entries_no_delete;
CREATE TRIGGER ledger_entries_no_delete BEFORE DELETE ON ledger_entries
WHEN NOT EXISTS (SELECT 1 FROM retention_marks WHERE kind = 'ledger' AND step = 'lines' AND OLD.at_ms < before_ms)
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
