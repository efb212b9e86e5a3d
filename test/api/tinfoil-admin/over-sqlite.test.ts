import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keyCapId, TOKENS } from '../../../src/core/ledger/account.ts';
import { openSqliteStore } from '../../../src/stores/sqlite/open-sqlite-store.ts';
import { makeManualClock, makeMemoryLog, type ManualClock } from '../../support/fakes.ts';
import { makeTestApp, TEST_START_MS, usageEvent, type TestApp } from '../../support/test-app.ts';

let dataDir: string;
let clock: ManualClock;
let at: TestApp;

const open = async (): Promise<TestApp> => makeTestApp({ store: await openSqliteStore({ dataDir, clock, log: makeMemoryLog() }), clock });

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'castellan-api-'));
  clock = makeManualClock(TEST_START_MS);
  at = await open();
});
afterEach(async () => {
  await at.close();
  await at.store.close();
  rmSync(dataDir, { recursive: true });
});

/** Holds and settles a call as the gateway does, without waiting: its usage must be seen by whoever asks next. */
function call(id: string, keyId: string, tokens: { prompt: number; completion: number }): Promise<unknown>[] {
  const amount = BigInt(tokens.prompt + tokens.completion);
  const legs = [{ accountId: keyCapId('acme', keyId, TOKENS), base: amount, perUnit: 0n, divisor: 1n, required: true }];
  const {
    atMs: _atMs,
    heldAtMs: _heldAtMs,
    ...usage
  } = usageEvent({
    id,
    tenantId: 'acme',
    keyId,
    atMs: 0,
    promptTokens: tokens.prompt,
    completionTokens: tokens.completion,
    costNanoUsd: 1_234_567_891n,
    chargeMicrocents: 123_456_790n,
  });
  return [
    at.writer.execute({
      verb: 'reserve',
      id: `${id}.reserve`,
      tenantId: 'acme',
      reservationId: id,
      purpose: 'call',
      legs,
      output: { min: 0n, max: 0n },
      mustCover: false,
      mustCoverMoney: false,
      otherUnitAccounts: [],
      overagePolicy: 'REJECT',
      ttlMs: 60_000,
      graceMs: 5000,
      maxExtensions: 0,
      ownerId: 'test',
      context: {},
    }),
    at.writer.execute({
      verb: 'settle-call',
      id: `${id}.settle`,
      tenantId: 'acme',
      reservationId: id,
      actuals: { tokens: amount, microcents: 123_456_790n },
      usage,
    }),
  ];
}

test('keys, live counters and usage over a real database, and after it was closed and opened again', async () => {
  const { ann, bob } = await at.addTenant('acme');
  const body = `{"name":"Production Key","max_tokens":9223372036854775807,"metadata":{"id":9007199254740993},"expires_at":"2026-12-31T23:59:59Z"}`;
  const { id, key } = (await at.as(ann)('POST', '/api/keys', body)).json as { id: string; key: string };
  await at.as(ann)('POST', '/api/keys', { name: 'Staging Key' });

  clock.advance(17 * 60_000);
  const settled = [...call('call_1', id, { prompt: 250_000, completion: 200_000 }), ...call('call_2', id, { prompt: 1, completion: 2 })];
  const expected = { tokens_used: 450_003, input_tokens_used: 250_001, output_tokens_used: 200_002, request_count: 2 };
  expect(((await at.as(ann)('GET', '/api/keys')).json as object[])[0]).toMatchObject({
    key,
    ...expected,
    last_used_at: '2026-04-09T00:17:00Z',
  });
  expect(await Promise.all(settled)).toMatchObject([{ ok: true }, { ok: true }, { ok: true }, { ok: true }]);

  const look = async (): Promise<string[]> => {
    const paths = [
      '/api/keys',
      '/api/billing/usage',
      '/api/billing/usage?time=5m',
      '/api/billing/time-series?time=5m',
      '/api/billing/time-series?time=90d',
    ];
    const answers = await Promise.all(paths.map((path) => at.as(bob)('GET', path)));
    return [...answers.map(({ text }) => text), (await at.as(bob)('POST', '/api/billing/usage/key', { key })).text];
  };
  const before = await look();
  expect(before[0]).toContain('"max_tokens":9223372036854775807,"metadata":{"id":9007199254740993}');
  expect(before[1]).toContain('"cost":2.469135782,"keys":{"Production Key":{"total_tokens":450003');
  expect(before[5]).toBe('{"prompt_tokens":250001,"completion_tokens":200002,"requests":2,"cost":2.469135782}');
  expect(before[3]).toContain('"interval":"5s"');
  expect(before[3]?.match(/"tokens":450003/g)).toHaveLength(2);

  await at.store.foldUsage(1000);
  expect(await look()).toEqual(before);
  await at.close();
  await at.store.close();
  at = await open();
  expect(await look()).toEqual(before);
  expect((await at.store.verify()).discrepancies).toEqual([]);
});

test('a deleted key is 401 at once and its usage stays under its last name', async () => {
  const { ann } = await at.addTenant('acme');
  const { id, value } = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name: 'first' });
  await Promise.all(call('call_1', id, { prompt: 5, completion: 0 }));
  expect(await at.directory.authenticate(value, clock.nowMs())).toMatchObject({ ok: true });
  await at.as(ann)('POST', '/api/keys/rename', { key: value, name: 'last' });
  await at.as(ann)('DELETE', `/api/keys/${value}`);
  expect(await at.directory.authenticate(value, clock.nowMs())).toMatchObject({ ok: false, rejection: { code: 'unauthorized' } });
  expect((await at.as(ann)('GET', '/api/billing/usage')).json).toMatchObject({ tokens: 5, keys: { last: { total_tokens: 5 } } });
  expect((await at.as(ann)('GET', '/api/keys')).text).toBe('[]');
});
