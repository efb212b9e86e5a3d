import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Fault } from '../../../src/core/fault.ts';
import { keyCapId, newAccount, TOKENS } from '../../../src/core/ledger/account.ts';
import type { ApiKey } from '../../../src/core/records.ts';
import { makeTestApp, TEST_START_MS, usageEvent, type TestApp } from '../../support/test-app.ts';

let at: TestApp;
let ann: string;
let bob: string;

beforeEach(async () => {
  at = await makeTestApp();
  ({ ann, bob } = await at.addTenant('acme'));
});
afterEach(() => at.close());

const list = async (credential: string): Promise<Record<string, unknown>[]> => (await at.as(credential)('GET', '/api/keys')).json;

describe('200', () => {
  test('an organization without keys has an empty list, not null', async () => {
    expect((await at.as(ann)('GET', '/api/keys')).text).toBe('[]');
  });

  test('own keys in full, those of others with eight characters and a star for each of the other 26; oldest first', async () => {
    const { value: own } = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name: 'own' });
    const { value: other } = await at.addKey({ tenantId: 'acme', memberId: 'bob', kind: 'inference', name: 'other' });
    expect(await list(ann)).toMatchObject([
      { key: own, is_owner: true, name: 'own' },
      { key: other.slice(0, 8) + '*'.repeat(26), is_owner: false, name: 'other' },
    ]);
    expect(await list(bob)).toMatchObject([
      { key: own.slice(0, 8) + '*'.repeat(26), is_owner: false },
      { key: other, is_owner: true },
    ]);
  });

  test('only inference keys, only of the own organization, and none that was deleted', async () => {
    const { ann: foreign } = await at.addTenant('other');
    await at.addKey({ tenantId: 'other', memberId: 'ann', kind: 'inference', name: 'foreign' });
    await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'management', name: 'management' });
    const { value } = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name: 'gone' });
    await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name: 'stays' });
    await at.as(ann)('DELETE', `/api/keys/${value}`);
    expect((await list(ann)).map(({ name }) => name)).toEqual(['stays']);
    expect((await list(foreign)).map(({ name }) => name)).toEqual(['foreign']);
  });

  test('counts what each key has used, live, and when it was used last', async () => {
    const { id } = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference' });
    await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name: 'idle' });
    const common = { tenantId: 'acme', keyId: id };
    at.store.addUsage(usageEvent({ ...common, id: 'c1', atMs: TEST_START_MS - 5000, promptTokens: 250_000, completionTokens: 200_000 }));
    at.store.addUsage(usageEvent({ ...common, id: 'c2', atMs: TEST_START_MS - 3000, promptTokens: 1, completionTokens: 2 }));
    expect(await list(ann)).toMatchObject([
      {
        tokens_used: 450_003,
        input_tokens_used: 250_001,
        output_tokens_used: 200_002,
        request_count: 2,
        last_used_at: '2026-04-08T23:59:57Z',
      },
      { tokens_used: 0, request_count: 0, last_used_at: null },
    ]);
  });

  test('shows an expired and a disabled key as it is', async () => {
    const { value } = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', expiresAtMs: TEST_START_MS + 1000 });
    await at.as(ann)('POST', '/api/keys/update', { key: value, disabled: true });
    at.clock.advance(5000);
    expect(await list(ann)).toMatchObject([{ key: value, disabled: true, expires_at: '2026-04-09T00:00:01Z' }]);
  });

  test('waits for what this node is still making durable', async () => {
    const { value } = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name: 'before' });
    let open = (): void => undefined;
    at.store.beforeBatch = () => new Promise((resolve) => (open = resolve));
    const renaming = at.as(ann)('POST', '/api/keys/update', { key: value, name: 'after' });
    while (at.writer.pending === 0) await new Promise((resolve) => setImmediate(resolve));
    const listing = list(ann);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(at.store.reads.get('keys')).toBeUndefined();
    open();
    expect(await listing).toMatchObject([{ name: 'after' }]);
    expect((await renaming).status).toBe(200);
  });

  test('a list of several pages has every key once, in order', async () => {
    for (let i = 0; i < 1001; i++) addRawKey(i);
    const names = (await list(ann)).map(({ name }) => name);
    expect(names).toEqual(Array.from({ length: 1001 }, (_, i) => `key ${i}`));
    expect(at.store.reads.get('keys')).toBe(3);
  });
});

describe('503', () => {
  test('while the store cannot be read', async () => {
    at.store.beforeRead = (name) => {
      if (name === 'keys')
        throw new Fault({ code: 'store_unavailable', message: 'disk /var/x', publicMessage: 'The database cannot be reached.' });
    };
    const { status, json } = await at.as(ann)('GET', '/api/keys');
    expect(status).toBe(503);
    expect(json).toMatchObject({ error: 'The database cannot be reached.', code: 'SERVICE_UNAVAILABLE' });
  });
});

/** Puts a key into the store without going through the writer. */
function addRawKey(index: number): void {
  const id = `key_x${String(index).padStart(6, '0')}`;
  const key: ApiKey = {
    id,
    tenantId: 'acme',
    kind: 'inference',
    name: `key ${index}`,
    hash: id,
    mask: 'tk_xxxxx'.padEnd(34, '*'),
    sealed: null,
    createdBy: 'bob',
    disabled: false,
    expiresAtMs: null,
    metadata: {},
    outputBound: 'hard',
    createdAtMs: TEST_START_MS,
    deletedAtMs: null,
  };
  at.store.tables.records.set(`key ${id}`, key);
  const cap = keyCapId('acme', id, TOKENS);
  at.store.tables.accounts.set(cap, newAccount(cap, { nowMs: TEST_START_MS, unlimited: true }));
}
