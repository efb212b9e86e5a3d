import { describe, expect, test } from 'vitest';
import type { StoredState } from '../support/store-reader.ts';
import { checkCounters, checkEffects, newEffectLog, type EffectLog } from './effects.ts';

const goodState = (): StoredState => ({
  usage: [
    {
      id: 'call_1',
      keyId: 'key_1',
      tenantId: 'acme',
      promptTokens: 10n,
      completionTokens: 5n,
      costNanoUsd: 70n,
      chargeMicrocents: 7n,
      estimated: false,
      interrupted: false,
    },
    {
      id: 'call_2',
      keyId: 'key_1',
      tenantId: 'acme',
      promptTokens: 3n,
      completionTokens: 0n,
      costNanoUsd: 10n,
      chargeMicrocents: 1n,
      estimated: true,
      interrupted: true,
    },
  ],
  tailIds: ['call_2'],
  reservations: [
    { id: 'call_1', state: 'COMMITTED', charged: ['15', '7'], isSettled: true },
    { id: 'call_2', state: 'EXPIRED', charged: ['3', '1'], isSettled: true },
    { id: 'call_3', state: 'RELEASED', charged: null, isSettled: true },
  ],
  accounts: [
    { tenantId: 'acme', kind: 'key_cap', scope: 'key:key_1', unit: 'TOKENS', allocated: 500n, spent: 18n, reserved: 0n },
    { tenantId: 'acme', kind: 'key_cap', scope: 'key:key_1', unit: 'USD_MICROCENTS', allocated: 500n, spent: 8n, reserved: 0n },
    { tenantId: 'acme', kind: 'budget', scope: 'tenant:acme', unit: 'USD_MICROCENTS', allocated: 500n, spent: 8n, reserved: 0n },
    // 70 and 10 nano-dollars at 0.923457: 6.46 and 0.92 micro-cents, each rounded up.
    { tenantId: 'acme', kind: 'balance', scope: 'tenant:acme', unit: 'EUR_MICROCENTS', allocated: 500n, spent: 8n, reserved: 0n },
  ],
  keys: [{ id: 'key_1', tenantId: 'acme', kind: 'inference', name: 'load-1', isDeleted: false }],
  rollups: [{ keyId: 'key_1', requests: 1n, tokens: 15n }],
});

const goodLog = (): EffectLog => ({
  ...newEffectLog(),
  calls: [{ id: 'call_1', keyId: 'key_1', promptTokens: 10, completionTokens: 5 }],
  keys: new Map([['key_1', { names: ['load-1'], caps: [500] }]]),
  creations: 1,
  sent: 3,
});

type Breakage = {
  readonly what: string;
  readonly log?: (log: EffectLog) => EffectLog;
  readonly state?: (state: StoredState) => StoredState;
};

const replaceFirst = <T>(items: readonly T[], change: Partial<T>): T[] =>
  items.map((item, index) => (index === 0 ? { ...item, ...change } : item));

const BREAKAGES: readonly Breakage[] = [
  {
    what: 'an answered call that is not booked',
    log: (log) => ({ ...log, calls: [...log.calls, { id: 'call_9', keyId: 'key_1', promptTokens: 1, completionTokens: 1 }] }),
  },
  {
    what: 'a call booked with other tokens than it was answered with',
    log: (log) => ({ ...log, calls: replaceFirst(log.calls, { completionTokens: 6 }) }),
  },
  { what: 'a call booked on another key', log: (log) => ({ ...log, calls: replaceFirst(log.calls, { keyId: 'key_2' }) }) },
  {
    what: 'an answered call that is booked as interrupted',
    state: (state) => ({ ...state, usage: replaceFirst(state.usage, { interrupted: true, estimated: true }) }),
  },
  { what: 'a call booked twice', state: (state) => ({ ...state, usage: [...state.usage, ...state.usage.slice(0, 1)] }) },
  { what: 'more calls booked than were sent', log: (log) => ({ ...log, sent: 1 }) },
  { what: 'more holds than calls', log: (log) => ({ ...log, sent: 2 }) },
  {
    what: 'a call that still holds',
    state: (state) => ({ ...state, reservations: replaceFirst(state.reservations, { state: 'ACTIVE' }) }),
  },
  {
    what: 'an expired hold that was never settled',
    state: (state) => ({ ...state, reservations: replaceFirst(state.reservations, { state: 'EXPIRED', isSettled: false }) }),
  },
  {
    what: 'a released call that is booked',
    state: (state) => ({ ...state, reservations: replaceFirst(state.reservations, { state: 'RELEASED', charged: null }) }),
  },
  { what: 'a booked call without a hold', state: (state) => ({ ...state, reservations: state.reservations.slice(1) }) },
  { what: 'an account that holds', state: (state) => ({ ...state, accounts: replaceFirst(state.accounts, { reserved: 1n }) }) },
  { what: 'tokens spent that no call used', state: (state) => ({ ...state, accounts: replaceFirst(state.accounts, { spent: 19n }) }) },
  {
    what: 'money spent that no call cost',
    state: (state) => ({ ...state, accounts: [...state.accounts.slice(0, 2), ...replaceFirst(state.accounts.slice(2), { spent: 9n })] }),
  },
  { what: 'a rollup with a request too many', state: (state) => ({ ...state, rollups: replaceFirst(state.rollups, { requests: 2n }) }) },
  { what: 'a rollup with a token too few', state: (state) => ({ ...state, rollups: replaceFirst(state.rollups, { tokens: 14n }) }) },
  { what: 'folded events without a rollup', state: (state) => ({ ...state, rollups: [] }) },
  {
    what: 'a key made twice',
    state: (state) => ({ ...state, keys: [...state.keys, { ...state.keys[0]!, id: 'key_2' }] }),
    log: (log) => ({ ...log, creations: 2 }),
  },
  { what: 'more keys than were asked for', log: (log) => ({ ...log, creations: 0 }) },
  { what: 'an answered key that is not there', state: (state) => ({ ...state, keys: [] }) },
  { what: 'an answered key that is deleted', state: (state) => ({ ...state, keys: replaceFirst(state.keys, { isDeleted: true }) }) },
  { what: 'a key that lost its name', state: (state) => ({ ...state, keys: replaceFirst(state.keys, { name: 'load-1-old' }) }) },
  { what: 'a key that lost its cap', state: (state) => ({ ...state, accounts: replaceFirst(state.accounts, { allocated: null }) }) },
  { what: 'an answer that no load may get', log: (log) => ({ ...log, unexpected: ['a call was answered 500'] }) },
];

describe('the check of effects after a crash', () => {
  test('finds nothing wrong where everything holds', () => {
    expect(checkEffects(goodLog(), goodState())).toEqual([]);
  });

  test.each(BREAKAGES)('finds $what', ({ log = (same) => same, state = (same) => same }) => {
    expect(checkEffects(log(goodLog()), state(goodState()))).not.toEqual([]);
  });

  test('finds a live counter that is not the sum of the events', () => {
    expect(checkCounters([{ id: 'key_1', tokens_used: 18, request_count: 2 }], goodState())).toEqual([]);
    expect(checkCounters([{ id: 'key_1', tokens_used: 17, request_count: 2 }], goodState())).toHaveLength(1);
    expect(checkCounters([{ id: 'key_1', tokens_used: 18, request_count: 3 }], goodState())).toHaveLength(1);
  });
});
