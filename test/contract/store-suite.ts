import { describe } from 'vitest';
import { describeAudit } from './audit-suite.ts';
import { describeAuditLists } from './audit-list-suite.ts';
import { describeBudgets } from './budget-suite.ts';
import { describeExecute } from './execute-suite.ts';
import { describeGovernance } from './governance-suite.ts';
import { describeKeysAndEvents } from './keys-and-events-suite.ts';
import { describeObjects } from './object-suite.ts';
import { describeQuarantine } from './quarantine-suite.ts';
import { describeQueries } from './query-suite.ts';
import { describeReports } from './report-suite.ts';
import { describeRefusals } from './refusal-suite.ts';
import { describeRetention } from './retention-suite.ts';
import type { MakeStore } from './test-store.ts';
import { describeUsage } from './usage-suite.ts';
import { describeEventLists } from './event-list-suite.ts';
import { describeVerify } from './verify-suite.ts';
import { describeWebhooks } from './webhook-suite.ts';

/** What every store promises, whatever it keeps its rows in: one suite, run over each adapter. */
export function describeStore(name: string, makeStore: MakeStore): void {
  describe(name, () => {
    describeExecute(makeStore);
    describeAudit(makeStore);
    describeAuditLists(makeStore);
    describeBudgets(makeStore);
    describeObjects(makeStore);
    describeQuarantine(makeStore);
    describeQueries(makeStore);
    describeGovernance(makeStore);
    describeKeysAndEvents(makeStore);
    describeRefusals(makeStore);
    describeReports(makeStore);
    describeRetention(makeStore);
    describeUsage(makeStore);
    describeVerify(makeStore);
    describeEventLists(makeStore);
    describeWebhooks(makeStore);
  });
}
