import type { Database } from 'better-sqlite3';
import {
  isFoldable,
  isPastDue,
  nextPass,
  NEVER_FOLDED,
  sumLines,
  type FoldLine,
  type FoldMark,
  type FoldReservation,
} from '../_shared/ledger-fold.ts';

/** What one step of folding did: rows that are gone, and whether there is nothing left to do. */
export interface FoldStep {
  readonly removed: number;
  readonly isDone: boolean;
}

/** Folds at most `limit` lines from before `latestMs`, or deletes at most `limit` reservations. Runs inside a transaction that its caller commits. */
export type LedgerFolder = (latestMs: number, limit: number) => FoldStep;

type Line = FoldLine & { readonly seq: bigint };

interface MarkRow {
  readonly before_ms: number;
  readonly step: FoldMark['step'];
  readonly cursor: string;
}

// Each line joins a row that exists only where it tells of a reservation. By primary key, both.
const LINES = `
  SELECT entry.seq, account_no, command, verb, d_allocated, d_spent, d_reserved, d_debt, at_ms,
    reservations.id AS reservation_id, reservations.settled_at_ms
  FROM ledger_entries AS entry LEFT JOIN reservations ON reservations.id = entry.command
  WHERE entry.seq > ? ORDER BY entry.seq LIMIT ?`;

const ADD_TO_CHECKPOINT = `
  INSERT INTO ledger_checkpoints (account_no, lines, d_allocated, d_spent, d_reserved, d_debt, journal_sum) VALUES (?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (account_no) DO UPDATE SET
    lines = lines + excluded.lines, d_allocated = d_allocated + excluded.d_allocated, d_spent = d_spent + excluded.d_spent,
    d_reserved = d_reserved + excluded.d_reserved, d_debt = d_debt + excluded.d_debt,
    journal_sum = (journal_sum + excluded.journal_sum) & 4503599627370495`;

/** Prepares the folding of old lines of the journal, and the removal of the reservations that they told of. */
export function makeLedgerFolder(db: Database): LedgerFolder {
  const readMark = db.prepare<[], MarkRow>(`SELECT before_ms, step, cursor FROM retention_marks WHERE kind = 'ledger'`);
  const putMark = db.prepare<[number, string, string]>(
    `INSERT OR REPLACE INTO retention_marks (kind, before_ms, step, cursor) VALUES ('ledger', ?, ?, ?)`,
  );
  const newestLineMs = db.prepare<[], number>('SELECT at_ms FROM ledger_entries ORDER BY seq DESC LIMIT 1').pluck();
  const readLines = db.prepare<[bigint, number], Line>(LINES).safeIntegers();
  const addToCheckpoint = db.prepare<bigint[]>(ADD_TO_CHECKPOINT);
  const deleteLine = db.prepare<[bigint]>('DELETE FROM ledger_entries WHERE seq = ?');
  const readReservations = db
    .prepare<[string, number], FoldReservation>(
      'SELECT id, created_at_ms, settled_at_ms FROM reservations WHERE id > ? ORDER BY id LIMIT ?',
    )
    .safeIntegers();
  const deleteReservation = db.prepare<[string]>('DELETE FROM reservations WHERE id = ?');

  const foldLines = ({ beforeMs, cursor }: FoldMark, limit: number): { removed: number; next: FoldMark } => {
    const lines = readLines.all(BigInt(cursor === '' ? 0 : cursor), limit);
    // Time never goes back from line to line.
    const young = lines.findIndex((line) => line.at_ms >= BigInt(beforeMs));
    const old = young < 0 ? lines : lines.slice(0, young);
    const foldable = old.filter((line) => isFoldable(line, beforeMs));
    for (const [accountNo, sum] of sumLines(foldable)) {
      addToCheckpoint.run(accountNo, sum.lines, sum.dAllocated, sum.dSpent, sum.dReserved, sum.dDebt, BigInt(sum.journalSum));
    }
    for (const { seq } of foldable) deleteLine.run(seq);
    const isEnd = young >= 0 || lines.length < limit;
    return {
      removed: foldable.length,
      next: { beforeMs, step: isEnd ? 'reservations' : 'lines', cursor: isEnd ? '' : `${lines.at(-1)?.seq}` },
    };
  };

  const deleteReservations = ({ beforeMs, cursor }: FoldMark, limit: number): { removed: number; next: FoldMark } => {
    const found = readReservations.all(cursor, limit);
    const due = found.filter(({ settled_at_ms: settledMs }) => settledMs !== null && settledMs < BigInt(beforeMs));
    for (const { id } of due) deleteReservation.run(id);
    const isEnd = isPastDue(found, limit, beforeMs);
    return {
      removed: due.length,
      next: { beforeMs, step: isEnd ? 'done' : 'reservations', cursor: isEnd ? '' : (found.at(-1)?.id ?? '') },
    };
  };

  return (latestMs, limit) => {
    // The newest line stays, with whatever is as young: the next line takes its number from it.
    const cutoffMs = Math.min(latestMs, newestLineMs.get() ?? 0);
    const row = readMark.get();
    const kept = row === undefined ? NEVER_FOLDED : { beforeMs: row.before_ms, step: row.step, cursor: row.cursor };
    const mark = nextPass(kept, cutoffMs);
    if (mark === null) return { removed: 0, isDone: true };
    // Before the lines: the journal lets go of nothing younger.
    if (mark !== kept) putMark.run(mark.beforeMs, mark.step, mark.cursor);
    const { removed, next } = mark.step === 'lines' ? foldLines(mark, limit) : deleteReservations(mark, limit);
    putMark.run(next.beforeMs, next.step, next.cursor);
    return { removed, isDone: nextPass(next, cutoffMs) === null };
  };
}
