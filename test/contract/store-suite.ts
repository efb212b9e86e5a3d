import { describe } from 'vitest';
import { describeAudit } from './audit-suite.ts';
import { describeAuditLists } from './audit-list-suite.ts';
import { describeTrailWitness } from './audit-witness-suite.ts';
import { describeBalance } from './balance-suite.ts';
import { describeBills } from './bill-suite.ts';
import { describeBudgets } from './budget-suite.ts';
import { describeExecute } from './execute-suite.ts';
import { describeGovernance } from './governance-suite.ts';
import { describeKeysAndEvents } from './keys-and-events-suite.ts';
import { describeDomains } from './domain-suite.ts';
import { describeMetering } from './metering-suite.ts';
import { describeObjects } from './object-suite.ts';
import { describeQuarantine } from './quarantine-suite.ts';
import { describeQueries } from './query-suite.ts';
import { describeReports } from './report-suite.ts';
import { describeRefusals } from './refusal-suite.ts';
import { describeRateLimits } from './rate-limit-suite.ts';
import { describeRetention } from './retention-suite.ts';
import type { MakeStore } from './test-store.ts';
import { describeSecrets } from './secret-suite.ts';
import { describeSshKeys } from './ssh-key-suite.ts';
import { describeUsage } from './usage-suite.ts';
import { describeEventLists } from './event-list-suite.ts';
import { describeVerify } from './verify-suite.ts';
import { describeWebhooks } from './webhook-suite.ts';
import { describeWindows } from './window-suite.ts';

/** The parts of the suite, by name. */
const PARTS: Readonly<Record<string, (makeStore: MakeStore) => void>> = {
  commands: describeExecute,
  audit: describeAudit,
  'lists of the trail': describeAuditLists,
  'witness of the trail': describeTrailWitness,
  balances: describeBalance,
  bills: describeBills,
  budgets: describeBudgets,
  'metering of containers': describeMetering,
  'domains of tenants': describeDomains,
  objects: describeObjects,
  secrets: describeSecrets,
  'SSH keys': describeSshKeys,
  quarantine: describeQuarantine,
  queries: describeQueries,
  governance: describeGovernance,
  'keys and events': describeKeysAndEvents,
  refusals: describeRefusals,
  reports: describeReports,
  'limits of a minute': describeRateLimits,
  retention: describeRetention,
  usage: describeUsage,
  verification: describeVerify,
  'lists of events': describeEventLists,
  webhooks: describeWebhooks,
  windows: describeWindows,
};

/**
 * What every store promises, whatever it keeps its rows in: one suite, run over each adapter. Each part is described apart, so that a
 * store that it makes before each of its tests is not made before those of the others.
 */
export function describeStore(name: string, makeStore: MakeStore): void {
  describe(name, () => {
    for (const [part, describePart] of Object.entries(PARTS)) describe(part, () => describePart(makeStore));
  });
}
