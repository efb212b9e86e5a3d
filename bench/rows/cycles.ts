import { startPostgresCluster } from '../../test/support/postgres-cluster.ts';
import { callApi, startCastellan, type StartedCastellan } from '../support/castellan.ts';
import { jsonRequest, type LoadPlan, type NextRequest } from '../support/load.ts';
import { startScript, type Started } from '../support/processes.ts';
import type { Row } from '../support/report.ts';
import { interleave, type Contender } from '../support/rounds.ts';
import { rounded } from '../support/stats.ts';

const TENANT = 'bench-cycles';
const UNIT = 'USD_MICROCENTS';
const BUDGETS = 1000;
const CLIENTS = [1, 32, 200] as const;

/** How long a row measures. */
interface Timing {
  readonly rounds: number;
  readonly durationMs: number;
}

interface Setup {
  readonly empty: Started;
  readonly ours: Readonly<Record<'SQLite' | 'PostgreSQL', StartedCastellan>>;
  readonly keys: Readonly<Record<'SQLite' | 'PostgreSQL', string>>;
}

/** An answer of the size of a reservation's, for the empty route. */
const ANSWER = JSON.stringify({
  decision: 'ALLOW',
  reservation_id: 'res_01K9Z0000000000000000000AB',
  affected_scopes: [`tenant:${TENANT}`, `tenant:${TENANT}/agent:a1`],
  expires_at_ms: 1_763_800_000_000,
  remaining_ttl_ms: 60_000,
  scope_path: `tenant:${TENANT}/agent:a1`,
  reserved: { unit: UNIT, amount: 1 },
  balances: [
    {
      scope: `tenant:${TENANT}`,
      scope_path: `tenant:${TENANT}`,
      remaining: { unit: UNIT, amount: 3_999_999_999_999 },
      reserved: { unit: UNIT, amount: 1 },
      spent: { unit: UNIT, amount: 0 },
      allocated: { unit: UNIT, amount: 4_000_000_000_000 },
    },
  ],
});

const budget = (scope: string, amount: number): Record<string, unknown> => ({
  tenant_id: TENANT,
  scope,
  unit: UNIT,
  allocated: { unit: UNIT, amount },
});

/** Makes the tenant, one budget over all of it or one for each of {@link BUDGETS} agents, a used-up one, and a key. */
async function prepare(ours: StartedCastellan, many: boolean): Promise<string> {
  const base = `http://127.0.0.1:${ours.adminPort}/v1/admin`;
  const operator = { 'x-admin-api-key': ours.operatorKey };
  const post = (path: string, body: unknown): Promise<unknown> => callApi(`${base}${path}`, operator, { method: 'POST', body });
  await post('/tenants', { tenant_id: TENANT, name: 'Bench' });
  const key = (await post('/api-keys', { tenant_id: TENANT, name: 'bench' })) as { key_secret: string };
  if (!many) await post('/budgets', budget(`tenant:${TENANT}`, 4_000_000_000_000_000));
  for (let index = 0; many && index < BUDGETS; index += 1)
    await post('/budgets', budget(`tenant:${TENANT}/agent:a${index}`, 4_000_000_000_000));
  await post('/budgets', budget(`tenant:${TENANT}/agent:empty`, 0));
  return key.key_secret;
}

async function withCycles<T>(options: { many: boolean }, body: (setup: Setup) => Promise<T>): Promise<T> {
  const cluster = await startPostgresCluster();
  const empty = await startScript('bench/baseline/empty.ts', [ANSWER]);
  const upstream = await startScript('bench/baseline/upstream.ts');
  const ours = {
    SQLite: await startCastellan({ upstreamPort: upstream.port }),
    PostgreSQL: await startCastellan({ upstreamPort: upstream.port, databaseUrl: await cluster.createDatabase() }),
  };
  try {
    const keys = { SQLite: await prepare(ours.SQLite, options.many), PostgreSQL: await prepare(ours.PostgreSQL, options.many) };
    return await body({ empty, ours, keys });
  } finally {
    for (const started of [ours.SQLite, ours.PostgreSQL, upstream, empty]) await started.stop();
    await cluster.stop();
  }
}

let made = 0;

/** A reservation under a key of its own each time. `agent` picks a budget. */
function reserveRequest(key: string, agent: (count: number) => string): Buffer {
  made += 1;
  return jsonRequest({
    path: '/v1/reservations',
    headers: { 'x-cycles-api-key': key },
    body: {
      idempotency_key: `bench-${process.pid}-${made}`,
      subject: { tenant: TENANT, agent: agent(made) },
      action: { kind: 'llm.completion', name: 'bench' },
      estimate: { unit: UNIT, amount: 1 },
      ttl_ms: 600_000,
    },
  });
}

const oneAgent = (): string => 'a1';
const anyAgent = (count: number): string => `a${count % BUDGETS}`;

const reserves =
  (key: string, agent: (count: number) => string): (() => NextRequest) =>
  () =>
  () => ({ bytes: reserveRequest(key, agent), counts: true });

const COMMIT_BODY = { actual: { unit: UNIT, amount: 1 } };

/** Reserve, then commit what the answer names: one operation. */
const pairs =
  (key: string, agent: (count: number) => string): (() => NextRequest) =>
  () => {
    let isReserved = false;
    return (previous) => {
      const id = isReserved && previous !== null ? /"reservation_id":"([^"]+)"/.exec(previous)?.[1] : undefined;
      isReserved = id === undefined;
      if (id === undefined) return { bytes: reserveRequest(key, agent), counts: false };
      made += 1;
      const body = { idempotency_key: `bench-${process.pid}-${made}`, ...COMMIT_BODY };
      return { bytes: jsonRequest({ path: `/v1/reservations/${id}/commit`, headers: { 'x-cycles-api-key': key }, body }), counts: true };
    };
  };

const figures = ({ rate, p50Ms, p99Ms }: Contender): string => `${Math.round(rate)}/s, p50 ${rounded(p50Ms)} ms, p99 ${rounded(p99Ms)} ms`;

const emptyPlan = (setup: Setup, load: { clients: number; durationMs: number }): LoadPlan => ({
  port: setup.empty.port,
  request: reserves('none', oneAgent),
  ...load,
});

async function reserveRows(setup: Setup, timing: Timing, what: { name: string; agent: (count: number) => string }): Promise<Row[]> {
  const rows: Row[] = [];
  for (const clients of CLIENTS) {
    const load = { clients, durationMs: timing.durationMs };
    const plan = (store: 'SQLite' | 'PostgreSQL'): LoadPlan => ({
      port: setup.ours[store].port,
      request: reserves(setup.keys[store], what.agent),
      ...load,
    });
    const plans = { empty: emptyPlan(setup, load), SQLite: plan('SQLite'), PostgreSQL: plan('PostgreSQL') };
    const result = await interleave(plans, timing.rounds);
    for (const store of ['SQLite', 'PostgreSQL'] as const) {
      rows.push({
        what: `reserve, ${what.name}, ${clients} clients, ${store}`,
        ours: figures(result[store]),
        baseline: `empty route ${Math.round(result.empty.rate)}/s, p50 ${rounded(result.empty.p50Ms)} ms`,
        ratio: `${rounded(result[store].rate / result.empty.rate)} of the rate`,
        owed:
          store === 'SQLite' && clients === 32
            ? 'at least 0.4'
            : store === 'PostgreSQL'
              ? `half of SQLite: ${rounded(result.PostgreSQL.rate / result.SQLite.rate)}`
              : '',
        notes: `errors ${result[store].errors}`,
      });
    }
  }
  return rows;
}

/** `POST /v1/reservations`, durable, on one hot budget: requests a second beside an empty route with the same sizes; and refused ones. */
export const cyclesReserves = (timing: Timing): Promise<Row[]> =>
  withCycles({ many: false }, async (setup) => {
    const rows = await reserveRows(setup, timing, { name: 'one budget', agent: oneAgent });
    const load = { clients: 32, durationMs: timing.durationMs };
    const { port } = setup.ours.SQLite;
    const plans = {
      admitted: { port, request: reserves(setup.keys.SQLite, oneAgent), ...load },
      refused: { port, request: reserves(setup.keys.SQLite, () => 'empty'), okStatus: 409, ...load },
    };
    const { admitted, refused } = await interleave(plans, timing.rounds);
    rows.push({
      what: 'refused reserves, 32 clients, SQLite',
      ours: figures(refused),
      baseline: `admitted ${figures(admitted)}`,
      ratio: `${rounded(refused.rate / admitted.rate)}`,
      owed: 'at least 1',
      notes: `errors ${refused.errors}`,
    });
    return rows;
  });

/** The same spread over a thousand budgets. */
export const cyclesBudgets = (timing: Timing): Promise<Row[]> =>
  withCycles({ many: true }, (setup) => reserveRows(setup, timing, { name: `${BUDGETS} budgets`, agent: anyAgent }));

/** Reserve, then commit: pairs a second on one hot budget, on both stores. */
export const cyclesPairs = (timing: Timing): Promise<Row[]> =>
  withCycles({ many: false }, async (setup) => {
    const rows: Row[] = [];
    const p99Of: Record<string, number> = {};
    for (const clients of CLIENTS) {
      const load = { clients, durationMs: timing.durationMs };
      const plan = (store: 'SQLite' | 'PostgreSQL'): LoadPlan => ({
        port: setup.ours[store].port,
        request: pairs(setup.keys[store], oneAgent),
        ...load,
      });
      const result = await interleave(
        { empty: emptyPlan(setup, load), SQLite: plan('SQLite'), PostgreSQL: plan('PostgreSQL') },
        timing.rounds,
      );
      for (const store of ['SQLite', 'PostgreSQL'] as const) {
        p99Of[`${store} ${clients}`] = result[store].p99Ms;
        rows.push({
          what: `reserve and commit, one budget, ${clients} clients, ${store}`,
          ours: `${figures(result[store])} (pairs)`,
          baseline: `empty route ${Math.round(result.empty.rate)} requests/s`,
          ratio: `${rounded((2 * result[store].rate) / result.empty.rate)} of the requests`,
          owed:
            clients === 200
              ? `p99 at most 10 times that at 32: ${rounded(result[store].p99Ms / (p99Of[`${store} 32`] ?? 1))}`
              : '5,000 pairs/s on SQLite, half on PostgreSQL',
          notes: `errors ${result[store].errors}`,
        });
      }
    }
    return rows;
  });

const SUBSCRIPTIONS = 1000;
const EVENT_EVERY_MS = 1000;

/** Subscribes {@link SUBSCRIPTIONS} webhooks to what funding tells, all at one receiver. */
async function subscribe(ours: StartedCastellan, receiver: Started): Promise<void> {
  const base = `http://127.0.0.1:${ours.adminPort}/v1/admin`;
  const operator = { 'x-admin-api-key': ours.operatorKey };
  await callApi(`${base}/config/webhook-security`, operator, { method: 'PUT', body: { allow_http: true, blocked_cidr_ranges: [] } });
  for (let index = 0; index < SUBSCRIPTIONS; index += 1) {
    const body = { url: `http://127.0.0.1:${receiver.port}/v1/reservations?n=${index}`, event_types: ['budget.funded'] };
    await callApi(`${base}/webhooks?tenant_id=${TENANT}`, operator, { method: 'POST', body });
  }
}

/** Funds the hot budget: one event, which every subscription is sent. */
async function fundOnce(ours: StartedCastellan): Promise<void> {
  made += 1;
  const body = { operation: 'CREDIT', amount: { unit: UNIT, amount: 1 }, idempotency_key: `fund-${process.pid}-${made}` };
  const path = `/v1/admin/budgets/fund?tenant_id=${TENANT}&scope=tenant:${TENANT}&unit=${UNIT}`;
  await callApi(`http://127.0.0.1:${ours.adminPort}${path}`, { 'x-admin-api-key': ours.operatorKey }, { method: 'POST', body });
}

/** Deliveries that were taken so far. */
async function delivered(ours: StartedCastellan): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${ours.adminPort}/metrics`, { headers: { 'x-admin-api-key': ours.operatorKey } });
  return Number(/^cycles_webhook_delivery_success_total (\d+)/m.exec(await answer.text())?.[1] ?? 0);
}

/**
 * `POST /v1/reservations` with 32 clients on a server with a thousand webhooks and on one without any, in turn: while nothing is told, and
 * while an event is told each second, which goes to all of them.
 */
export async function cyclesFanout(timing: Timing): Promise<Row[]> {
  const receiver = await startScript('bench/baseline/empty.ts', [ANSWER]);
  const upstream = await startScript('bench/baseline/upstream.ts');
  const servers = {
    none: await startCastellan({ upstreamPort: upstream.port }),
    many: await startCastellan({ upstreamPort: upstream.port }),
  };
  try {
    const keys = { none: await prepare(servers.none, false), many: await prepare(servers.many, false) };
    await subscribe(servers.many, receiver);
    const load = { clients: 32, durationMs: timing.durationMs };
    const plan = (name: 'none' | 'many'): LoadPlan => ({ port: servers[name].port, request: reserves(keys[name], oneAgent), ...load });
    const rows: Row[] = [];
    for (const withEvents of [false, true]) {
      const before = await delivered(servers.many);
      let events = 0;
      /** Tells an event each second from the first moment on; what is not delivered by the end of the run is waited for. */
      const tell = (name: 'none' | 'many') => {
        const fund = async (): Promise<void> => {
          if (name === 'many') events += 1;
          await fundOnce(servers[name]);
        };
        const told = [fund()];
        const timer = setInterval(() => told.push(fund()), EVENT_EVERY_MS);
        return async (): Promise<void> => {
          clearInterval(timer);
          await Promise.all(told);
          while ((await delivered(servers.many)) - before < events * SUBSCRIPTIONS) await new Promise((resolve) => setTimeout(resolve, 50));
        };
      };
      const { none, many } = await interleave({ none: plan('none'), many: plan('many') }, timing.rounds, withEvents ? tell : undefined);
      rows.push({
        what: `reserve, ${SUBSCRIPTIONS} webhooks, ${withEvents ? 'an event a second' : 'no event'}, 32 clients, SQLite`,
        ours: figures(many),
        baseline: `no webhooks ${figures(none)}`,
        ratio: `${rounded(many.rate / none.rate)} of the rate`,
        owed: 'as without',
        notes: `errors ${many.errors}, ${(await delivered(servers.many)) - before} deliveries meanwhile`,
      });
    }
    return rows;
  } finally {
    for (const started of [servers.none, servers.many, upstream, receiver]) await started.stop();
  }
}
