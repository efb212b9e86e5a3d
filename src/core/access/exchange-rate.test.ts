import { expect, test } from 'vitest';
import { SYSTEM_TENANT, type ExchangeRate } from '../records.ts';
import { runBatch } from '../run-batch.ts';
import { needsOf, type Command } from '../verbs.ts';
import { WorkingSet } from '../working-set.ts';

const NOW_MS = Date.UTC(2026, 3, 9);
const base = { id: 'c1', tenantId: SYSTEM_TENANT };

const run = (command: Command, there?: Partial<ExchangeRate>) => {
  const rows = new WorkingSet();
  rows.putRecord('tenant', SYSTEM_TENANT, undefined);
  const kept = { id: 'r1', currency: 'EUR', perUsdNanos: 5, appliesFromMs: 1, createdAtMs: 1, ...there };
  for (const { kind, id } of needsOf(command).records ?? []) rows.putRecord(kind, id, there === undefined ? undefined : kept);
  const [outcome] = runBatch(rows, [command], NOW_MS);
  return { outcome, changes: rows.changes() };
};

const add = (rate: Partial<ExchangeRate> = {}, appliesFromMs: number | null = null): Command => ({
  verb: 'add-exchange-rate',
  ...base,
  rate: { id: 'r1', currency: 'EUR', perUsdNanos: 920_000_000, ...rate, appliesFromMs },
});
const remove: Command = { verb: 'remove-record', ...base, kind: 'exchange-rate', recordId: 'r1' };

test('a rate applies from its moment, or from now on, and is told', () => {
  const { outcome, changes } = run(add());
  expect(outcome).toEqual({
    ok: true,
    value: { id: 'r1', currency: 'EUR', perUsdNanos: 920_000_000, appliesFromMs: NOW_MS, createdAtMs: NOW_MS },
  });
  expect(changes.records).toMatchObject([{ kind: 'exchange-rate', id: 'r1' }]);
  expect(changes.events).toMatchObject([{ type: 'exchange_rate.created', data: { exchange_rate_id: 'r1', currency: 'EUR' } }]);
  expect(run(add({}, NOW_MS + 5)).outcome).toMatchObject({ ok: true, value: { appliesFromMs: NOW_MS + 5 } });
});

test.each([
  ['of a currency that nobody knows', add({ currency: 'XXX' }), 'invalid_request', 'currency'],
  ['of USD, which is worth itself', add({ currency: 'USD' }), 'invalid_request', 'currency'],
  ['of nothing', add({ perUsdNanos: 0 }), 'invalid_request', 'per_usd'],
  ['above the largest', add({ perUsdNanos: 92_000_000_000_001 }), 'invalid_request', 'per_usd'],
  ['of the past', add({}, NOW_MS - 1), 'invalid_request', 'applies_from'],
  ['of a moment that cannot be written', add({}, Date.UTC(10_000, 0, 1)), 'invalid_request', 'applies_from'],
])('refuses a rate %s', (_what, command, code, field) => {
  const { outcome, changes } = run(command);
  expect(outcome).toMatchObject({ ok: false, rejection: { code, field } });
  expect(changes.records).toEqual([]);
});

test('refuses an id that is taken', () => {
  expect(run(add(), {}).outcome).toMatchObject({ ok: false, rejection: { code: 'conflict', field: 'id' } });
});

test('a rate that lies ahead can be taken back, one that applies cannot', () => {
  const taken = run(remove, { appliesFromMs: NOW_MS + 1 });
  expect(taken.outcome).toEqual({ ok: true, value: { id: 'r1' } });
  expect(taken.changes.events).toMatchObject([{ type: 'exchange_rate.deleted' }]);
  expect(run(remove, { appliesFromMs: NOW_MS }).outcome).toMatchObject({ ok: false, rejection: { code: 'conflict' } });
  expect(run(remove).outcome).toMatchObject({ ok: false, rejection: { code: 'not_found' } });
});
