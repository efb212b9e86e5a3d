import type { CommandBase } from '../verb.ts';
import type { Statement, StatementLine } from './bill-records.ts';
import type { Month } from './month.ts';

/** Ends a month of a tenant's bills, with `statement` and its `lines`; without one where there was nothing to bill. */
export interface CloseMonthCommand extends CommandBase {
  readonly verb: 'close-bill-month';
  readonly month: Month;
  /** The last month that was closed when the statement was made; null where none was. */
  readonly afterMonth: Month | null;
  readonly statement: Statement | null;
  readonly lines: readonly StatementLine[];
  /** The id of the audit row that tells of the statement. */
  readonly auditId: string;
}

/** Books a correction for the tenant's next statement. `chargeMicrocents` is negative where it is in the tenant's favour. */
export interface AddCorrectionCommand extends CommandBase {
  readonly verb: 'add-bill-correction';
  readonly correction: {
    readonly id: string;
    readonly chargeMicrocents: bigint;
    readonly reason: string;
    readonly concernsId: string | null;
  };
}

/** Makes the link to a bill's page worthless; with `renew` there is another one from then on. */
export interface SetBillLinkCommand extends CommandBase {
  readonly verb: 'set-bill-link';
  readonly billId: string;
  readonly change: 'revoke' | 'renew';
}

/** Every command about bills. */
export type BillCommand = CloseMonthCommand | AddCorrectionCommand | SetBillLinkCommand;
