import type { Telling } from '../../src/core/events/commands.ts';
import type { Webhook } from '../../src/core/records.ts';
import type { Command } from '../../src/core/verbs.ts';
import type { Actor } from '../../src/app/audited-command.ts';
import { makeLedgerWriter, type LedgerWriter } from '../../src/app/ledger-writer.ts';
import { makeBulkWebhooks } from '../../src/app/webhooks/bulk-webhooks.ts';
import { makeDispatcher } from '../../src/app/webhooks/deliver-events.ts';
import { makeHandOutEvents } from '../../src/app/webhooks/hand-out-events.ts';
import { makeWebhookManagement, type GivenWebhook, type NewWebhook } from '../../src/app/webhooks/manage-webhooks.ts';
import { makeProbeWebhook } from '../../src/app/webhooks/probe-webhook.ts';
import { makeReplayEvents } from '../../src/app/webhooks/replay-events.ts';
import { makeSendEvent } from '../../src/app/webhooks/send-event.ts';
import { makeSubscriptions } from '../../src/app/webhooks/subscriptions.ts';
import { makeTellFailures } from '../../src/app/webhooks/tell-failures.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { Ids } from '../../src/ports/ids.ts';
import type { WebhookRequest, WebhookSender } from '../../src/ports/webhook-sender.ts';
import type { Delivery, DeliveryStatus } from '../../src/ports/webhook-store.ts';
import type { TestStore } from '../contract/test-store.ts';
import { makeCountingIds, makeFakeSecretBox, makeMemoryLog, makeRecordingFailpoints } from '../support/fakes.ts';

/** The operator, as every test of deliveries asks. */
export const OPERATOR: Actor = { kind: 'operator', id: 'operator', requestId: 'req_op' };

/** The longest that a request of these tests takes, in milliseconds of the test's clock. */
export const SEND_LIMIT_MS = 10_000;

/** What a receiver says to a request: a status, or null for no answer at all. */
export type Receive = (request: WebhookRequest, count: number) => number | null | Promise<number | null>;

/** One node that delivers: everything of the application, with a receiver in the place of the network. */
export interface DeliveryNode {
  readonly writer: LedgerWriter;
  readonly replay: ReturnType<typeof makeReplayEvents>;
  readonly probe: ReturnType<typeof makeProbeWebhook>;
  readonly bulk: ReturnType<typeof makeBulkWebhooks>;
  /** Requests in the order in which they were sent, with the moment. */
  readonly sent: readonly (WebhookRequest & { readonly atMs: number })[];
  /** What was counted: attempts by what they came to, and deliveries that were given up untried. */
  readonly counted: { SUCCESS: number; FAILED: number; RETRYING: number; stale: number; disabled: number };
  execute(command: Command): Promise<unknown>;
  create(given: Partial<NewWebhook> & { readonly tenantId?: string }): Promise<Webhook>;
  update(id: string, given: GivenWebhook): Promise<Webhook>;
  remove(id: string): Promise<void>;
  /** Makes events of a tenant. */
  tell(tenantId: string, ...tellings: readonly (Partial<Telling> | string)[]): Promise<string[]>;
  /** Hands out all that waits. */
  handOut(): Promise<void>;
  /** Serves what is due now, once, and waits until it is served. */
  serve(): Promise<void>;
  /** Begins to serve; resolves when the subscriptions are leased. */
  begin(): Promise<void>;
  /** Resolves when everything that was begun has ended. */
  idle(): Promise<void>;
  /** Hands out, serves, and tells of failures. */
  deliver(): Promise<void>;
  tellFailures(): Promise<void>;
  webhook(id: string): Promise<Webhook | undefined>;
  failures(id: string): Promise<number>;
  deliveries(id: string, statuses?: readonly DeliveryStatus[]): Promise<Delivery[]>;
  /** Events that were told, by type, oldest first. */
  told(type: string): Promise<{ readonly tenantId: string; readonly data: never; readonly origin: never }[]>;
}

const ALL: readonly DeliveryStatus[] = ['PENDING', 'RETRYING', 'SUCCESS', 'FAILED'];

/** Makes a node over a store. Nodes of one test have names of their own, and share the clock. */
export function makeDeliveryNode(options: {
  readonly at: TestStore;
  readonly clock: Clock;
  readonly receive?: Receive;
  readonly name?: string;
}): DeliveryNode {
  const { at, clock, receive = () => 200, name = 'one' } = options;
  const { store } = at;
  const counting = makeCountingIds();
  const ids: Ids = { ...counting, next: (prefix) => counting.next(`${prefix}_${name}`) };
  const log = makeMemoryLog();
  const failpoints = makeRecordingFailpoints();
  const subscriptions = makeSubscriptions({ records: store });
  const writer = makeLedgerWriter({
    store,
    ids,
    log,
    onRecordsChanged: (refs) => subscriptions.recordsChanged(refs),
    maxQueued: 1000,
    failpoints,
  });
  const sent: (WebhookRequest & { readonly atMs: number })[] = [];
  const sender: WebhookSender = {
    limitMs: SEND_LIMIT_MS,
    send: async (request) => {
      sent.push({ ...request, atMs: clock.nowMs() });
      const status = await receive(request, sent.length);
      return status === null
        ? { kind: 'failed', error: 'no answer', responseTimeMs: null }
        : { kind: 'answered', status, responseTimeMs: 7 };
    },
    isBlocked: () => Promise.resolve(false),
    close: () => Promise.resolve(),
  };
  const secretBox = makeFakeSecretBox();
  const send = makeSendEvent({ security: () => subscriptions.security(), secretBox, sender, traceIdOf: () => 'e'.repeat(32) });
  const counted = { SUCCESS: 0, FAILED: 0, RETRYING: 0, stale: 0, disabled: 0 };
  const elapsedMs = () => clock.nowMs();
  const wake = (): void => undefined;
  const dispatcher = makeDispatcher({
    store,
    subscriptions,
    send,
    pace: () => Promise.resolve(),
    sendLimitMs: SEND_LIMIT_MS,
    ownerId: name,
    observer: { attempted: ({ status }) => (counted[status] += 1), stale: () => (counted.stale += 1) },
    onFailed: wake,
    onRoom: wake,
    failpoints,
    log,
    elapsedMs,
  });
  const handOutSome = makeHandOutEvents({ store, subscriptions, ids, failpoints, onHandedOut: wake });
  const tellSome = makeTellFailures({ store, writer, subscriptions, ids, failpoints, onDisabled: () => (counted.disabled += 1) });
  const management = makeWebhookManagement({
    writer,
    records: store,
    store,
    subscriptions,
    sender,
    secretBox,
    ids,
    onChanged: () => subscriptions.refresh(),
    wake,
  });
  const all = async (run: () => Promise<{ readonly more: boolean }>): Promise<void> => {
    while ((await run()).more);
  };
  const must = <T>(outcome: { ok: true; value: T } | { ok: false; rejection: { message: string } }): T => {
    if (!outcome.ok) throw new Error(outcome.rejection.message);
    return outcome.value;
  };
  const operator = { kind: 'operator' } as const;
  const node: DeliveryNode = {
    writer,
    sent,
    counted,
    replay: makeReplayEvents({ writer, records: store, store, ids, wake }),
    probe: makeProbeWebhook({ writer, records: store, store, subscriptions, send, ids }),
    bulk: makeBulkWebhooks({ writer, subscriptions, ids, elapsedMs, onResumed: (id) => store.wakeDeliveries(id) }),
    execute: async (command) => must(await writer.execute(command)),
    create: async (given) =>
      must(
        await management.create(OPERATOR, operator, {
          url: 'https://hooks.example.com/',
          eventTypes: ['budget.exhausted'],
          operation: 'createWebhookSubscription',
          ...given,
        }),
      ).view.webhook,
    update: async (id, given) =>
      must(await management.update(OPERATOR, operator, { id, given, operation: 'updateWebhookSubscription' })).webhook,
    remove: async (id) => void must(await management.remove(OPERATOR, operator, { id, operation: 'deleteWebhookSubscription' })),
    tell: async (tenantId, ...given) => {
      const id = ids.next('cmd');
      const tellings = given.map((each): Telling => ({
        type: 'budget.exhausted',
        data: {},
        ...(typeof each === 'string' ? { scope: each } : each),
      }));
      must(await writer.execute({ verb: 'tell-events', id, tenantId, tellings }));
      return tellings.map((_, index) => `evt_${id}_${index + 1}`);
    },
    handOut: () => all(handOutSome),
    begin: async () => void (await dispatcher.run()),
    idle: () => dispatcher.idle(),
    serve: async () => {
      await dispatcher.run();
      await node.idle();
    },
    deliver: async () => {
      await node.handOut();
      await node.serve();
      await node.tellFailures();
    },
    tellFailures: () => all(tellSome),
    webhook: (id) => store.record('webhook', id),
    failures: async (id) => (await store.webhookHealth([id])).get(id)?.failures ?? 0,
    deliveries: (webhookId, statuses = ALL) => store.deliveries({ webhookId, statuses, after: null, limit: 1000 }),
    told: async (type) => {
      const found = await store.listEvents({ types: [type], sortBy: 'timestamp', descending: false, after: null, limit: 1000 });
      return found.map(({ event }) => ({ tenantId: event.tenantId, data: event.data as never, origin: event.origin as never }));
    },
  };
  return node;
}
