import { workerData } from 'node:worker_threads';
import { openReaderConnection } from './connection.ts';
import type { Queries, ReaderData, ReaderRequest } from './messages.ts';
import { makeAuditQueries } from './queries/audit-queries.ts';
import { makeBillQueries } from './queries/bill-queries.ts';
import { makeBudgetQueries } from './queries/budget-queries.ts';
import { makeGovernanceQueries } from './queries/governance-queries.ts';
import { makeLedgerQueries } from './queries/ledger-queries.ts';
import { makeObjectQueries } from './queries/object-queries.ts';
import { makeEventQueries } from './queries/event-queries.ts';
import { makeOverviewQueries } from './queries/overview-queries.ts';
import { makeRecordQueries } from './queries/record-queries.ts';
import { makeReservationQueries } from './queries/reservation-queries.ts';
import { makeSampleQueries } from './queries/sample-queries.ts';
import { makeUsageQueries } from './queries/usage-queries.ts';
import { makeWebhookQueries } from './queries/webhook-queries.ts';
import { serve } from './worker-server.ts';

// A thread with a connection that can only read: no query runs on the thread that relays streams, and none waits for a batch.
await serve<ReaderRequest>(() => {
  const db = openReaderConnection((workerData as ReaderData).file);
  const queries: Queries = {
    ...makeRecordQueries(db),
    ...makeLedgerQueries(db),
    ...makeBudgetQueries(db),
    ...makeReservationQueries(db),
    ...makeUsageQueries(db),
    ...makeBillQueries(db),
    ...makeSampleQueries(db),
    ...makeObjectQueries(db),
    ...makeEventQueries(db),
    ...makeWebhookQueries(db),
    ...makeGovernanceQueries(db),
    ...makeOverviewQueries(db),
    ...makeAuditQueries(db),
  };
  return {
    // A request's name and arguments belong together, which the compiler cannot follow through the union.
    answer: ({ query, args }) => (queries[query] as (...values: readonly unknown[]) => unknown)(...args),
    close: () => db.close(),
  };
});
