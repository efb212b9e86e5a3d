import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyCapId, TOKENS } from '../../../src/core/ledger/account.ts';
import { makeTestApp, type TestApp, type TestResponse } from '../../support/test-app.ts';

let at: TestApp;
let ann: string;
let bob: string;
let id: string;
let value: string;

beforeEach(async () => {
  at = await makeTestApp();
  ({ ann, bob } = await at.addTenant('acme'));
  ({ id, value } = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name: 'old' }));
});
afterEach(() => at.close());

const update = (body: unknown, credential = ann): Promise<TestResponse> => at.as(credential)('POST', '/api/keys/update', body);
const shown = async (): Promise<Record<string, unknown>> =>
  ((await at.as(ann)('GET', '/api/keys')).json as Record<string, unknown>[])[0] ?? {};
const cap = () => at.store.tables.accounts.get(keyCapId('acme', id, TOKENS));

describe('200', () => {
  test('changes the name and nothing else', async () => {
    const before = await shown();
    const { status, text } = await update({ key: value, name: 'Staging API Key' });
    expect([status, text]).toEqual([200, '{"message":"API key updated"}']);
    expect(await shown()).toEqual({ ...before, name: 'Staging API Key' });
    expect(at.store.tables.events.at(-1)).toMatchObject({ type: 'api_key.updated', data: { key_id: id, fields: ['name'] } });
  });

  test('sets, changes and with 0 clears the cap; only the allocation changes, and the journal says so', async () => {
    await update({ key: value, max_tokens: 1000 });
    expect(await shown()).toMatchObject({ max_tokens: 1000 });
    await update({ key: value, max_tokens: 400 });
    expect(await shown()).toMatchObject({ max_tokens: 400 });
    await update({ key: value, max_tokens: 0 });
    expect(await shown()).toMatchObject({ max_tokens: null });
    expect(cap()).toMatchObject({ allocated: null, spent: 0n });
    const moved = at.store.tables.entries
      .filter(({ accountId }) => accountId === keyCapId('acme', id, TOKENS))
      .map(({ dAllocated }) => dAllocated);
    expect(moved).toEqual([1000n, -600n, -400n]);
    expect((await at.store.verify()).discrepancies).toEqual([]);
  });

  test('clears a cap that is not there', async () => {
    expect((await update({ key: value, max_tokens: 0 })).status).toBe(200);
    expect(at.store.tables.entries).toEqual([]);
  });

  test('null is not given, so that no cap goes away by accident', async () => {
    await update({ key: value, max_tokens: 1000 });
    expect((await update({ key: value, name: 'new', max_tokens: null, disabled: null })).status).toBe(200);
    expect(await shown()).toMatchObject({ name: 'new', max_tokens: 1000, disabled: false });
  });

  test('takes `disabled` and `expires_at` too; null clears the expiry', async () => {
    await update({ key: value, disabled: true, expires_at: '2026-12-31T23:59:59Z' });
    expect(await shown()).toMatchObject({ disabled: true, expires_at: '2026-12-31T23:59:59Z' });
    await update({ key: value, disabled: false, expires_at: null });
    expect(await shown()).toMatchObject({ disabled: false, expires_at: null });
  });

  test("any admin of the organization may, who knows the key's full value", async () => {
    expect((await update({ key: value, name: 'by bob' }, bob)).status).toBe(200);
  });

  test('a cap past 2^53 is kept digit for digit', async () => {
    await update(`{"key":"${value}","max_tokens":9223372036854775807}`);
    expect(cap()?.allocated).toBe(9_223_372_036_854_775_807n);
  });

  test('the very next request with the key sees that it is disabled', async () => {
    expect(await at.directory.authenticate(value, at.clock.nowMs())).toMatchObject({ ok: true });
    await update({ key: value, disabled: true });
    expect(await at.directory.authenticate(value, at.clock.nowMs())).toMatchObject({ ok: false, rejection: { code: 'key_disabled' } });
  });

  test('rename, of the older documents', async () => {
    const { status, text } = await at.as(ann)('POST', '/api/keys/rename', { key: value, name: 'renamed' });
    expect([status, text]).toEqual([200, '{"message":"API key renamed"}']);
    expect(await shown()).toMatchObject({ name: 'renamed' });
  });
});

describe('400', () => {
  test.each([
    ['no key', { name: 'a' }, 'key is required'],
    ['a key that is no string', { key: 5, name: 'a' }, 'key must be the full value of an API key, as a string'],
    ['nothing to change', { key: 'K' }, 'name, max_tokens, disabled or expires_at is required'],
    ['nothing but nulls', { key: 'K', name: null, max_tokens: null }, 'name, max_tokens, disabled or expires_at is required'],
    [
      'a name outside of the pattern',
      { key: 'K', name: 'User: x' },
      'name must contain only letters, digits, hyphens, underscores, spaces and periods',
    ],
    ['a negative cap', { key: 'K', max_tokens: -5 }, 'max_tokens must lie between 0 and 2^63 - 1'],
    ['a fractional cap', { key: 'K', max_tokens: 0.5 }, 'max_tokens must be a whole number'],
    ['an expiry in the past', { key: 'K', expires_at: '2020-01-01T00:00:00Z' }, 'expires_at must lie in the future'],
    ['`disabled` in a string', { key: 'K', disabled: 'true' }, 'disabled must be true or false'],
  ])('%s changes nothing', async (_what, body, message) => {
    const before = await shown();
    const { status, json } = await update('key' in body && body.key === 'K' ? { ...body, key: value } : body);
    expect([status, json]).toEqual([400, { error: message, code: 'BAD_REQUEST', status: 'error', message }]);
    expect(await shown()).toEqual(before);
  });

  test('a good name beside a bad cap: nothing is half done', async () => {
    expect((await update({ key: value, name: 'new', max_tokens: -1 })).status).toBe(400);
    expect(await shown()).toMatchObject({ name: 'old', max_tokens: null });
  });

  test('a rename without a name', async () => {
    expect(await at.as(ann)('POST', '/api/keys/rename', { key: value })).toMatchObject({
      status: 400,
      json: { error: 'name is required' },
    });
  });
});

describe('404', () => {
  const notFound = { status: 404, json: { code: 'NOT_FOUND', error: 'API key not found' } };

  test('a value that nobody has, a masked one, an admin key, a deleted key, another organization’s', async () => {
    const { ann: foreign } = await at.addTenant('other');
    expect(await update({ key: 'tk_0000000000000000000000000000000', name: 'a' })).toMatchObject(notFound);
    expect(await update({ key: value.slice(0, 8) + '*'.repeat(26), name: 'a' })).toMatchObject(notFound);
    expect(await update({ key: ann, name: 'a' })).toMatchObject(notFound);
    expect(await update({ key: value, name: 'a' }, foreign)).toMatchObject(notFound);
    expect(await update({ key: '', name: 'a' })).toMatchObject(notFound);
    await at.as(ann)('DELETE', `/api/keys/${value}`);
    expect(await update({ key: value, name: 'a' })).toMatchObject(notFound);
    expect(await at.as(ann)('POST', '/api/keys/rename', { key: value, name: 'a' })).toMatchObject(notFound);
  });
});
