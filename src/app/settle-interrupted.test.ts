import { beforeEach, describe, expect, test } from 'vitest';
import { MemoryLedger } from '../../test/support/ledger-memory.ts';
import { writeCallContext, writeCheckpoint } from '../core/calls/call-context.ts';
import { keyCapId, newAccount, TOKENS, USD_MICROCENTS } from '../core/ledger/account.ts';
import type { PlainJson } from '../core/json/plain-json.ts';
import type { Reservation } from '../core/ledger/reservation.ts';
import { callLegs } from '../core/calls/call-hold.ts';
import { Fault } from '../core/fault.ts';
import type { Log } from '../ports/log.ts';
import { makeSettleInterrupted } from './settle-interrupted.ts';

const CAP = keyCapId('acme', 'k1', TOKENS);
const MONEY = keyCapId('acme', 'k1', USD_MICROCENTS);
const rates = { inputNanos: 100n, outputNanos: 200n, cachedInputNanos: null, requestNanos: 0n };
const dearRates = { ...rates, outputNanos: 1000n };
const context = writeCallContext({
  keyId: 'k1',
  model: 'm1',
  route: '/chat/completions',
  streaming: true,
  promptTokens: 10,
  candidates: [
    { upstreamId: 'u1', price: { id: 'p1', rates } },
    { upstreamId: 'u2', price: { id: 'p2', rates: dearRates } },
  ],
});

let ledger: MemoryLedger;
let errors: string[];
let nowMs: number;

const log: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: (_fields, message) => void errors.push(message) };
const writer = { execute: async (command: Parameters<MemoryLedger['run']>[0]) => ledger.run(command, nowMs) } as never;
const unsettled = (live: readonly string[]): Reservation[] =>
  [...ledger.reservations.values()].filter(
    ({ purpose, state, settledAtMs, ownerId }) =>
      purpose === 'call' && settledAtMs === null && (state === 'ACTIVE' || state === 'EXPIRED') && !live.includes(ownerId),
  );
const settle = makeSettleInterrupted({
  writer,
  store: { unsettledCalls: async ({ liveOwnerIds, limit }) => unsettled(liveOwnerIds).slice(0, limit) },
  log,
});

function hold(id: string, options: { ownerId?: string; context?: PlainJson } = {}): void {
  ledger.run(
    {
      verb: 'reserve',
      id: `${id}.hold`,
      tenantId: 'acme',
      reservationId: id,
      purpose: 'call',
      legs: callLegs({ tenantId: 'acme', keyId: 'k1', scopes: ['tenant:acme'], inputTokens: 20, rates: dearRates }),
      output: { min: 50n, max: 50n },
      mustCover: false,
      mustCoverMoney: false,
      otherUnitAccounts: [],
      overagePolicy: 'ALLOW_WITH_OVERDRAFT',
      ttlMs: 1000,
      graceMs: 0,
      maxExtensions: 0,
      ownerId: options.ownerId ?? 'dead',
      context: options.context ?? context,
    },
    nowMs,
  );
}

const keep = (id: string, checkpoint: PlainJson): void =>
  void ledger.run({ verb: 'keep-call', id: `${id}.keep`, tenantId: 'acme', reservationId: id, ttlMs: 1000, checkpoint }, nowMs);

beforeEach(() => {
  ledger = new MemoryLedger();
  ledger.putTenant('acme', 'ACTIVE');
  for (const id of [CAP, MONEY]) ledger.putAccount({ ...newAccount(id, { nowMs: 0, unlimited: false }), allocated: 100_000_000n });
  errors = [];
  nowMs = 5000;
});

describe('a call whose owner is gone', () => {
  test('is charged its prompt and the output of its last checkpoint, at the price of its upstream', async () => {
    hold('c1');
    keep('c1', writeCheckpoint({ candidate: 1, outputTokens: 30 }));
    expect(await settle({ liveOwnerIds: ['run_2'] })).toEqual({ settled: 1, released: 0 });
    expect(ledger.account(CAP)).toMatchObject({ reserved: 0n, spent: 40n });
    expect(ledger.account(MONEY)).toMatchObject({ reserved: 0n, spent: 3100n });
    expect(ledger.usage).toMatchObject([
      {
        id: 'c1',
        upstreamId: 'u2',
        priceId: 'p2',
        promptTokens: 10,
        completionTokens: 30,
        costNanoUsd: 31_000n,
        estimated: true,
        interrupted: true,
        streaming: true,
        atMs: 5000,
        heldAtMs: 5000,
      },
    ]);
  });

  test('is recorded under the model that was answering in the place of the one it asked for', async () => {
    const candidates = [
      { upstreamId: 'u1', price: { id: 'p1', rates } },
      { upstreamId: 'u2', model: 'm2', price: { id: 'p2', rates: dearRates } },
    ];
    const fields = { keyId: 'k1', model: 'm1', route: '/chat/completions', streaming: true, promptTokens: 10 };
    hold('c1', { context: writeCallContext({ ...fields, candidates }) });
    keep('c1', writeCheckpoint({ candidate: 1, outputTokens: 30 }));
    await settle({ liveOwnerIds: [] });
    expect(ledger.usage).toMatchObject([{ model: 'm2', upstreamId: 'u2', priceId: 'p2', costNanoUsd: 31_000n }]);
  });

  test('is charged its prompt where it has shown nothing', async () => {
    hold('c1');
    await settle({ liveOwnerIds: [] });
    expect(ledger.usage).toMatchObject([{ upstreamId: 'u1', promptTokens: 10, completionTokens: 0, interrupted: true }]);
  });

  test('is charged for what it was to use beside tokens', async () => {
    const spoken = writeCallContext({
      keyId: 'k1',
      model: 'm1',
      route: '/audio/speech',
      streaming: false,
      promptTokens: 0,
      candidates: [{ upstreamId: 'u1', price: { id: 'p1', rates: { ...rates, characterNanos: 15_000n } } }],
      media: { unit: 'characters', quantity: 20 },
    });
    hold('c1', { context: spoken });
    await settle({ liveOwnerIds: [] });
    expect(ledger.account(MONEY)).toMatchObject({ reserved: 0n, spent: 30_000n });
    expect(ledger.usage).toMatchObject([{ costNanoUsd: 300_000n, media: { unit: 'characters', quantity: 20 }, interrupted: true }]);
  });

  test('is charged once, however often it is looked for', async () => {
    hold('c1');
    await settle({ liveOwnerIds: [] });
    expect(await settle({ liveOwnerIds: [] })).toEqual({ settled: 0, released: 0 });
    expect(ledger.usage).toHaveLength(1);
  });

  test('is charged after its hold has run out as well', async () => {
    hold('c1');
    nowMs = 9000;
    ledger.run({ verb: 'expire', id: 'x', tenantId: 'acme', reservationId: 'c1' }, nowMs);
    await settle({ liveOwnerIds: [] });
    expect(ledger.account(CAP)).toMatchObject({ reserved: 0n, spent: 10n });
    expect(ledger.usage).toMatchObject([{ heldAtMs: 5000, atMs: 9000 }]);
  });

  test('is returned and reported where its context cannot be read', async () => {
    hold('c1', { context: { odd: true } });
    expect(await settle({ liveOwnerIds: [] })).toEqual({ settled: 0, released: 1 });
    expect(ledger.account(CAP)).toMatchObject({ reserved: 0n, spent: 0n });
    expect(ledger.usage).toHaveLength(0);
    expect(errors).toHaveLength(1);
  });
});

test('a call whose owner lives is left alone', async () => {
  hold('c1', { ownerId: 'run_2' });
  expect(await settle({ liveOwnerIds: ['run_2'] })).toEqual({ settled: 0, released: 0 });
  expect(ledger.account(CAP).reserved).toBe(70n);
});

test('more calls than one round takes are all settled', async () => {
  for (let index = 0; index < 1203; index++) hold(`c${index}`);
  expect(await settle({ liveOwnerIds: [] })).toEqual({ settled: 1203, released: 0 });
  expect(unsettled([])).toHaveLength(0);
});

test('a call that our own code fails on hinders no other, and is said', async () => {
  hold('bad');
  hold('good');
  const failing = {
    execute: async (command: Parameters<MemoryLedger['run']>[0]) => {
      if (command.id.startsWith('bad')) throw new Error('broken');
      return ledger.run(command, nowMs);
    },
  } as never;
  const store = { unsettledCalls: async () => unsettled([]) };
  expect(await makeSettleInterrupted({ writer: failing, store, log })({ liveOwnerIds: [] })).toEqual({ settled: 1, released: 0 });
  expect([ledger.reservation('good').state, ledger.reservation('bad').state]).toEqual(['COMMITTED', 'ACTIVE']);
  expect(errors).toEqual(['an interrupted call was not settled by a fault of ours; its hold ends by itself']);

  const broken = {
    execute: () => Promise.reject(new Fault({ code: 'store_unavailable', message: 'gone', publicMessage: 'gone' })),
  } as never;
  await expect(makeSettleInterrupted({ writer: broken, store, log })({ liveOwnerIds: [] })).rejects.toThrow('gone');
});
