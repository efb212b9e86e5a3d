import { JOURNAL_SUM_MASK, lineSum } from './checksums.ts';

/**
 * Old lines of the journal are folded: taken out, and added to a checkpoint row of their account, from which verification starts. A line
 * goes with its reservation, once that was settled long enough ago; any other goes by its own age. Then the reservations go.
 *
 * A pass runs in small transactions: first `lines`, then `reservations`. `retention_marks` keeps where it is, so that another run, or
 * another node, goes on there. Within a pass a reservation may have lost some of its lines; verification leaves those that are on their
 * way out aside, and still accounts for each amount.
 */
export interface FoldMark {
  /** Reservations settled before this moment, and lines of that age, go. */
  readonly beforeMs: number;
  readonly step: 'lines' | 'reservations' | 'done';
  readonly cursor: string;
}

/** The mark of a store that has never folded anything. */
export const NEVER_FOLDED: FoldMark = { beforeMs: 0, step: 'done', cursor: '' };

/**
 * The mark to go on from with what may go before `cutoffMs`: where the last pass has ended and there is more to take, a new pass; null
 * where there is nothing to do. A pass that was begun is ended as it was begun.
 */
export function nextPass(mark: FoldMark, cutoffMs: number): FoldMark | null {
  if (mark.step !== 'done') return mark;
  return cutoffMs > mark.beforeMs ? { beforeMs: cutoffMs, step: 'lines', cursor: '' } : null;
}

/** A line of the journal as both drivers give it, with its reservation's state where it has one. Integers are bigint. */
export interface FoldLine {
  readonly account_no: bigint;
  readonly command: string;
  readonly verb: string;
  readonly d_allocated: bigint;
  readonly d_spent: bigint;
  readonly d_reserved: bigint;
  readonly d_debt: bigint;
  readonly at_ms: bigint;
  /** Null where the line tells of no reservation. */
  readonly reservation_id: string | null;
  readonly settled_at_ms: bigint | null;
}

/** Verbs whose lines tell of a reservation; such a line without one is a fault that verification has to find. */
const RESERVATION_VERBS: ReadonlySet<string> = new Set(['reserve', 'commit', 'release', 'expire']);

/** Whether a line may be folded in a pass that takes what is from before `beforeMs`. */
export function isFoldable(line: FoldLine, beforeMs: number): boolean {
  if (line.at_ms >= BigInt(beforeMs)) return false;
  if (line.reservation_id === null) return !RESERVATION_VERBS.has(line.verb);
  return line.settled_at_ms !== null && line.settled_at_ms < BigInt(beforeMs);
}

/** What lines of one account add up to. */
export interface FoldedSums {
  lines: bigint;
  dAllocated: bigint;
  dSpent: bigint;
  dReserved: bigint;
  dDebt: bigint;
  /** Below 2^52, as in the account's row. */
  journalSum: number;
}

/** Sums lines by the number of their account. */
export function sumLines(lines: readonly FoldLine[]): Map<bigint, FoldedSums> {
  const sums = new Map<bigint, FoldedSums>();
  for (const line of lines) {
    let sum = sums.get(line.account_no);
    if (sum === undefined) {
      sum = { lines: 0n, dAllocated: 0n, dSpent: 0n, dReserved: 0n, dDebt: 0n, journalSum: 0 };
      sums.set(line.account_no, sum);
    }
    sum.lines += 1n;
    sum.dAllocated += line.d_allocated;
    sum.dSpent += line.d_spent;
    sum.dReserved += line.d_reserved;
    sum.dDebt += line.d_debt;
    sum.journalSum = (sum.journalSum + lineSum(line.command, line.verb, line.at_ms)) % (JOURNAL_SUM_MASK + 1);
  }
  return sums;
}

/** A reservation as a pass looks at it. */
export interface FoldReservation {
  readonly id: string;
  readonly created_at_ms: bigint;
  readonly settled_at_ms: bigint | null;
}

/**
 * Ids sort by time, but by the clocks of the nodes that made them: reservations are looked through until this far beyond the cut-off,
 * which no clock is off.
 */
const CLOCKS_APART_MS = 86_400_000;

/** Whether nothing that comes after these reservations, the next `limit` by id, can be due. */
export const isPastDue = (reservations: readonly FoldReservation[], limit: number, beforeMs: number): boolean =>
  reservations.length < limit || reservations.every(({ created_at_ms: atMs }) => atMs >= BigInt(beforeMs + CLOCKS_APART_MS));
