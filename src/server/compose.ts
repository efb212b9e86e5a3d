import { setTimeout as wait } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { makeAnthropicGateway } from '../api/anthropic-gateway/surface.ts';
import { makeBillPages } from '../api/bills/surface.ts';
import { makeManagement } from '../api/cortecs-management/surface.ts';
import { makeCyclesGovernance } from '../api/cycles-governance/surface.ts';
import { makeCyclesRuntime } from '../api/cycles-runtime/surface.ts';
import { makeOwnKeyApi } from '../api/openai-gateway/own-key-surface.ts';
import { makeOpenAiGateway } from '../api/openai-gateway/surface.ts';
import { makeDeploymentSecrets } from '../app/containers/deployment-secrets.ts';
import type { ServerFacts } from '../api/operator/routes/server.ts';
import { makeOperatorApi } from '../api/operator/surface.ts';
import { makeSealedKeyApi } from '../api/sealed-calls/surface.ts';
import { makeTinfoilMachine } from '../api/tinfoil-admin/machine-surface.ts';
import { makeTinfoilAdmin } from '../api/tinfoil-admin/surface.ts';
import { parseSshKey } from '../ssh/parse-ssh-key.ts';
import { makeIssueStatements } from '../app/bills/issue-statements.ts';
import { makeTakeWebhook } from '../app/payments/take-payment.ts';
import { makeTellUsage } from '../app/payments/tell-usage.ts';
import { makeReadBill } from '../app/bills/read-bill.ts';
import { makePaymentsApi } from '../api/payments/surface.ts';
import { makeReleaseHooksApi } from '../api/release-hooks/surface.ts';
import { makeHttpAttestations } from '../sealed/http-attestations.ts';
import { maxSealedBytes } from '../api/_shared/sealed-body.ts';
import { makeUpstreamPool } from '../app/calls/upstream-pool.ts';
import type { OpenAnUpstream, UpstreamHeaders } from '../app/calls/call-types.ts';
import { makeCloseTenants, type CloseTenants } from '../app/cycles/close-tenant.ts';
import { makeKeyUses, type KeyUses } from '../app/cycles/key-uses.ts';
import { makeCountInputTokens } from '../app/count-input-tokens.ts';
import type { DenialRecorder } from '../app/cycles/record-denial.ts';
import type { EventServices } from '../app/events/event-services.ts';
import { makeExportHeads } from '../app/audit/export-heads.ts';
import { makeDirectory, type Directory } from '../app/directory.ts';
import { makeAttestations, type Attestations } from '../app/sealed/attestations.ts';
import type { SealedEnd } from '../app/sealed/sealed-end.ts';
import { keepAnswersFor } from '../app/keep-answers.ts';
import { makeLedgerWriter, type LedgerWriter } from '../app/ledger-writer.ts';
import type { OnRotated } from '../app/rotate-key.ts';
import { makeRotateMasterKey, type RotateMasterKey } from '../app/rotate-master-key.ts';
import { makeCalls, type Calls } from '../app/relay-call.ts';
import { makeRelayUpstreamObject } from '../app/relay-upstream-object.ts';
import { makeSettleInterrupted } from '../app/settle-interrupted.ts';
import type { RecordRef, Upstream } from '../core/records.ts';
import type { Retention } from '../core/retention/retention.ts';
import type { SealedKeyPolicy } from '../core/sealed/key-ring.ts';
import { startJobs } from '../jobs/jobs.ts';
import { startKeepSpeeds } from '../jobs/keep-speeds.ts';
import { makeKeptSpeeds } from '../app/calls/keep-speeds.ts';
import type { UpstreamSpeeds } from '../app/calls/upstream-speeds.ts';
import type { Job } from '../jobs/start-job.ts';
import { startIdleMemory } from './idle-memory.ts';
import { makeLiveOwners } from '../jobs/live-owners.ts';
import type { Clock } from '../ports/clock.ts';
import type { DeclaredFields } from '../ports/declared-fields.ts';
import type { Failpoints } from '../ports/failpoints.ts';
import type { Ids } from '../ports/ids.ts';
import type { TrailExport } from '../ports/audit-trail.ts';
import type { LedgerStore, Verification } from '../ports/ledger-store.ts';
import type { Log } from '../ports/log.ts';
import type { MasterKeys } from '../ports/master-keys.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { WebhookStore } from '../ports/webhook-store.ts';
import { composeEvents, tellChanged, watchWriter } from './compose-events.ts';
import { composeRefusals, type Refusals } from './compose-refusals.ts';
import { composeSealed } from './compose-sealed.ts';
import type { KeyHasher, SecretBox } from '../ports/secret-box.ts';
import type { Tokenizers } from '../ports/tokenizer.ts';
import type { UpstreamClient } from '../ports/upstream.ts';
import { makeDemoClient } from '../upstreams/demo/demo-client.ts';
import { makeOpenAiClient } from '../upstreams/openai-compatible/openai-client.ts';
import { makeStripeBilling } from '../billing/stripe/stripe-billing.ts';
import { makeBuiltInBilling } from '../billing/built-in/built-in-billing.ts';
import type { PaymentService } from '../ports/payment-service.ts';
import type { BillTokens } from '../ports/bill-tokens.ts';
import type { BillingConfig } from './declared/parse-billing.ts';
import { composeContainers, type ContainerParts } from './compose-containers.ts';
import type { ContainersConfig } from './declared/parse-containers.ts';
import { sha256Digest } from './secrets/sha256-digest.ts';
import type { Closers } from './closers.ts';
import type { GatewayConfig } from './declared/declared-config.ts';
import { makeDataKeys } from './secrets/data-keys.ts';
import type { RunIdentity } from './run-identity.ts';
import { observeCalls } from './telemetry/observe-calls.ts';
import { observeStore } from './telemetry/observe-store.ts';
import { observeUpstream } from './telemetry/observe-upstream.ts';
import { observeWriter } from './telemetry/observe-writer.ts';
import type { Telemetry } from './telemetry/telemetry.ts';

/** Commands that may wait in the writer; beyond them callers get 503. A second's worth on a slow disk. */
const MAX_QUEUED_COMMANDS = 20_000;
const CONNECT_TIMEOUT_MS = 5000;
/** What a settlement that waits for the store may take at a stop, beside the time for upstreams to finish. */
const SETTLE_AT_STOP_MS = 5000;

/** Beats go out every second: after this long without an answer the database counts as out of reach. */
const MAX_SILENT_MS = 5000;

/** What keeps the audit trail honest: where its ends are exported to, and the secret that signs where it was cut. */
export interface Trail {
  readonly file: TrailExport;
  readonly secret: string;
}

/** What everything is wired from. */
export interface ComposeDeps {
  readonly store: LedgerStore & RecordStore & WebhookStore;
  readonly isShared: boolean;
  /** Whether an embedded store has stopped for good. */
  readonly isStoreLost: () => boolean;
  readonly run: RunIdentity;
  readonly hasher: KeyHasher;
  readonly secretBox: SecretBox;
  readonly masterKeys: MasterKeys;
  readonly server: ServerFacts;
  readonly tokenizers: Tokenizers;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly failpoints: Failpoints;
  readonly gateway: GatewayConfig;
  readonly retention: Retention;
  readonly sealedKeys: SealedKeyPolicy;
  readonly declared: DeclaredFields;
  readonly operatorKey: string;
  readonly trail: Trail;
  readonly billTokens: BillTokens;
  readonly billing: BillingConfig;
  readonly containers: ContainersConfig;
  readonly onRotated: OnRotated;
  readonly log: Log;
  readonly closers: Closers;
  readonly telemetry: Telemetry;
}

/** The parts of the program that listeners and jobs use. */
export interface Parts extends Refusals {
  /** Where customers pay; null where nothing is declared. */
  readonly payments: PaymentService | null;
  readonly containers: ContainerParts;
  readonly writer: LedgerWriter;
  readonly directory: Directory;
  readonly sealedEnd: SealedEnd;
  readonly attestations: Attestations;
  readonly calls: Calls;
  readonly rotateMasterKey: RotateMasterKey;
  readonly closeTenants: CloseTenants;
  readonly keyUses: KeyUses;
  readonly denials: DenialRecorder;
  readonly events: EventServices;
  readonly countInputTokens: ReturnType<typeof makeCountInputTokens>;
  readonly relayObject: ReturnType<typeof makeRelayUpstreamObject>;
  /** Whether the store can be used, as far as is known without asking it. */
  readonly isReady: () => boolean;
}

/**
 * Wires the program by arguments, each part once, and starts what runs by itself. Each part that has to be closed registers its closer
 * as it opens; closing goes the other way round, so that calls end while the jobs still keep their holds, and the writer goes last.
 */
export async function compose(deps: ComposeDeps): Promise<Parts> {
  const { store, clock, ids, failpoints, gateway, log, closers } = deps;
  const elapsedMs = (): number => performance.now();
  const { metrics, config, tracing } = deps.telemetry;
  const observing = { metrics, tenantLabels: config.tenantLabels, current: tracing?.current ?? null };

  // The uses of keys are written by the writer, which the directory hears of changes from.
  const noteUse = (keyId: string, nowMs: number): void => keyUses.note(keyId, nowMs);
  const directory = makeDirectory({ ...deps, records: store, elapsedMs, onTenantKeyUsed: noteUse });
  closers.add('directory', () => directory.close());
  // After the last batch of the writer, which closes before it.
  const exportHeads = makeExportHeads({ store, file: deps.trail.file, barrier: () => writer.barrier(), clock, log });
  closers.add('ends of the audit trail', () => (deps.isStoreLost() ? undefined : exportHeads()));
  let containers: ContainerParts | null = null;
  const aboutContainers = { recordsChanged: (refs: readonly RecordRef[]) => containers?.recordsChanged(refs) };
  const plainWriter = makeLedgerWriter({
    store: observeStore(store, metrics),
    ids,
    onRecordsChanged: (refs) => tellChanged(directory, watched.subscriptions, aboutContainers)(refs),
    maxQueued: MAX_QUEUED_COMMANDS,
    failpoints,
    log,
  });
  closers.add('writer', () => plainWriter.close());
  const observed = observeWriter(keepAnswersFor(plainWriter, deps.retention.idempotencyMs), observing);
  const watched = watchWriter(observed, { ...deps, elapsedMs });
  const { writer, denials } = watched;
  const keyUses = makeKeyUses({ writer, records: store, ids });
  closers.add('uses of keys', () => keyUses.flush());
  const refusals = composeRefusals({ ...deps, writer });
  await directory.refresh();
  directory.start();

  const pool = makeUpstreamPool({
    secretBox: deps.secretBox,
    makeClient: (upstream, ...opened) => observeUpstream(makeClient(deps, upstream, ...opened), upstream.id, observing),
  });
  closers.add('upstreams', () => pool.close());

  const holdMs = gateway.holdTtlMs + gateway.holdGraceMs;
  const liveOwners = makeLiveOwners({ ...deps.run, records: store, isShared: deps.isShared, holdMs, elapsedMs });
  const settleInterrupted = makeSettleInterrupted({ writer, store, log });
  await liveOwners.beat();
  await settleInterrupted({ liveOwnerIds: liveOwners.current() });
  const closeTenants = makeCloseTenants({ writer, records: store, ids, failpoints, log });
  closers.add('closing tenants', () => closeTenants.stop());
  const resumeCloses = (): Promise<void> => closeTenants.resume();
  const onQuarantined = (): void => void (metrics.quarantined.cell().value += 1);
  const statements = makeIssueStatements({ writer, records: store, ids, clock, digest: sha256Digest, failpoints, log });
  closers.add('statements', () => statements.stop());
  const payments = await openPayments(deps.billing);
  const tellUsage = payments === null ? null : makeTellUsage({ writer, records: store, service: payments, ids, clock, failpoints, log });
  const sweeps = {
    ...refusals,
    issueStatements: () => statements.run(),
    tellUsage,
    resumeCloses,
    flushKeyUses: () => keyUses.flush(),
    exportHeads,
    onQuarantined,
  };
  const jobs = startJobs({ ...deps, writer, settleInterrupted, liveOwners, ...sweeps });
  closers.add('jobs', () => jobs.stop());

  const secrets = makeDeploymentSecrets({ records: store, writer, ids, dataKeys: makeDataKeys(deps) });
  containers = await composeContainers({ ...deps, writer, directory, requestWriter: refusals.audit.writer, secrets });

  const sealed = composeSealed(deps, writer);

  const isReady = (): boolean => !deps.isStoreLost() && liveOwners.silentMs() <= MAX_SILENT_MS;
  const events = composeEvents({ ...deps, elapsedMs, isConnected: isReady }, watched);

  const openUpstream: OpenAnUpstream = (upstream, enclaveUrl) => pool.open(upstream, enclaveUrl);
  const random = (): number => Math.random();
  const calls = observeCalls(openCalls(deps, { writer, directory, openUpstream }), observing);
  const keepSpeeds = await startSpeeds(deps, { speeds: calls.speeds, writer });
  const idleMemory = startIdleMemory({ workload: () => ({ calls: calls.counters.calls, active: calls.active }) });
  closers.add('idle memory', () => idleMemory.stop());
  // Where the store has stopped for good nothing can be booked any more, however long it is waited for.
  closers.add('calls', () => endCalls(calls, deps.isStoreLost() ? 0 : gateway.drainMs + SETTLE_AT_STOP_MS));
  const rotateMasterKey = makeRotateMasterKey({ ...deps, keys: deps.masterKeys, records: store, writer, wait: (ms) => wait(ms) });
  metrics.failedCredentials.readFrom(() => refusals.failedCredentials.total);
  metrics.queue.readFrom(() => writer.pending);
  metrics.ready.readFrom(() => Number(isReady()));
  showJobFailures(metrics.jobFailures, [jobs, events.jobs, ...[keepSpeeds, sealed.job, ...containers.jobs].map(failuresOf)]);
  const unmetered = {
    ...deps,
    writer,
    catalogue: directory.catalogue,
    records: store,
    openUpstream,
    random,
    health: calls.health,
    speeds: calls.speeds,
    policies: (tenantId: string) => directory.policies(tenantId),
    limits: gateway,
  };
  return {
    containers,
    payments,
    writer,
    directory,
    sealedEnd: sealed.end,
    attestations: makeAttestations({ directory, source: makeHttpAttestations(), elapsedMs, log }),
    calls,
    rotateMasterKey,
    closeTenants,
    keyUses,
    ...refusals,
    denials,
    events: events.services,
    countInputTokens: makeCountInputTokens(unmetered),
    relayObject: makeRelayUpstreamObject(unmetered),
    isReady,
  };
}

/** Opens what relays calls. */
const openCalls = (
  deps: ComposeDeps,
  parts: { readonly writer: LedgerWriter; readonly directory: Directory; readonly openUpstream: OpenAnUpstream },
): Calls => {
  const { directory } = parts;
  return makeCalls({
    ...deps,
    ...parts,
    catalogue: directory.catalogue,
    records: deps.store,
    policies: (tenantId) => directory.policies(tenantId),
    currentTenant: (tenantId) => directory.currentTenant(tenantId),
    elapsedMs: () => performance.now(),
    random: () => Math.random(),
    limits: deps.gateway,
    maxSealedBytes: maxSealedBytes(deps.gateway.maxBodyBytes),
    ownerId: deps.run.ownerId,
  });
};

/** Something that tells how often jobs failed, by their names. */
interface JobFailures {
  readonly failures: () => Readonly<Record<string, number>>;
}

const failuresOf = (job: Job): JobFailures => ({ failures: () => ({ [job.name]: job.failures() }) });

/** Shows the failures of every job as one metric. */
function showJobFailures(family: Telemetry['metrics']['jobFailures'], all: readonly JobFailures[]): void {
  family.readAllFrom(() => all.flatMap((jobs) => Object.entries(jobs.failures()).map(([job, value]) => ({ labels: { job }, value }))));
}

/** Carries the speeds of upstreams over a restart: they are saved after the last call has ended, while the writer still writes. */
async function startSpeeds(
  { store, ids, log, closers, isStoreLost }: ComposeDeps,
  { speeds, writer }: { readonly speeds: UpstreamSpeeds; readonly writer: LedgerWriter },
): Promise<Job> {
  const kept = makeKeptSpeeds({ speeds, writer, records: store, ids });
  await kept.load();
  const job = startKeepSpeeds({ kept, log });
  closers.add('speeds of upstreams', async () => {
    await job.stop();
    if (!isStoreLost()) await kept.save();
  });
  return job;
}

/** A request of ours to the payment service may take so long. */
const PAYMENT_TIMEOUT_MS = 15_000;

/** The payment service that is declared. Its library is loaded only where it is: it takes its time. */
async function openPayments({ stripe }: BillingConfig): Promise<PaymentService | null> {
  if (stripe === null) return null;
  const { makeStripeService } = await import('../billing/stripe/stripe-service.ts');
  return makeStripeService({ ...stripe, timeoutMs: PAYMENT_TIMEOUT_MS });
}

function makeClient(
  deps: Pick<ComposeDeps, 'tokenizers' | 'clock'>,
  ...[upstream, apiKey, headers]: [Upstream, string | null, UpstreamHeaders]
): UpstreamClient {
  if (upstream.kind === 'demo') return makeDemoClient(deps);
  // Without a limit of connections: the ledger limits what may be under way, and a call must not wait where nobody sees it.
  return makeOpenAiClient({
    name: upstream.id,
    baseUrl: upstream.baseUrl,
    apiKey,
    headers,
    connections: null,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  });
}

/** Waits for calls whose callers are gone; what is not settled by then, the next start settles. */
async function endCalls(calls: Calls, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, limitMs)));
  await Promise.race([calls.idle(), limit]);
  clearTimeout(timer);
  calls.close();
}

/** Mounts what the data plane serves; the control plane serves it too. */
export async function mountDataPlane(
  app: FastifyInstance,
  deps: ComposeDeps,
  parts: Parts,
  listener: { readonly isControlPlane: boolean },
): Promise<void> {
  const { clock, gateway, log } = deps;
  await app.register(makeSealedKeyApi({ ...parts, log }));
  await app.register(
    makeAnthropicGateway({
      sealedEnd: parts.sealedEnd,
      calls: parts.calls,
      authenticate: (credential) => parts.directory.authenticate(credential, clock.nowMs()),
      catalogue: parts.directory.catalogue,
      clock,
      log,
      maxBodyBytes: gateway.maxBodyBytes,
    }),
  );
  await app.register(
    makeOpenAiGateway({
      sealedEnd: parts.sealedEnd,
      calls: parts.calls,
      countInputTokens: parts.countInputTokens,
      relayObject: parts.relayObject,
      authenticate: (credential) => parts.directory.authenticate(credential, clock.nowMs()),
      catalogue: parts.directory.catalogue,
      clock,
      log,
      maxBodyBytes: gateway.maxBodyBytes,
    }),
  );
  await app.register(makeOwnKeyApi({ ...deps, ...parts, records: deps.store }));
  await app.register(makeManagement({ ...deps, ...parts, records: deps.store }));
  await app.register(makeCyclesRuntime({ ...deps, ...parts, records: deps.store, sharesBalances: listener.isControlPlane }));
}

/** What the operator may see of upstreams, as their calls tell. */
const pickReports = ({ health, speeds }: Calls): Pick<Calls, 'health' | 'speeds'> => ({ health, speeds });

/** Mounts what only the control plane serves. */
export async function mountControlPlane(app: FastifyInstance, deps: ComposeDeps, parts: Parts): Promise<void> {
  const { writer, directory } = parts;
  const { publicUrl, issuer } = deps.billing;
  const shared = { ...deps, publicUrl, writer, audit: parts.audit, directory, rotateMasterKey: parts.rotateMasterKey, records: deps.store };
  const bills = { records: deps.store, tokens: deps.billTokens };
  const service = parts.payments;
  const billing = service === null ? makeBuiltInBilling(bills) : makeStripeBilling({ records: deps.store, service });
  const { manage, logs, use, domains, baseDomain, sshPort } = parts.containers;
  const containers = { containers: manage, logs, use, domains, baseDomain, sshPort };
  await app.register(makeTinfoilAdmin({ ...shared, billing, ...containers, dataKeys: makeDataKeys(deps), parseSshKey }));
  await app.register(makePaymentsApi({ takeWebhook: service === null ? null : makeTakeWebhook({ ...shared, service }), log: deps.log }));
  await app.register(makeReleaseHooksApi({ takeReleaseHook: parts.containers.takeReleaseHook, log: deps.log }));
  await app.register(makeBillPages({ readBill: makeReadBill(bills), issuer, log: deps.log }));
  await app.register(makeTinfoilMachine({ ...shared, elapsedMs: () => performance.now() }));
  await app.register(makeCyclesGovernance({ ...parts, ...shared, eventReads: deps.store }));
  const { file, secret } = deps.trail;
  const verify = async (): Promise<Verification> => deps.store.verify({ ...(await file.read()), secret });
  await app.register(makeOperatorApi({ ...shared, ...pickReports(parts.calls), store: { verify }, tokenizerNames: deps.tokenizers.names }));
}
