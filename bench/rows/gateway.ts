import { startNginx } from '../baseline/nginx.ts';
import { startCastellan, type StartedCastellan } from '../support/castellan.ts';
import { jsonRequest, type LoadPlan } from '../support/load.ts';
import { startScript, type Started } from '../support/processes.ts';
import type { Row } from '../support/report.ts';
import { interleave, STALL_MS } from '../support/rounds.ts';
import { rounded } from '../support/stats.ts';

const STREAMS = 256;
const CHUNK_GAP_MS = 20;

interface Setup {
  readonly upstream: Started;
  readonly relay: Started;
  readonly nginx: Started | null;
  readonly ours: StartedCastellan;
}

/** Starts the model server, both relays and a fresh Castellan in front of it, runs `body`, and ends them all. */
export async function withGateway<T>(
  options: { databaseUrl?: string; chunkGapMs?: number },
  body: (setup: Setup) => Promise<T>,
): Promise<T> {
  const { chunkGapMs, ...server } = options;
  const upstream = await startScript('bench/baseline/upstream.ts', chunkGapMs === undefined ? [] : [String(chunkGapMs)]);
  const relay = await startScript('bench/baseline/relay.ts', [String(upstream.port)]);
  const nginx = await startNginx(upstream.port);
  const ours = await startCastellan({ upstreamPort: upstream.port, ...server });
  try {
    return await body({ upstream, relay, nginx, ours });
  } finally {
    for (const started of [ours, nginx, relay, upstream]) await started?.stop();
  }
}

const chat = (stream: boolean): Record<string, unknown> => ({
  model: 'bench',
  messages: [{ role: 'user', content: 'Say a few words about castles, please.' }],
  max_tokens: 64,
  ...(stream ? { stream: true } : {}),
});

const plansFor = (setup: Setup, stream: boolean, load: { clients: number; durationMs: number }): Record<string, LoadPlan> => {
  const plan = (port: number, bearer: string): LoadPlan => ({
    port,
    request: jsonRequest({ path: '/v1/chat/completions', bearer, body: chat(stream) }),
    ...load,
  });
  const nginx = setup.nginx === null ? {} : { nginx: plan(setup.nginx.port, 'none') };
  return { relay: plan(setup.relay.port, 'none'), ...nginx, ours: plan(setup.ours.port, setup.ours.key) };
};

/** Gateway without stream: requests a second at 16, 32 and 128 clients, latency at 1. */
export async function gatewayPlain(options: { rounds: number; durationMs: number; databaseUrl?: string }): Promise<Row[]> {
  const store = options.databaseUrl === undefined ? 'SQLite' : 'PostgreSQL';
  return withGateway(options.databaseUrl === undefined ? {} : { databaseUrl: options.databaseUrl }, async (setup) => {
    const rows: Row[] = [];
    for (const clients of [1, 16, 32, 128]) {
      const { relay, nginx, ours } = await interleave(plansFor(setup, false, { clients, durationMs: options.durationMs }), options.rounds);
      if (relay === undefined || ours === undefined) throw new Error('a contender is missing');
      const isVoid = nginx !== undefined && relay.rate < nginx.rate / 2;
      const addedMs = ours.p50Ms - relay.p50Ms;
      rows.push({
        what: `gateway, no stream, ${clients} clients, ${store}`,
        ours: `${Math.round(ours.rate)}/s, p50 ${rounded(ours.p50Ms)} ms, p99 ${rounded(ours.p99Ms)} ms`,
        baseline: `bare relay ${Math.round(relay.rate)}/s, p50 ${rounded(relay.p50Ms)} ms`,
        ratio: `${rounded(ours.rate / relay.rate)} of the rate, +${rounded(addedMs)} ms p50`,
        owed: clients === 1 ? 'relay + one flush + 0.3 ms' : clients === 16 ? 'at least 0.33' : '',
        notes: `nginx ${nginx === undefined ? 'not installed' : `${Math.round(nginx.rate)}/s`}; errors ${ours.errors}${isVoid ? '; VOID: relay under half of nginx' : ''}`,
      });
    }
    return rows;
  });
}

/** Gateway with stream: time to the first byte of the body beside the bare relay's. */
export async function gatewayStream(options: { rounds: number; durationMs: number }): Promise<Row[]> {
  return withGateway({}, async (setup) => {
    const rows: Row[] = [];
    for (const clients of [1, 16, 32, 128]) {
      const { relay, ours } = await interleave(plansFor(setup, true, { clients, durationMs: options.durationMs }), options.rounds);
      if (relay === undefined || ours === undefined) throw new Error('a contender is missing');
      rows.push({
        what: `gateway, stream, ${clients} streams, SQLite`,
        ours: `first byte p50 ${rounded(ours.firstByteP50Ms)} ms, ${Math.round(ours.rate)} streams/s`,
        baseline: `bare relay ${rounded(relay.firstByteP50Ms)} ms, ${Math.round(relay.rate)} streams/s`,
        ratio: `+${rounded(ours.firstByteP50Ms - relay.firstByteP50Ms)} ms`,
        owed: clients === 1 ? 'at most +1 ms' : clients === 32 ? 'at most +10 ms' : '',
        notes: `errors ${ours.errors}`,
      });
    }
    return rows;
  });
}

/** As many streams at once as {@link STREAMS}, each a piece every {@link CHUNK_GAP_MS}: whether any of them stands still. */
export async function gatewayStall(options: { rounds: number; durationMs: number }): Promise<Row[]> {
  return withGateway({ chunkGapMs: CHUNK_GAP_MS }, async (setup) => {
    const load = { clients: STREAMS, durationMs: options.durationMs };
    const { nginx: _plain, ...plans } = plansFor(setup, true, load);
    const { relay, ours } = await interleave(plans, options.rounds);
    if (relay === undefined || ours === undefined) throw new Error('a contender is missing');
    const gaps = (one: typeof ours): string =>
      `silence p99 ${rounded(one.gapP99Ms)} ms, longest ${rounded(one.gapMaxMs)} ms, ${one.stalls} of ${STALL_MS} ms or more`;
    return [
      {
        what: `gateway, ${STREAMS} streams at ${CHUNK_GAP_MS} ms a chunk, SQLite`,
        ours: `${gaps(ours)}; first byte p50 ${rounded(ours.firstByteP50Ms)} ms, ${Math.round(ours.rate)} streams/s`,
        baseline: `bare relay: ${gaps(relay)}; first byte p50 ${rounded(relay.firstByteP50Ms)} ms`,
        ratio: `${rounded(ours.gapMaxMs - relay.gapMaxMs)} ms more than the relay's longest`,
        owed: `no silence of ${STALL_MS} ms`,
        notes: `errors ${ours.errors}`,
      },
    ];
  });
}

/** Refused calls (a cap that is used up) beside admitted ones. */
export async function gatewayRefused(options: { rounds: number; durationMs: number }): Promise<Row[]> {
  return withGateway({}, async (setup) => {
    const { callApi } = await import('../support/castellan.ts');
    const base = `http://127.0.0.1:${setup.ours.adminPort}`;
    const bearer = { authorization: `Bearer ${setup.ours.adminKey}` };
    const spent = (await callApi(`${base}/api/keys`, bearer, { method: 'POST', body: { name: 'used-up', max_tokens: 1 } })) as {
      key: string;
    };
    const load = { clients: 16, durationMs: options.durationMs };
    const request = (key: string): Buffer => jsonRequest({ path: '/v1/chat/completions', bearer: key, body: chat(false) });
    const plans = {
      admitted: { port: setup.ours.port, request: request(setup.ours.key), ...load },
      refused: { port: setup.ours.port, request: request(spent.key), okStatus: 402, ...load },
    };
    const { admitted, refused } = await interleave(plans, options.rounds);
    return [
      {
        what: 'refused calls, 16 clients, SQLite',
        ours: `${Math.round(refused.rate)}/s refused`,
        baseline: `${Math.round(admitted.rate)}/s admitted`,
        ratio: `${rounded(refused.rate / admitted.rate)}`,
        owed: 'at least 1',
        notes: `errors ${refused.errors}`,
      },
    ];
  });
}
