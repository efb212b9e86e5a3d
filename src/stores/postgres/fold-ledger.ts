import { JOURNAL_SUM_MASK } from '../_shared/checksums.ts';
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
import { arrayText, columnArrays } from './columns.ts';
import type { Reader } from './reader.ts';
import type { Row } from './statement.ts';

/** One node folds at a time; the others find nothing to do meanwhile. */
const LEDGER_FOLD_LOCK = 0x7e4d;

/** Pages of the journal that one step reads: some thousands of lines. */
const PAGES = 64;

/** Reservations that one step looks at. */
const RESERVATIONS = 2000;

type Query = (text: string, values?: readonly unknown[]) => Promise<readonly Row[]>;
type Line = FoldLine & { readonly ctid: string };

/**
 * The lines of some pages, in whatever order they lie, that are from before $3. The journal has no index that finds old lines among those
 * that took the place of folded ones, so a pass reads it from end to end, a range of row addresses at a time, once a day. Each line looks
 * its reservation up by reservations_pkey.
 */
const LINES = `
  SELECT entry.ctid::text, entry.account_no, entry.command, entry.verb, entry.d_allocated, entry.d_spent, entry.d_reserved, entry.d_debt,
         entry.at_ms, r.id AS reservation_id, r.settled_at_ms
  FROM ledger_entries AS entry LEFT JOIN reservations r ON r.id = entry.command
  WHERE entry.ctid >= $1::tid AND entry.ctid < $2::tid AND entry.at_ms < $3::bigint`;

const JOURNAL_PAGES = `SELECT pg_relation_size('ledger_entries') / current_setting('block_size')::bigint AS pages`;

const ADD_TO_CHECKPOINTS = `
  INSERT INTO ledger_checkpoints AS c (account_no, d_allocated, d_spent, d_reserved, d_debt, journal_sum)
  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
  ON CONFLICT (account_no) DO UPDATE SET
    d_allocated = c.d_allocated + excluded.d_allocated, d_spent = c.d_spent + excluded.d_spent, d_reserved = c.d_reserved + excluded.d_reserved,
    d_debt = c.d_debt + excluded.d_debt, journal_sum = (c.journal_sum + excluded.journal_sum) & ${JOURNAL_SUM_MASK}`;

// Index: reservations_pkey. Locked in the order in which batches lock them.
const DELETE_RESERVATIONS = `
  WITH due AS (SELECT id FROM reservations WHERE id = ANY ($1::text[]) ORDER BY id FOR UPDATE)
  DELETE FROM reservations USING due WHERE reservations.id = due.id`;

const PUT_MARK = `
  INSERT INTO retention_marks (kind, before_ms, step, cursor) VALUES ('ledger', $1, $2, $3)
  ON CONFLICT (kind) DO UPDATE SET before_ms = excluded.before_ms, step = excluded.step, cursor = excluded.cursor`;

interface Taken {
  readonly removed: number;
  readonly next: FoldMark;
}

async function foldLines(query: Query, { beforeMs, cursor }: FoldMark): Promise<Taken> {
  const first = Number(cursor === '' ? 0 : cursor);
  const end = first + PAGES;
  const [size] = (await query(JOURNAL_PAGES)) as unknown as { pages: bigint }[];
  const lines = (await query(LINES, [`(${first},0)`, `(${end},0)`, beforeMs])) as unknown as Line[];
  const foldable = lines.filter((line) => isFoldable(line, beforeMs));
  if (foldable.length > 0) {
    const rows = [...sumLines(foldable)].map(([accountNo, sum]) => [
      accountNo,
      sum.dAllocated,
      sum.dSpent,
      sum.dReserved,
      sum.dDebt,
      sum.journalSum,
    ]);
    await query(ADD_TO_CHECKPOINTS, columnArrays(rows, 6));
    // Lines never move, and nothing reads so old a line while this transaction holds the table.
    await query('DELETE FROM ledger_entries WHERE ctid = ANY ($1::tid[])', [`{${foldable.map(({ ctid }) => `"${ctid}"`).join(',')}}`]);
  }
  const isEnd = end >= Number(size?.pages ?? 0n);
  return { removed: foldable.length, next: { beforeMs, step: isEnd ? 'reservations' : 'lines', cursor: isEnd ? '' : String(end) } };
}

async function deleteReservations(query: Query, { beforeMs, cursor }: FoldMark): Promise<Taken> {
  // Index: reservations_pkey.
  const found = (await query('SELECT id, created_at_ms, settled_at_ms FROM reservations WHERE id > $1 ORDER BY id LIMIT $2', [
    cursor,
    RESERVATIONS,
  ])) as unknown as FoldReservation[];
  const due = found.filter(({ settled_at_ms: settledMs }) => settledMs !== null && settledMs < BigInt(beforeMs));
  if (due.length > 0) await query(DELETE_RESERVATIONS, [arrayText(due.map(({ id }) => id))]);
  const isEnd = isPastDue(found, RESERVATIONS, beforeMs);
  return { removed: due.length, next: { beforeMs, step: isEnd ? 'done' : 'reservations', cursor: isEnd ? '' : (found.at(-1)?.id ?? '') } };
}

interface MarkRow {
  readonly before_ms: bigint;
  readonly step: FoldMark['step'];
  readonly cursor: string;
}

/** One step, in a transaction of its own; null where there is nothing to do, or where another node does it. */
function foldStep(reader: Reader, cutoffMs: number): Promise<number | null> {
  return reader.transaction('BEGIN', async (query) => {
    const [lock] = await query('SELECT pg_try_advisory_xact_lock($1) AS taken', [LEDGER_FOLD_LOCK]);
    if (lock?.['taken'] !== true) return null;
    const [row] = (await query(`SELECT before_ms, step, cursor FROM retention_marks WHERE kind = 'ledger'`)) as unknown as MarkRow[];
    const kept = row === undefined ? NEVER_FOLDED : { ...row, beforeMs: Number(row.before_ms) };
    const mark = nextPass(kept, cutoffMs);
    if (mark === null) return null;
    // Before the lines: the journal lets go of nothing younger.
    if (mark !== kept) await query(PUT_MARK, [mark.beforeMs, mark.step, mark.cursor]);
    const { removed, next } = mark.step === 'lines' ? await foldLines(query, mark) : await deleteReservations(query, mark);
    await query(PUT_MARK, [next.beforeMs, next.step, next.cursor]);
    return removed;
  });
}

/** Folds the lines of the journal from before `cutoffMs`, and deletes the reservations that they told of; returns how many rows went. */
export async function foldLedger(reader: Reader, cutoffMs: number, isStopping: () => boolean): Promise<number> {
  let removed = 0;
  while (!isStopping()) {
    const step = await foldStep(reader, cutoffMs);
    if (step === null) return removed;
    removed += step;
  }
  return removed;
}
