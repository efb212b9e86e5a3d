import type { Retention } from '../../core/retention/retention.ts';
import type { TrailWitness } from '../../ports/audit-trail.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { WebhookStore } from '../../ports/webhook-store.ts';
import type { PackedCommand } from './packed-command.ts';
import type { UsageColumns } from './usage-columns.ts';
import type { EncodedError } from './worker-errors.ts';

/**
 * What the writer does. `clockMs` is the caller's clock; the writer never takes an earlier time than its last. `flush`: a batch is answered
 * when it is on the disk; else when it is written, and the one who asked flushes the log.
 */
export type WriterRequest =
  | { readonly type: 'execute'; readonly commands: readonly PackedCommand[]; readonly clockMs: number; readonly flush: boolean }
  | { readonly type: 'fold-usage'; readonly limit: number; readonly clockMs: number }
  | {
      readonly type: 'prune';
      readonly retention: Retention;
      readonly clockMs: number;
      readonly limit: number;
      readonly trailSecret: string | null;
    }
  | { readonly type: 'heartbeat'; readonly ownerId: string; readonly withinMs: number; readonly clockMs: number }
  | { readonly type: 'webhooks'; readonly write: WebhookWrite; readonly clockMs: number };

/** The methods of the webhook store that read; the others write. */
export type WebhookReadName =
  | 'listEvents'
  | 'event'
  | 'eventsToHandOut'
  | 'dueDeliveries'
  | 'untoldFailures'
  | 'deliveries'
  | 'webhookHealth'
  | 'activitySums'
  | 'budgetSpend'
  | 'untoldKeyExpiries';

/** A write about webhooks by its name. */
export type WebhookWrite = {
  readonly [M in Exclude<keyof WebhookStore, WebhookReadName>]: { readonly method: M; readonly arg: Parameters<WebhookStore[M]>[0] };
}[Exclude<keyof WebhookStore, WebhookReadName>];

/** The methods that a reader answers. */
export type QueryName = Exclude<keyof RecordStore, 'heartbeat'>;

/** What a query's answer is while it goes from thread to thread. */
export type Answer<M extends QueryName> = M extends 'usageTotals' ? UsageColumns : Awaited<ReturnType<RecordStore[M]>>;

/** The arguments of a query; one that looks at the time is told the caller's clock. */
type Arguments<M extends QueryName> = M extends 'expiredReservations' | 'staleBudgets'
  ? [query: Parameters<RecordStore[M]>[0] & { readonly clockMs: number }]
  : Parameters<RecordStore[M]>;

/** Every query with its arguments, answered at once instead of by a promise. */
export type Queries = { readonly [M in QueryName]: (...args: Arguments<M>) => Answer<M> } & {
  readonly [M in WebhookReadName]: (query: Parameters<WebhookStore[M]>[0], clockMs: number) => Awaited<ReturnType<WebhookStore[M]>>;
};

/** A query by its name. */
export type ReaderRequest = { readonly [M in keyof Queries]: { readonly query: M; readonly args: Parameters<Queries[M]> } }[keyof Queries];

/** What the thread of a verification is asked for. */
export interface VerifierRequest {
  readonly witness: TrailWitness | undefined;
}

/** A message to a worker. `close` is answered when everything before it is. */
export type ToWorker<R> = { readonly id: number; readonly request: R } | { readonly close: true };

/** A message from a worker; the one without an id says that it is ready, and what is worth a line in the log. */
export type FromWorker =
  | { readonly ready: true; readonly notice?: string }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number | null; readonly error: EncodedError };

/** What a worker is started with. */
export interface WriterData {
  readonly file: string;
  readonly lockFile: string;
  readonly failpointsModule: string | null;
}

/** What a reader is started with. */
export interface ReaderData {
  readonly file: string;
}
