import { canonicalJson } from '../json/canonical-json.ts';
import { MAX_REPORT_AGE_MS } from '../usage/usage-report.ts';
import type { BillCorrection, CorrectionLine, Statement, StatementLine, UsageLine } from './bill-records.ts';
import { monthOf, monthRange, type Month } from './month.ts';

/**
 * Sums of one key and model over a time. `chargeMicrocents` is the sum of its events' charges. Counts are safe integers.
 */
export interface UsageCharge {
  readonly keyId: string;
  readonly model: string;
  readonly requests: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly chargeMicrocents: bigint;
}

/**
 * How long after a month's end it is billed at the earliest. What happened before midnight is in the store by then, but for what other
 * proxies report later.
 */
export const BILL_DELAY_MS = 3_600_000;

/** The last month that may be billed at `nowMs`. */
export const lastDueMonth = (nowMs: number): Month => monthOf(monthRange(monthOf(nowMs - BILL_DELAY_MS)).fromMs - 1);

/**
 * The first month of which usage may have been told after `closedMonth` was billed: whoever reports past use has so long at the most.
 */
export const firstLateMonth = (closedMonth: Month): Month => monthOf(monthRange(closedMonth).toMs - MAX_REPORT_AGE_MS);

const nameOf = ({ keyId, model }: { readonly keyId: string; readonly model: string }): string => JSON.stringify([keyId, model]);

/**
 * The lines of a month: what the store has of it (`used`) less what the lines of earlier statements have (`billed`, of any month). So an
 * event is in exactly one statement: the first that was made after the event was there. Ordered by key name, then model.
 */
export function usageLines(options: {
  readonly month: Month;
  /** Where the part of the month starts that `used` is of; absent: all of it. */
  readonly fromMs?: number;
  readonly used: readonly UsageCharge[];
  readonly billed: readonly StatementLine[];
  readonly keyNames: ReadonlyMap<string, string>;
}): UsageLine[] {
  const { month, fromMs, used, billed, keyNames } = options;
  const open = new Map<string, UsageCharge>(used.map((sums) => [nameOf(sums), sums]));
  for (const line of billed) {
    if (line.kind !== 'usage' || line.month !== month) continue;
    const sums = open.get(nameOf(line));
    open.set(nameOf(line), {
      keyId: line.keyId,
      model: line.model,
      requests: (sums?.requests ?? 0) - line.requests,
      promptTokens: (sums?.promptTokens ?? 0) - line.promptTokens,
      completionTokens: (sums?.completionTokens ?? 0) - line.completionTokens,
      chargeMicrocents: (sums?.chargeMicrocents ?? 0n) - BigInt(line.chargeMicrocents),
    });
  }
  return [...open.values()]
    .filter((sums) => sums.requests !== 0 || sums.promptTokens !== 0 || sums.completionTokens !== 0 || sums.chargeMicrocents !== 0n)
    .map((sums): UsageLine => {
      const keyName = keyNames.get(sums.keyId) ?? sums.keyId;
      const line: UsageLine = { kind: 'usage', month, ...sums, keyName, chargeMicrocents: sums.chargeMicrocents.toString() };
      return fromMs === undefined ? line : { ...line, fromMs };
    })
    .toSorted((a, b) => order(a.keyName, b.keyName) || order(a.keyId, b.keyId) || order(a.model, b.model));
}

const order = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

/** The line of a correction. */
export const correctionLine = (correction: BillCorrection): CorrectionLine => ({
  kind: 'correction',
  correctionId: correction.id,
  concerns: correction.concernsNumber,
  reason: correction.reason,
  atMs: correction.createdAtMs,
  chargeMicrocents: correction.chargeMicrocents,
});

/** The sum of lines, in USD_MICROCENTS. */
export const totalOf = (lines: readonly StatementLine[]): bigint => lines.reduce((sum, line) => sum + BigInt(line.chargeMicrocents), 0n);

/** What people call a tenant's statement by. */
export const statementNumber = (tenantId: string, no: number): string => `${tenantId}-${String(no).padStart(4, '0')}`;

/** What a statement's hash is of: everything that it says but the hash, with its lines, as one text. */
export const contentOf = ({ hash: _hash, ...statement }: Statement, lines: readonly StatementLine[]): string =>
  canonicalJson({ ...statement, lines });
