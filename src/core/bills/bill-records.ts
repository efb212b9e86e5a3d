import type { Month } from './month.ts';

/**
 * What one key used of one model in one month, as far as no earlier statement has it. `chargeMicrocents` is decimal: what budgets were
 * charged for it, in USD_MICROCENTS. A line of an earlier month than its statement's is of usage that was told late. `fromMs` is where its
 * part of the month starts, where the rate changed in the month.
 */
export interface UsageLine {
  readonly kind: 'usage';
  readonly month: Month;
  readonly keyId: string;
  /** The name that the key had when the statement was issued. */
  readonly keyName: string;
  readonly model: string;
  readonly requests: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly chargeMicrocents: string;
  readonly fromMs?: number;
  readonly perUsdNanos?: number;
}

/** What the operator corrected: decimal USD_MICROCENTS, negative where it is in the tenant's favour. */
export interface CorrectionLine {
  readonly kind: 'correction';
  readonly correctionId: string;
  /** The number of the statement that it corrects; null where it concerns none. */
  readonly concerns: string | null;
  readonly reason: string;
  readonly atMs: number;
  readonly chargeMicrocents: string;
  readonly perUsdNanos?: number;
}

/**
 * One line of a statement. `perUsdNanos` is the rate that it is shown by in the tenant's currency: nano-units of it for a USD. Absent where
 * that is USD, or where no rate was declared.
 */
export type StatementLine = UsageLine | CorrectionLine;

/**
 * A bill for one month: written once, never changed. `no` counts a tenant's statements from 1; `number` is what people call it by.
 *
 * `totalMicrocents` is the sum of its lines' charges, decimal. `hash` is the SHA-256 of what `contentOf` makes of all of it and its
 * lines, and `previousHash` that of the tenant's statement before, empty in the first one: none can be taken out or changed unseen.
 */
export interface Statement {
  readonly id: string;
  readonly tenantId: string;
  readonly tenantName: string;
  readonly no: number;
  readonly number: string;
  readonly month: Month;
  readonly issuedAtMs: number;
  readonly lineCount: number;
  readonly totalMicrocents: string;
  /** The same in the tenant's currency, micro-cents, decimal: the sum of its lines, each by its rate. */
  readonly converted?: { readonly currency: string; readonly totalMicrocents: string };
  readonly previousHash: string;
  readonly hash: string;
}

/** The lines of a statement, kept under its id: lists of statements need not read them. */
export interface StatementLines {
  readonly id: string;
  readonly lines: readonly StatementLine[];
}

/**
 * A correction that the operator made. It becomes a line of the tenant's next statement, whose id is `statementId` from then on; null
 * before. `concernsId` is the statement that it corrects, `chargeMicrocents` decimal and signed as in {@link CorrectionLine}.
 */
export interface BillCorrection {
  readonly id: string;
  readonly tenantId: string;
  readonly chargeMicrocents: string;
  readonly reason: string;
  readonly concernsId: string | null;
  readonly concernsNumber: string | null;
  readonly statementId: string | null;
  readonly createdAtMs: number;
}

/**
 * How far a tenant's bills have come, under the tenant's id. `closedMonth` is the last month that was billed, or had nothing to bill;
 * null before the first. `lastNo` and `lastHash` are of the last statement; 0 and empty before it.
 */
export interface BillState {
  readonly id: string;
  readonly closedMonth: Month | null;
  readonly lastNo: number;
  readonly lastHash: string;
}

/** The link to a bill's page, under the bill's id, where it is not the first one: each renewal makes those before worthless. */
export interface BillLink {
  readonly id: string;
  readonly tenantId: string;
  readonly version: number;
  readonly isRevoked: boolean;
}
