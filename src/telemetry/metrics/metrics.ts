import { CounterFamily, HistogramFamily, ReadFamily, type Family } from './families.ts';

/** From a flush of a fast disk to a call that thinks for minutes. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
/** What does not leave this machine and its database. */
const SHORT_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256];

const NANO = 1e-9;

/** Every metric of the program but those of the process itself; `docs/metrics.md` lists the same. */
export type Metrics = ReturnType<typeof makeMetrics>;

/**
 * Makes the metrics at zero. Names and labels are part of what the program promises.
 *
 * `tenantLabels`: those that count what tenants use carry a label `tenant`. Source: docs/metrics.md.
 */
export function makeMetrics(options: { readonly tenantLabels: boolean }) {
  const tenant = options.tenantLabels ? ['tenant'] : [];
  return {
    ...makeHttpMetrics(),
    ...makeUseMetrics(tenant),
    ...makeUpstreamMetrics(),
    ...makeLedgerMetrics(),
    ...makeEventMetrics(),
    ...makeSealedMetrics(),
    ...makeProcessMetrics(),
  };
}

/** The families of {@link Metrics}. */
export const familiesOf = (metrics: Metrics): Family[] => Object.values(metrics);

function makeHttpMetrics() {
  const route = ['surface', 'method', 'route'];
  return {
    httpRequests: new CounterFamily({
      name: 'castellan_http_requests_total',
      help: 'Requests that have ended, by the class of their status; aborted: cut off before the end, by the client or by us.',
      labels: [...route, 'status'],
    }),
    httpSeconds: new HistogramFamily({
      name: 'castellan_http_request_seconds',
      help: 'Time from the headers of a request to the end of its answer.',
      labels: route,
      bounds: SECONDS,
    }),
    httpInFlight: new LevelFamily({
      name: 'castellan_http_requests_in_flight',
      help: 'Requests that are being answered.',
    }),
    gatewayFirstByte: new HistogramFamily({
      name: 'castellan_gateway_first_byte_seconds',
      help: 'Time from the headers of a gateway request to the head of its successful answer.',
      labels: ['method', 'route'],
      bounds: SECONDS,
    }),
  };
}

/** Named as the Cycles reference servers name them, so that their alert rules work here. */
function makeEventMetrics() {
  const counter = (name: string, help: string): CounterFamily => new CounterFamily({ name, help });
  return {
    webhookAttempts: counter('cycles_webhook_delivery_attempts_total', 'Requests to webhooks.'),
    webhookSuccess: counter('cycles_webhook_delivery_success_total', 'Requests to webhooks that were answered with 2xx.'),
    webhookFailed: counter('cycles_webhook_delivery_failed_total', 'Deliveries that failed for good: their last request was not taken.'),
    webhookRetried: counter('cycles_webhook_delivery_retried_total', 'Requests to webhooks that were not taken and will be made again.'),
    webhookStale: counter(
      'cycles_webhook_delivery_stale_total',
      'Deliveries that were given up untried: older than 24 hours, or of an event that is not kept any more.',
    ),
    webhookLatency: new HistogramFamily({
      name: 'cycles_webhook_delivery_latency_seconds',
      help: 'Time from sending a request to a webhook to its answer, or to giving it up.',
      bounds: SECONDS,
    }),
    webhookDisabled: counter(
      'cycles_webhook_subscription_auto_disabled_total',
      'Subscriptions that were disabled because they failed too often.',
    ),
    webhookDispatched: counter('cycles_admin_webhook_dispatched_total', 'Deliveries that events made.'),
    eventsEmitted: counter('cycles_admin_events_emitted_total', 'Events that were handed out, to however many webhooks.'),
  };
}

/** A cell that goes up and down. */
class LevelFamily extends ReadFamily {
  readonly cell = { value: 0 };

  constructor(options: { readonly name: string; readonly help: string }) {
    super({ ...options, type: 'gauge' });
    this.readFrom(() => this.cell.value);
  }
}

function makeUseMetrics(tenant: readonly string[]) {
  return {
    tokens: new CounterFamily({
      name: 'castellan_tokens_total',
      help: 'Tokens booked; cached_prompt and cache_write_prompt are parts of prompt, reasoning is a part of completion.',
      labels: ['kind', 'model', ...tenant],
    }),
    cost: new CounterFamily({
      name: 'castellan_cost_usd_total',
      help: 'Cost booked, exact to a nano-dollar.',
      labels: ['model', ...tenant],
      scale: NANO,
    }),
    calls: new CounterFamily({
      name: 'castellan_calls_booked_total',
      help: 'Calls booked; estimated: the upstream reported no usage, so we counted.',
      labels: ['model', 'estimated', ...tenant],
    }),
    refusals: new CounterFamily({
      name: 'castellan_gateway_refusals_total',
      help: 'Gateway calls that got no answer of a model, by why.',
      labels: ['code', ...tenant],
    }),
    holds: new CounterFamily({
      name: 'castellan_holds_total',
      help: 'Attempts to hold on accounts: held, refused, or failed because the store could not say.',
      labels: ['purpose', 'outcome'],
    }),
    holdsRefused: new CounterFamily({
      name: 'castellan_holds_refused_total',
      help: 'Holds that an account refused, by the code of the refusal.',
      labels: ['code', ...tenant],
    }),
    holdSeconds: new HistogramFamily({
      name: 'castellan_hold_seconds',
      help: 'Time to hold, until it is durable or refused.',
      labels: ['purpose'],
      bounds: SHORT_SECONDS,
    }),
    settleSeconds: new HistogramFamily({
      name: 'castellan_settle_seconds',
      help: 'Time to settle a call, until it is durable.',
      bounds: SHORT_SECONDS,
    }),
    callsActive: new ReadFamily({
      name: 'castellan_holds_active',
      help: 'Holds of calls of this process that are not settled yet.',
      type: 'gauge',
    }),
    callEvents: new ReadFamily({
      name: 'castellan_gateway_events_total',
      help: 'What happened to calls beside their ends, by the counters of the gateway.',
      labels: ['event'],
      type: 'counter',
    }),
    holdViolations: new ReadFamily({
      name: 'castellan_hold_violations_total',
      help: 'Calls that used more than was held for them: a bound was wrong.',
      type: 'counter',
    }),
  };
}

function makeUpstreamMetrics() {
  return {
    upstreamAttempts: new CounterFamily({
      name: 'castellan_upstream_attempts_total',
      help: 'Requests sent to upstreams, by what came back: the class of the status, 429 by itself, or how it failed.',
      labels: ['upstream', 'outcome'],
    }),
    upstreamSeconds: new HistogramFamily({
      name: 'castellan_upstream_answer_seconds',
      help: 'Time from sending a request to the head of the answer of its upstream.',
      labels: ['upstream'],
      bounds: SECONDS,
    }),
  };
}

function makeLedgerMetrics() {
  return {
    batches: new CounterFamily({
      name: 'castellan_ledger_batches_total',
      help: 'Batches of commands, each one transaction of the store.',
      labels: ['outcome'],
    }),
    batchCommands: new HistogramFamily({
      name: 'castellan_ledger_batch_commands',
      help: 'Commands in a batch.',
      bounds: SIZES,
    }),
    batchSeconds: new HistogramFamily({
      name: 'castellan_ledger_batch_seconds',
      help: 'Time of a batch, from its loading until it is durable.',
      bounds: SHORT_SECONDS,
    }),
    commands: new CounterFamily({
      name: 'castellan_ledger_commands_total',
      help: 'Commands decided, by verb and by whether they were refused.',
      labels: ['verb', 'outcome'],
    }),
    queue: new ReadFamily({
      name: 'castellan_ledger_queue_commands',
      help: 'Commands that wait for their batch or are in one.',
      type: 'gauge',
    }),
    faults: new CounterFamily({
      name: 'castellan_ledger_faults_total',
      help: 'Commands that were not done: overloaded (the queue was full), store_unavailable, or internal (our own fault).',
      labels: ['code'],
    }),
    quarantined: new CounterFamily({
      name: 'castellan_reservations_quarantined_total',
      help: 'Reservations past their time that cannot be read or booked, set aside by the sweep.',
    }),
    ingress: new CounterFamily({
      name: 'castellan_ingress_requests_total',
      help: 'Requests to containers that were answered, by the class of the status.',
      labels: ['class'],
    }),
    sshRefused: new CounterFamily({
      name: 'castellan_ssh_refused_total',
      help: 'What the gateway to debug containers refused, by the reason.',
      labels: ['reason'],
    }),
    sshSessions: new LevelFamily({
      name: 'castellan_ssh_sessions',
      help: 'Sessions in debug containers that are open.',
    }),
  };
}

function makeSealedMetrics() {
  return {
    sealedRequests: new CounterFamily({
      name: 'castellan_sealed_requests_total',
      help: 'Sealed bodies that came: opened, stale (for a key that is out of date), replayed (taken before), or refused (they cannot be opened).',
      labels: ['outcome'],
    }),
    sealedKeys: new CounterFamily({
      name: 'castellan_sealed_keys_made_total',
      help: 'Keys for sealed bodies that this process has made.',
    }),
  };
}

function makeProcessMetrics() {
  return {
    logLines: new CounterFamily({
      name: 'castellan_log_lines_total',
      help: 'Lines of the log, whether its level shows them or not.',
      labels: ['level'],
    }),
    jobFailures: new ReadFamily({
      name: 'castellan_job_failures_total',
      help: 'Runs of background jobs that failed.',
      labels: ['job'],
      type: 'counter',
    }),
    failedCredentials: new ReadFamily({
      name: 'castellan_failed_credentials_total',
      help: 'Requests that came without a good credential, on every surface.',
      type: 'counter',
    }),
    ready: new ReadFamily({
      name: 'castellan_ready',
      help: 'Whether this process can work: 1, or 0 while its store cannot be used.',
      type: 'gauge',
    }),
    build: new ReadFamily({
      name: 'castellan_build_info',
      help: 'Always 1; what runs here.',
      labels: ['version', 'node', 'store'],
      type: 'gauge',
    }),
    spans: new CounterFamily({
      name: 'castellan_trace_spans_total',
      help: 'Spans handed to the exporter: exported, or failed where the collector did not take them.',
      labels: ['outcome'],
    }),
  };
}
