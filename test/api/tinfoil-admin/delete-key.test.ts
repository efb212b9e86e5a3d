import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyCapId, TOKENS } from '../../../src/core/ledger/account.ts';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

let at: TestApp;
let ann: string;
let bob: string;
let id: string;
let value: string;

beforeEach(async () => {
  at = await makeTestApp();
  ({ ann, bob } = await at.addTenant('acme'));
  ({ id, value } = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference' }));
});
afterEach(() => at.close());

describe('200', () => {
  test('deletes the key; its account, its name and one event stay, its sealed value does not', async () => {
    await at.directory.authenticate(value, at.clock.nowMs());
    const { status, text } = await at.as(ann)('DELETE', `/api/keys/${value}`);
    expect([status, text]).toEqual([200, '{"message":"API key deleted"}']);
    expect((await at.as(ann)('GET', '/api/keys')).json).toEqual([]);
    expect(await at.directory.authenticate(value, at.clock.nowMs())).toMatchObject({ ok: false, rejection: { code: 'unauthorized' } });
    expect(at.store.tables.accounts.has(keyCapId('acme', id, TOKENS))).toBe(true);
    expect(at.store.tables.records.get(`key ${id}`)).toMatchObject({ name: 'key', sealed: null });
    expect(at.store.tables.events.at(-1)).toMatchObject({ type: 'api_key.deleted', data: { key_id: id } });
    expect(at.store.tables.records.get('tenant acme')).toMatchObject({ keyCount: 0 });
  });

  test("another member's key, by an admin who knows its full value", async () => {
    expect((await at.as(bob)('DELETE', `/api/keys/${value}`)).status).toBe(200);
  });

  test('with a Content-Type and no body, as some clients send it', async () => {
    expect((await at.as(ann)('DELETE', `/api/keys/${value}`, undefined, { 'content-type': 'application/json' })).status).toBe(200);
  });
});

describe('404', () => {
  test.each([
    ['unknown', () => 'tk_0000000000000000000000000000000'],
    ['masked', () => value.slice(0, 8) + '*'.repeat(26)],
    ['an admin key', () => ann],
    ['with an escaped slash, which stays in its segment', () => `${value}%2Fx`],
    ['two dots', () => '..'],
    ['two escaped dots', () => '%2e%2e'],
    ['as long as no key is', () => 'x'.repeat(2000)],
    ['a nul', () => '%00'],
  ])('a value that is %s', async (_what, path) => {
    const { status, json } = await at.as(ann)('DELETE', `/api/keys/${path()}`);
    expect([status, (json as { code: string }).code]).toEqual([404, 'NOT_FOUND']);
    expect(await at.directory.authenticate(value, at.clock.nowMs())).toMatchObject({ ok: true });
  });

  test('twice, and from another organization', async () => {
    const { ann: foreign } = await at.addTenant('other');
    expect((await at.as(foreign)('DELETE', `/api/keys/${value}`)).status).toBe(404);
    expect((await at.as(ann)('DELETE', `/api/keys/${value}`)).status).toBe(200);
    expect((await at.as(ann)('DELETE', `/api/keys/${value}`)).status).toBe(404);
  });
});

describe('400', () => {
  test('a percent escape that stands for nothing is not repeated in the answer', async () => {
    const { status, text } = await at.as(ann)('DELETE', `/api/keys/${value}%zz`);
    expect(status).toBe(400);
    expect(text).not.toContain(value);
    expect(JSON.parse(text)).toMatchObject({ code: 'BAD_REQUEST', status: 'error' });
  });
});
