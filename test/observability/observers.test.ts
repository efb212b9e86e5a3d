import { describe, expect, test } from 'vitest';
import type { LedgerWriter } from '../../src/app/ledger-writer.ts';
import { Fault } from '../../src/core/fault.ts';
import { accepted, rejected } from '../../src/core/rejection.ts';
import type { Command } from '../../src/core/verbs.ts';
import { UpstreamFault, type UpstreamClient, type UpstreamRequest } from '../../src/ports/upstream.ts';
import { observeUpstream } from '../../src/server/telemetry/observe-upstream.ts';
import { observeWriter } from '../../src/server/telemetry/observe-writer.ts';
import { makeMetrics } from '../../src/telemetry/metrics/metrics.ts';

const observing = () => ({ metrics: makeMetrics({ tenantLabels: false }), tenantLabels: false, current: null });

/** A writer whose every command ends as told. */
function writerOf(end: () => Promise<unknown>): LedgerWriter {
  return { execute: end as never, write: end as never, barrier: () => Promise.resolve(), pending: 7, close: () => Promise.resolve() };
}

const usage = {
  tenantId: 't1',
  model: 'm1',
  promptTokens: 10,
  completionTokens: 5,
  cachedPromptTokens: 4,
  reasoningTokens: 2,
  costNanoUsd: 1500n,
  requests: 1,
  estimated: false,
};
const settle = { verb: 'settle-call', tenantId: 't1', reservationId: 'r1', usage } as unknown as Command;

describe('the writer that is observed', () => {
  test('is the writer: its promises, its other members and its errors come through untouched', async () => {
    const outcome = Promise.resolve(accepted({ booked: true }));
    const writer = observeWriter(
      writerOf(() => outcome),
      observing(),
    );
    expect(writer.execute(settle)).toBe(outcome);
    expect(writer.pending).toBe(7);
    await expect(writer.barrier()).resolves.toBeUndefined();
    const bug = new Error('bug');
    await expect(
      observeWriter(
        writerOf(() => Promise.reject(bug)),
        observing(),
      ).execute(settle),
    ).rejects.toBe(bug);
  });

  test('counts the use of a call once: a settlement that did nothing, or failed, counts nothing', async () => {
    const deps = observing();
    const tokens = (kind: string): number => deps.metrics.tokens.cell(kind, 'm1').value;
    for (const end of [
      () => Promise.resolve(accepted({ booked: false, agrees: true })),
      () => Promise.reject(new Fault({ code: 'store_unavailable', message: 'x', publicMessage: 'x' })),
    ]) {
      await observeWriter(writerOf(end), deps)
        .execute(settle)
        .catch(() => undefined);
      expect(tokens('prompt')).toBe(0);
    }
    await observeWriter(
      writerOf(() => Promise.resolve(accepted({ booked: true }))),
      deps,
    ).execute(settle);
    expect(['prompt', 'completion', 'cached_prompt', 'reasoning'].map(tokens)).toEqual([10, 5, 4, 2]);
    expect(deps.metrics.cost.samples()).toEqual([{ labels: { model: 'm1' }, value: 1500 * 1e-9 }]);
    expect(deps.metrics.settleSeconds.of().samples('s', {}).at(-1)?.value).toBe(3);
  });

  test('counts what was written into a cache as a kind of its own', async () => {
    const deps = observing();
    const written = { ...settle, usage: { ...usage, cacheWritePromptTokens: 3 } } as unknown as Command;
    for (const command of [settle, written]) {
      await observeWriter(
        writerOf(() => Promise.resolve(accepted({ booked: true }))),
        deps,
      ).execute(command);
    }
    expect(deps.metrics.tokens.cell('cache_write_prompt', 'm1').value).toBe(3);
    expect(deps.metrics.tokens.cell('prompt', 'm1').value).toBe(20);
  });

  test('counts the events of a usage report that were booked now, and no others', async () => {
    const deps = observing();
    const book = (id: string) => ({ eventId: id, judgement: { kind: 'book', booking: { usage } } });
    const items = [book('e1'), { eventId: 'e2', judgement: { kind: 'quarantine', reason: 'unknown_key' } }, book('e3'), book('e4')];
    const report = { verb: 'report-usage', tenantId: 'system', reporterId: 'r', items } as unknown as Command;
    const statuses = ['booked', 'quarantined', 'duplicate', 'booked'];
    const ends = [
      () => Promise.resolve(accepted({ events: statuses.map((status, index) => ({ eventId: `e${index + 1}`, status, reason: null })) })),
      () => Promise.resolve(rejected({ code: 'conflict', message: 'twice' })),
      () => Promise.reject(new Fault({ code: 'overloaded', message: 'full', publicMessage: 'full' })),
    ];
    for (const end of ends) {
      await observeWriter(writerOf(end), deps)
        .execute(report)
        .catch(() => undefined);
    }
    expect(['prompt', 'completion', 'cached_prompt'].map((kind) => deps.metrics.tokens.cell(kind, 'm1').value)).toEqual([20, 10, 8]);
    expect(deps.metrics.calls.samples().find(({ labels }) => labels['estimated'] === 'false')?.value).toBe(2);
    expect(deps.metrics.faults.cell('overloaded').value).toBe(1);
  });

  test.each(['reserve', 'settle-call', 'create-tenant'])('counts a full queue by the commands that it turned away: %s', async (verb) => {
    const deps = observing();
    const full = new Fault({ code: 'overloaded', message: 'full', publicMessage: 'full' });
    const writer = observeWriter(
      writerOf(() => Promise.reject(full)),
      deps,
    );
    await expect(writer.execute({ ...settle, verb, purpose: 'call' } as unknown as Command)).rejects.toBe(full);
    expect(deps.metrics.faults.cell('overloaded').value).toBe(1);
  });
});

describe('the upstream that is observed', () => {
  const request = { method: 'POST', headers: {} } as unknown as UpstreamRequest;
  const client = (send: UpstreamClient['send']): UpstreamClient => ({ send, close: () => Promise.resolve() });

  test.each([
    [200, '2xx'],
    [404, '4xx'],
    [429, '429'],
    [503, '5xx'],
  ])('counts an answer of %i as %s', async (status, outcome) => {
    const deps = observing();
    const response = { status } as never;
    const observed = observeUpstream(
      client(() => Promise.resolve(response)),
      'u1',
      deps,
    );
    expect(await observed.send(request)).toBe(response);
    expect(deps.metrics.upstreamAttempts.samples()).toEqual([{ labels: { upstream: 'u1', outcome }, value: 1 }]);
  });

  test('counts a failure by its kind, and throws it on', async () => {
    const deps = observing();
    const fault = new UpstreamFault({ kind: 'headers_timeout', beforeFirstByte: true, message: 'slow' });
    const observed = observeUpstream(
      client(() => Promise.reject(fault)),
      'u1',
      deps,
    );
    await expect(observed.send(request)).rejects.toBe(fault);
    expect(deps.metrics.upstreamAttempts.samples()).toEqual([{ labels: { upstream: 'u1', outcome: 'headers_timeout' }, value: 1 }]);
    expect(deps.metrics.upstreamSeconds.of('u1').samples('s', {}).at(-1)?.value).toBe(0);
  });
});
