import Fastify, { type FastifyInstance, type LightMyRequestResponse } from 'fastify';
import { countFailedCredentials } from '../../src/api/_shared/failed-credentials.ts';
import { addBrowserGuards } from '../../src/api/_shared/guards.ts';
import { cyclesForm } from '../../src/api/_shared/cycles-form.ts';
import { makeFrameworkErrors, registerFallback, type PathOwner } from '../../src/api/_shared/fallback.ts';
import { managementForm } from '../../src/api/cortecs-management/errors.ts';
import { MANAGEMENT_PREFIXES } from '../../src/api/cortecs-management/prefixes.ts';
import { makeBillPages } from '../../src/api/bills/surface.ts';
import { makeManagement } from '../../src/api/cortecs-management/surface.ts';
import { governanceForm } from '../../src/api/cycles-governance/errors.ts';
import { GOVERNANCE_PREFIXES, makeCyclesGovernance } from '../../src/api/cycles-governance/surface.ts';
import { runtimeForm } from '../../src/api/cycles-runtime/errors.ts';
import { makeCyclesRuntime, RUNTIME_PREFIXES } from '../../src/api/cycles-runtime/surface.ts';
import { makeOwnKeyApi } from '../../src/api/openai-gateway/own-key-surface.ts';
import { OPERATOR_PREFIX } from '../../src/api/operator/prefix.ts';
import { makeOperatorApi } from '../../src/api/operator/surface.ts';
import { tinfoilForm } from '../../src/api/tinfoil-admin/errors.ts';
import { makeTinfoilMachine } from '../../src/api/tinfoil-admin/machine-surface.ts';
import { TINFOIL_PREFIX } from '../../src/api/tinfoil-admin/prefix.ts';
import { makeDataKeys } from '../../src/server/secrets/data-keys.ts';
import { makeTinfoilAdmin } from '../../src/api/tinfoil-admin/surface.ts';
import { parseSshKey } from '../../src/ssh/parse-ssh-key.ts';
import { makeFailedCredentials, type FailedCredentials } from '../../src/app/audit/failed-credentials.ts';
import { makeRequestAudit } from '../../src/app/audit/request-audit.ts';
import { makeReadBill } from '../../src/app/bills/read-bill.ts';
import { makeUpstreamHealth } from '../../src/app/calls/upstream-health.ts';
import { makeUpstreamSpeeds } from '../../src/app/calls/upstream-speeds.ts';
import { makeCloseTenants, type CloseTenants } from '../../src/app/cycles/close-tenant.ts';
import type { Denial } from '../../src/app/cycles/record-denial.ts';
import { makeKeyUses, type KeyUses } from '../../src/app/cycles/key-uses.ts';
import { makeActivityCounter } from '../../src/app/events/count-activity.ts';
import { observeCommands } from '../../src/app/events/observe-commands.ts';
import { makeEventServices, type EventServices } from '../../src/app/events/event-services.ts';
import { makeSubscriptions } from '../../src/app/webhooks/subscriptions.ts';
import { makeDirectory, type Directory } from '../../src/app/directory.ts';
import { makeLedgerWriter, type LedgerWriter } from '../../src/app/ledger-writer.ts';
import { DEFAULT_ENTITLEMENTS } from '../../src/core/access/defaults.ts';
import type { Entitlements, KeyKind } from '../../src/core/records.ts';
import { parseJson } from '../../src/core/json/int64.ts';
import { rejected } from '../../src/core/rejection.ts';
import type { UsageEvent } from '../../src/core/usage/usage-event.ts';
import { makeBuiltInBilling } from '../../src/billing/built-in/built-in-billing.ts';
import type { ReadLogs } from '../../src/app/containers/read-logs.ts';
import { makeManageDomains } from '../../src/app/containers/manage-domains.ts';
import type { DomainLookup } from '../../src/ports/domain-lookup.ts';
import { DEFAULT_DNS } from '../../src/server/declared/parse-dns.ts';
import { makeManageContainers } from '../../src/app/containers/manage-containers.ts';
import type { Billing, Transaction } from '../../src/ports/billing.ts';
import type { DeclaredFields } from '../../src/ports/declared-fields.ts';
import type { Ids } from '../../src/ports/ids.ts';
import type { LedgerStore } from '../../src/ports/ledger-store.ts';
import type { RecordStore } from '../../src/ports/record-store.ts';
import type { WebhookSender } from '../../src/ports/webhook-sender.ts';
import type { WebhookStore } from '../../src/ports/webhook-store.ts';
import type { KeyHasher, SecretBox } from '../../src/ports/secret-box.ts';
import { makeCreateKey } from '../../src/app/create-key.ts';
import { makeBillTokens } from '../../src/server/secrets/bill-tokens.ts';
import { makeCountingIds, makeFakeHasher, makeFakeSecretBox, makeManualClock, makeMemoryLog, makeRecordingFailpoints } from './fakes.ts';
import type { ManualClock, MemoryLog } from './fakes.ts';
import { makeMemoryStore, type MemoryStore } from './memory-store.ts';

/** The moment at which every test of the surfaces begins: the example dates of the documents lie around it. */
export const TEST_START_MS = Date.UTC(2026, 3, 9);

/** A sender of webhooks that reaches nobody. */
const NOWHERE: WebhookSender = {
  limitMs: 1000,
  send: () => Promise.resolve({ kind: 'failed', error: 'nobody can be reached', responseTimeMs: null }),
  isBlocked: () => Promise.resolve(false),
  close: () => Promise.resolve(),
};

/** The operator key of every test. */
export const OPERATOR_KEY = 'operator-key-of-the-tests-0123456789';

/** What a test may set about its application. */
export interface TestAppOptions {
  /** A store of its own, such as a real one; else one in memory. */
  readonly store?: LedgerStore & RecordStore;
  readonly clock?: ManualClock;
  readonly maxQueued?: number;
  /** Fields that a configuration file declares, as `kind id field`. */
  readonly declared?: readonly string[];
  /** What bills are kept elsewhere; else they are kept here. */
  readonly transactions?: readonly Transaction[];
  /** What DNS says of domains; nothing where it is not given. */
  readonly domains?: DomainLookup;
  /** Sends webhooks; else nobody can be reached. */
  readonly sender?: WebhookSender;
  /** Seals what is secret; else what is sealed twice looks the same twice. */
  readonly secretBox?: SecretBox;
}

/** The control plane's surfaces over one store, without a listener. */
export interface TestApp {
  readonly app: FastifyInstance;
  readonly store: MemoryStore;
  readonly writer: LedgerWriter;
  readonly directory: Directory;
  readonly clock: ManualClock;
  readonly ids: Ids;
  readonly hasher: KeyHasher;
  readonly secretBox: SecretBox;
  readonly log: MemoryLog;
  /** Makes a tenant with an admin `ann`, an admin `bob` and a member `cy`; returns an admin key for each of the two. */
  addTenant(id: string, entitlements?: Partial<Entitlements>): Promise<{ ann: string; bob: string }>;
  /** Makes a key and returns its value. */
  addKey(key: {
    tenantId: string;
    memberId: string;
    kind: KeyKind;
    name?: string;
    expiresAtMs?: number;
  }): Promise<{ id: string; value: string }>;
  /** Sends a request with a bearer credential. A body that is no string is sent as JSON. */
  as(credential: string | null): Send;
  /** Sends a request as the operator. */
  operator: Send;
  /** Sends a request with a key of a tenant, as Cycles clients do. */
  cycles(key: string): Send;
  readonly closeTenants: CloseTenants;
  readonly keyUses: KeyUses;
  readonly events: EventServices;
  readonly failedCredentials: FailedCredentials;
  /** The denials that the runtime plane gave to be told, oldest first. */
  readonly denials: readonly Denial[];
  close(): Promise<void>;
}

/** Sends one request. */
type Send = (
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  url: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<TestResponse>;

/** What came back. `json` keeps integers exact. */
export interface TestResponse {
  readonly status: number;
  readonly headers: LightMyRequestResponse['headers'];
  readonly text: string;
  readonly json: never;
}

/** Makes the control plane's surfaces as the server mounts them. */
export async function makeTestApp(options: TestAppOptions = {}): Promise<TestApp> {
  const clock = options.clock ?? makeManualClock(TEST_START_MS);
  const store = (options.store ?? makeMemoryStore({ clock })) as MemoryStore;
  const ids = makeCountingIds();
  const log = makeMemoryLog();
  const hasher = makeFakeHasher();
  const secretBox = options.secretBox ?? makeFakeSecretBox();
  const directory = makeDirectory({
    records: store,
    hasher,
    log,
    isShared: false,
    elapsedMs: () => clock.nowMs(),
    onTenantKeyUsed: (keyId, nowMs) => keyUses.note(keyId, nowMs),
  });
  const plainWriter = makeLedgerWriter({
    store,
    ids,
    log,
    onRecordsChanged: (refs) => {
      directory.recordsChanged(refs);
      subscriptions.recordsChanged(refs);
    },
    maxQueued: options.maxQueued ?? 1000,
    failpoints: makeRecordingFailpoints(),
  });
  // A store in memory keeps no deliveries and no counts: what asks for one fails there.
  const webhookStore = store as unknown as WebhookStore;
  const activity = makeActivityCounter({ store: webhookStore, log });
  const nothing = (): void => undefined;
  const writer = observeCommands(plainWriter, { activity, recordDenial: nothing, onTook: nothing, elapsedMs: () => clock.nowMs() });
  const keyUses = makeKeyUses({ writer, records: store, ids });
  const closeTenants = makeCloseTenants({ writer, records: store, ids, failpoints: makeRecordingFailpoints(), log });
  const subscriptions = makeSubscriptions({ records: store });
  const events = makeEventServices({
    store: webhookStore,
    records: store,
    subscriptions,
    activity,
    writer,
    sender: options.sender ?? NOWHERE,
    traceIdOf: () => 'e'.repeat(32),
    secretBox,
    ids,
    clock,
    elapsedMs: () => performance.now(),
    wait: () => Promise.resolve(),
    isBusy: () => false,
    ownerId: 'run_test',
    observer: { attempted: () => undefined, stale: () => undefined, handedOut: () => undefined, disabled: () => undefined },
    failpoints: makeRecordingFailpoints(),
    log,
  });
  const declared = new Set(options.declared);
  const declaredFields: DeclaredFields = {
    isDeclared: (kind, id, field) => (declared.has(`${kind} ${id} ${field}`) ? '/etc/castellan.yaml' : null),
  };
  const owners: PathOwner[] = [
    ...MANAGEMENT_PREFIXES.map((prefix) => ({ prefix, form: managementForm })),
    { prefix: TINFOIL_PREFIX, form: tinfoilForm },
    { prefix: OPERATOR_PREFIX, form: cyclesForm },
    ...RUNTIME_PREFIXES.map((prefix) => ({ prefix, form: runtimeForm, traced: true })),
    ...GOVERNANCE_PREFIXES.map((prefix) => ({ prefix, form: governanceForm, traced: true })),
  ];
  const app = Fastify({
    genReqId: () => ids.next('req'),
    routerOptions: { maxParamLength: 1024 },
    frameworkErrors: makeFrameworkErrors({ owners, log }),
  });
  countFailedCredentials(app, { note: (failed) => failedCredentials.note(failed) });
  registerFallback(app, { owners, log });
  addBrowserGuards(app, { allowedHosts: ['castellan.example'] });
  const audit = makeRequestAudit({ writer, ids, clock, log });
  const failedCredentials = makeFailedCredentials({ writer, ids, clock });
  const deps = { directory, writer, audit, failedCredentials, records: store, clock, ids, hasher, secretBox, log };
  const billTokens = makeBillTokens(Buffer.alloc(32, 7));
  const billPages = makeBillPages({ readBill: makeReadBill({ records: store, tokens: billTokens }), issuer: null, log });
  await app.register(billPages);
  const given = options.transactions;
  const billing: Billing =
    given === undefined ? makeBuiltInBilling({ records: store, tokens: billTokens }) : { transactions: async () => [...given] };
  const containers = makeManageContainers({
    ...deps,
    writer: audit.writer,
    routes: { isKnown: () => true, refresh: async () => undefined },
    hosts: [],
    hostFault: () => null,
    source: { isPolled: () => false, connection: async () => 'no_app' },
    readRelease: async ({ repo }) => rejected({ code: 'not_found', message: `there is no repository ${repo}` }),
    metering: { settle: async () => undefined, requireFunds: async () => ({ ok: true, value: null }) },
    drainMs: 0,
    stopDrainMs: 0,
  });
  const gone = async () => rejected({ code: 'not_found', message: 'container not found' });
  const logs: ReadLogs = { read: gone };
  await app.register(
    makeTinfoilAdmin({
      ...deps,
      publicUrl: null,
      billing,
      containers,
      logs,
      use: { metrics: gone, meter: gone },
      domains: makeManageDomains({
        ...deps,
        writer: audit.writer,
        lookup: options.domains ?? { texts: async () => [], alias: async () => null },
        settings: { ...DEFAULT_DNS, baseDomain: 'containers.localhost' },
      }),
      baseDomain: 'containers.localhost',
      sshPort: () => null,
      dataKeys: makeDataKeys(deps),
      parseSshKey,
    }),
  );
  await app.register(makeTinfoilMachine({ ...deps, elapsedMs: () => clock.nowMs() }));
  await app.register(
    makeOperatorApi({
      ...deps,
      store,
      operatorKey: OPERATOR_KEY,
      server: { version: '0.0.0', runId: 'run_test', store: 'sqlite', masterKeySource: 'file', masterKeyId: () => 'fake' },
      rotateMasterKey: async () => rejected({ code: 'conflict', message: 'there is no master key to change' }),
      tokenizerNames: ['o200k_base'],
      billTokens,
      publicUrl: null,
      health: makeUpstreamHealth({ elapsedMs: () => clock.nowMs(), log }),
      speeds: makeUpstreamSpeeds({ clock }),
      declared: declaredFields,
    }),
  );
  await app.register(
    makeCyclesGovernance({
      ...deps,
      store,
      operatorKey: OPERATOR_KEY,
      declared: declaredFields,
      closeTenants,
      keyUses,
      events,
      eventReads: webhookStore,
    }),
  );
  const denials: Denial[] = [];
  const denialRecorder = { record: (denial: Denial) => void denials.push(denial) };
  await app.register(makeCyclesRuntime({ ...deps, operatorKey: OPERATOR_KEY, denials: denialRecorder, events, sharesBalances: true }));
  await app.register(makeOwnKeyApi(deps));
  await app.register(makeManagement(deps));
  await app.ready();

  const createKey = makeCreateKey({ writer, ids, hasher, secretBox });
  const system = { kind: 'system', id: 'test', requestId: 'test' } as const;
  const mustSucceed = async (command: Parameters<LedgerWriter['execute']>[0]): Promise<void> => {
    const outcome = await writer.execute(command);
    if (!outcome.ok) throw new Error(outcome.rejection.message);
  };

  const send = async (credentials: Record<string, string>, [method, url, body, headers = {}]: Parameters<Send>): Promise<TestResponse> => {
    const isJson = body !== undefined && typeof body !== 'string';
    const response = await app.inject({
      method,
      url,
      headers: { ...credentials, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { payload: isJson ? JSON.stringify(body) : body }),
    });
    const text = response.payload;
    return { status: response.statusCode, headers: response.headers, text, json: (text === '' ? undefined : parseJson(text)) as never };
  };

  const addKey: TestApp['addKey'] = async ({ tenantId, memberId, kind, name = 'key', expiresAtMs = null }) => {
    const limits = { maxTokens: null, moneyBudgetMicrocents: null, metadata: {} };
    const outcome = await createKey(system, { tenantId, memberId, kind, name, expiresAtMs, ...limits });
    if (!outcome.ok) throw new Error(outcome.rejection.message);
    return { id: outcome.value.key.id, value: outcome.value.plaintext };
  };

  return {
    app,
    store,
    writer,
    directory,
    clock,
    ids,
    hasher,
    secretBox,
    log,
    addKey,
    addTenant: async (id, entitlements) => {
      const flags = { requireBudget: false, allowUnpriced: false, hideAmounts: false };
      const tenant = { id, name: id, ...flags, entitlements: { ...DEFAULT_ENTITLEMENTS, tokenBilling: true } };
      await mustSucceed({ verb: 'create-tenant', id: ids.next('cmd'), tenantId: id, tenant });
      for (const [member, role] of [
        ['ann', 'admin'],
        ['bob', 'admin'],
        ['cy', 'member'],
      ] as const) {
        await mustSucceed({
          verb: 'add-member',
          id: ids.next('cmd'),
          tenantId: id,
          member: { id: member, email: `${member}@example.com`, role },
        });
      }
      const ann = await addKey({ tenantId: id, memberId: 'ann', kind: 'admin', name: 'of ann' });
      const bob = await addKey({ tenantId: id, memberId: 'bob', kind: 'admin', name: 'of bob' });
      if (entitlements !== undefined) await mustSucceed({ verb: 'update-tenant', id: ids.next('cmd'), tenantId: id, entitlements });
      return { ann: ann.value, bob: bob.value };
    },
    as:
      (credential) =>
      (...request) =>
        send(credential === null ? {} : { authorization: `Bearer ${credential}` }, request),
    cycles:
      (key) =>
      (...request) =>
        send({ 'x-cycles-api-key': key }, request),
    closeTenants,
    keyUses,
    events,
    failedCredentials,
    denials,
    operator: (...request) => send({ 'x-admin-api-key': OPERATOR_KEY }, request),
    close: async () => {
      await closeTenants.stop();
      await app.close();
      await writer.close();
      directory.close();
    },
  };
}

/** A usage event for tests of what reads usage; give what matters. */
export const usageEvent = (fields: Partial<UsageEvent> & Pick<UsageEvent, 'id' | 'tenantId' | 'keyId' | 'atMs'>): UsageEvent => ({
  model: 'kimi-k2-5',
  upstreamId: 'u1',
  priceId: 'p1',
  route: '/chat/completions',
  heldAtMs: fields.atMs,
  requests: 1,
  promptTokens: 0,
  completionTokens: 0,
  cachedPromptTokens: 0,
  reasoningTokens: 0,
  costNanoUsd: 0n,
  chargeMicrocents: 0n,
  streaming: false,
  estimated: false,
  interrupted: false,
  ...fields,
});
