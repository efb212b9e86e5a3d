import { describe, expect, test } from 'vitest';
import { MODEL_DEFAULTS } from '../access/defaults.ts';
import { budgetId, keyCapId, TOKENS, USD_MICROCENTS } from '../ledger/account.ts';
import { dueMicrocents } from '../pricing/currency.ts';
import type { ApiKey, Model, Price } from '../records.ts';
import { judgeReport, type ReportFacts } from './judge-report.ts';
import type { ReportedEvent } from './reported-event.ts';

const NOW_MS = Date.UTC(2026, 3, 9);
const HOUR_MS = 3_600_000;

const KEY: ApiKey = {
  id: 'k1',
  tenantId: 'acme',
  kind: 'inference',
  name: 'k',
  hash: 'h',
  mask: 'tk_*',
  sealed: null,
  createdBy: 'ann',
  disabled: false,
  expiresAtMs: null,
  metadata: {},
  outputBound: 'hard',
  createdAtMs: 0,
  deletedAtMs: null,
};
const MODEL: Model = { ...MODEL_DEFAULTS, id: 'm1', upstreams: ['u1', 'u2'].map((id) => ({ id, model: 'm1' })), createdAtMs: 0 };
const price = (id: string, changes: Partial<Price> = {}): Price => ({
  id,
  modelId: 'm1',
  upstreamId: null,
  appliesFromMs: 0,
  inputNanos: 1000,
  outputNanos: 2000,
  cachedInputNanos: 250,
  requestNanos: 10_000_000,
  createdAtMs: 0,
  ...changes,
});
const EVENT: ReportedEvent = {
  eventId: 'e1',
  requestId: 'req-1',
  occurredAtMs: NOW_MS - HOUR_MS,
  operation: 'router/model_request',
  model: 'm1',
  route: '/v1/chat/completions',
  streaming: true,
  requests: 1,
  promptTokens: 1000,
  completionTokens: 500,
  cachedPromptTokens: 400,
  unknownMeter: null,
};
const FACTS: ReportFacts = {
  reporterId: 'r1',
  key: KEY,
  allowUnpriced: false,
  rate: null,
  model: MODEL,
  prices: [price('p1')],
  nowMs: NOW_MS,
};

const bookingOf = (event: Partial<ReportedEvent> = {}, facts: Partial<ReportFacts> = {}) => {
  const judgement = judgeReport({ ...EVENT, ...event }, { ...FACTS, ...facts });
  if (judgement.kind !== 'book') throw new Error(judgement.reason);
  return judgement.booking;
};

test('an event is charged like a call of its key, on the same accounts; the published price vector holds', () => {
  expect(bookingOf()).toEqual({
    accounts: [
      keyCapId('acme', 'k1', TOKENS),
      keyCapId('acme', 'k1', USD_MICROCENTS),
      budgetId('acme', 'tenant:acme', TOKENS),
      budgetId('acme', 'tenant:acme', USD_MICROCENTS),
    ],
    // 0.0117 USD.
    actuals: { tokens: 1500n, microcents: 1_170_000n },
    usage: {
      id: 'report:r1:e1',
      tenantId: 'acme',
      keyId: 'k1',
      model: 'm1',
      upstreamId: 'reporter:r1',
      priceId: 'p1',
      route: '/v1/chat/completions',
      requests: 1,
      promptTokens: 1000,
      completionTokens: 500,
      cachedPromptTokens: 400,
      reasoningTokens: 0,
      costNanoUsd: 11_700_000n,
      chargeMicrocents: 1_170_000n,
      streaming: true,
      estimated: false,
      interrupted: false,
    },
  });
});

test.each([
  ['a leaf call pays no fee', 0, 1_700_000n],
  ['several requests pay several', 3, 31_700_000n],
])('%s', (_what, requests, nanos) => {
  expect(bookingOf({ requests }).usage).toMatchObject({ requests, costNanoUsd: nanos });
});

test('the charge is rounded up once', () => {
  const booking = bookingOf(
    { requests: 0, promptTokens: 1, completionTokens: 0, cachedPromptTokens: 0 },
    { prices: [price('p', { inputNanos: 1 })] },
  );
  expect([booking.usage.costNanoUsd, booking.actuals.microcents]).toEqual([1n, 1n]);
});

describe('the price', () => {
  const priceOf = (prices: readonly Price[]): string => bookingOf({}, { prices }).usage.priceId;

  test('is that of the moment at which it happened', () => {
    const prices = [
      price('old'),
      price('then', { appliesFromMs: EVENT.occurredAtMs }),
      price('now', { appliesFromMs: EVENT.occurredAtMs + 1 }),
    ];
    expect(priceOf(prices)).toBe('then');
  });

  test('is the first one for what happened before there was any', () => {
    const prices = [price('later', { appliesFromMs: NOW_MS }), price('first', { appliesFromMs: NOW_MS - 60_000 })];
    expect(priceOf(prices)).toBe('first');
  });

  test('is never one that does not apply yet', () => {
    const prices = [price('ahead', { appliesFromMs: NOW_MS + 1 })];
    expect(judgeReport(EVENT, { ...FACTS, prices })).toEqual({ kind: 'quarantine', reason: 'model_unpriced' });
  });

  test('is the model’s own, else that of the first of its upstreams that has one', () => {
    const own = price('own');
    const [first, second] = [price('u1', { upstreamId: 'u1' }), price('u2', { upstreamId: 'u2' })];
    expect(priceOf([second, first, own])).toBe('own');
    expect(priceOf([second, first])).toBe('u1');
    expect(priceOf([second])).toBe('u2');
    expect(judgeReport(EVENT, { ...FACTS, prices: [price('x', { upstreamId: 'gone' }), price('y', { modelId: 'm2' })] }).kind).toBe(
      'quarantine',
    );
  });
});

test('a tenant that allows calls without a price pays nothing for them', () => {
  expect(bookingOf({}, { prices: [], allowUnpriced: true }).usage).toMatchObject({ priceId: '', costNanoUsd: 0n, chargeMicrocents: 0n });
});

test('a key that does not work any more is charged for what it used', () => {
  const key = { ...KEY, disabled: true, expiresAtMs: 1, deletedAtMs: 2 };
  expect(bookingOf({}, { key }).usage.keyId).toBe('k1');
});

test('usage of a model under another name is that of the model', () => {
  expect(bookingOf({ model: 'alias' }).usage.model).toBe('m1');
});

test.each([
  ['a key that nobody has', { key: undefined }, {}, 'unknown_key'],
  ['an admin key', { key: { ...KEY, kind: 'admin' as const } }, {}, 'unknown_key'],
  ['a meter without a price', { model: undefined }, { unknownMeter: 'audio_seconds' }, 'unknown_meter'],
  ['a model that does not exist', { model: undefined, prices: [] }, {}, 'unknown_model'],
  ['a model without a price', { prices: [] }, {}, 'model_unpriced'],
])('%s is for quarantine', (_what, facts, event, reason) => {
  expect(judgeReport({ ...EVENT, ...event }, { ...FACTS, ...facts })).toEqual({ kind: 'quarantine', reason });
});

test('an event of a tenant that keeps a balance takes from it by the rate that it is judged with', () => {
  const { accounts, actuals, usage } = bookingOf({}, { rate: { currency: 'EUR', perUsdNanos: 920_000_000 } });
  expect(accounts.at(-1)).toBe('acme|balance|tenant:acme|EUR_MICROCENTS|');
  const microcents = dueMicrocents(usage.costNanoUsd, 920_000_000);
  expect(usage.debit).toEqual({ currency: 'EUR', perUsdNanos: 920_000_000, microcents });
  expect(actuals.debit).toEqual({ unit: 'EUR_MICROCENTS', amount: microcents });
});
