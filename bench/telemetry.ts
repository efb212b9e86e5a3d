import type { LedgerWriter } from '../src/app/ledger-writer.ts';
import { accepted } from '../src/core/rejection.ts';
import type { Command } from '../src/core/verbs.ts';
import type { UpstreamClient, UpstreamRequest } from '../src/ports/upstream.ts';
import { observeStore } from '../src/server/telemetry/observe-store.ts';
import { observeUpstream } from '../src/server/telemetry/observe-upstream.ts';
import { observeWriter } from '../src/server/telemetry/observe-writer.ts';
import { makeMetrics } from '../src/telemetry/metrics/metrics.ts';

/**
 * What counting costs a call: each observer around a part that does nothing, against that part alone, in turns. Prints nanoseconds.
 *
 * Run it by itself: `node bench/telemetry.ts`.
 */
const ROUNDS = 15;
const CALLS = 50_000;

const metrics = makeMetrics({ tenantLabels: false });
const observing = { metrics, tenantLabels: false, current: null };

const usage = {
  tenantId: 't',
  model: 'm',
  promptTokens: 10,
  completionTokens: 5,
  cachedPromptTokens: 0,
  reasoningTokens: 0,
  costNanoUsd: 1500n,
  requests: 1,
  estimated: false,
};
const reserve = { verb: 'reserve', purpose: 'call', tenantId: 't', reservationId: 'r' } as unknown as Command;
const settle = { verb: 'settle-call', tenantId: 't', reservationId: 'r', usage } as unknown as Command;
const booked = accepted({ booked: true });
const writer = { execute: () => Promise.resolve(booked) } as unknown as LedgerWriter;
const observedWriter = observeWriter(writer, observing);
const response = { status: 200 } as never;
const upstream: UpstreamClient = { send: () => Promise.resolve(response), close: () => Promise.resolve() };
const observedUpstream = observeUpstream(upstream, 'u', observing);
const request = { method: 'POST', headers: {} } as unknown as UpstreamRequest;
const batch = Array.from({ length: 32 }, (_, index) => (index % 2 === 0 ? reserve : settle));
const result = { outcomes: batch.map(() => booked), nowMs: 0, changedRecords: [] };
const store = { lanes: 1, execute: () => Promise.resolve(result) };
const observedStore = observeStore(store, metrics);
const cell = metrics.tokens.cell('prompt', 'm');
const histogram = metrics.batchSeconds.of();

type Work = () => Promise<unknown> | void;

async function nsPerCall(work: Work): Promise<number> {
  const startedMs = performance.now();
  for (let call = 0; call < CALLS; call++) {
    const done = work();
    if (done !== undefined) await done;
  }
  return ((performance.now() - startedMs) * 1e6) / CALLS;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;

/** The difference of both, measured in turns so that what else the machine does meets both. */
async function compare(name: string, plain: Work, observed: Work): Promise<void> {
  const differences: number[] = [];
  for (let round = 0; round < ROUNDS; round++) differences.push(-(await nsPerCall(plain)) + (await nsPerCall(observed)));
  console.log(`${name.padEnd(48)} ${Math.round(median(differences))} ns`);
}

const nothing = (): void => undefined;
await compare('a counter', nothing, () => void (cell.value += 1));
await compare('a histogram', nothing, () => histogram.observe(0.003));
await compare(
  'a hold',
  () => writer.execute(reserve),
  () => observedWriter.execute(reserve),
);
await compare(
  'a settlement with its use',
  () => writer.execute(settle),
  () => observedWriter.execute(settle),
);
await compare(
  'an attempt at an upstream',
  () => upstream.send(request),
  () => observedUpstream.send(request),
);
await compare(
  'a batch of 32',
  () => store.execute(),
  () => observedStore.execute('b', batch, 0),
);
