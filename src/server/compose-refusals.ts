import { makeFailedCredentials, type FailedCredentials } from '../app/audit/failed-credentials.ts';
import { makeRequestAudit, type RequestAudit } from '../app/audit/request-audit.ts';
import type { LedgerWriter } from '../app/ledger-writer.ts';
import type { Clock } from '../ports/clock.ts';
import type { Ids } from '../ports/ids.ts';
import type { Log } from '../ports/log.ts';
import type { Closers } from './closers.ts';

/** What sees to it that refused requests are in the audit trail. */
export interface Refusals {
  readonly failedCredentials: FailedCredentials;
  readonly audit: RequestAudit;
  /** Each writes down what was only counted so far. */
  readonly flushRefusals: readonly (() => Promise<void>)[];
}

/** Makes the {@link Refusals} over an open writer. At a stop all that was counted is written down. */
export function composeRefusals(deps: {
  readonly writer: LedgerWriter;
  readonly ids: Ids;
  readonly clock: Clock;
  readonly log: Log;
  readonly closers: Closers;
}): Refusals {
  const failedCredentials = makeFailedCredentials(deps);
  const audit = makeRequestAudit(deps);
  deps.closers.add('failed credentials', () => failedCredentials.flush({ all: true }));
  deps.closers.add('refused requests', () => audit.flush({ all: true }));
  return { failedCredentials, audit, flushRefusals: [() => failedCredentials.flush(), () => audit.flush()] };
}
