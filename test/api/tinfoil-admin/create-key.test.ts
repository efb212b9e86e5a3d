import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyCapId, TOKENS, USD_MICROCENTS } from '../../../src/core/ledger/account.ts';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

let at: TestApp;
let ann: string;
let post: (body: unknown, headers?: Record<string, string>) => ReturnType<ReturnType<TestApp['as']>>;

beforeEach(async () => {
  at = await makeTestApp();
  ({ ann } = await at.addTenant('acme'));
  post = (body, headers) => at.as(ann)('POST', '/api/keys', body, headers);
});
afterEach(() => at.close());

describe('200', () => {
  test("answers the document's own example with the whole key object", async () => {
    const { status, json } = await post({
      name: 'Production API Key',
      expires_at: '2026-12-31T23:59:59Z',
      max_tokens: 1_000_000,
      metadata: { environment: 'production', team: 'backend' },
    });
    expect(status).toBe(200);
    expect(json).toEqual({
      id: expect.stringMatching(/^key_/) as string,
      key: expect.stringMatching(/^tk_[0-9A-Za-z]{31}$/) as string,
      name: 'Production API Key',
      disabled: false,
      expires_at: '2026-12-31T23:59:59Z',
      max_tokens: 1_000_000,
      metadata: { environment: 'production', team: 'backend' },
      tokens_used: 0,
      input_tokens_used: 0,
      output_tokens_used: 0,
      request_count: 0,
      is_owner: true,
      created_at: '2026-04-09T00:00:00Z',
      last_used_at: null,
      clerk_user_id: 'ann',
      chat: false,
      is_admin: false,
    });
  });

  test('a name alone makes a key without expiry, cap and metadata', async () => {
    const { status, json } = await post({ name: 'a' });
    expect(status).toBe(200);
    expect(json).toMatchObject({ expires_at: null, max_tokens: null, metadata: {} });
  });

  test.each([
    ['null for all that is optional', { expires_at: null, max_tokens: null, metadata: null }],
    ['a cap of 0, which is none', { max_tokens: 0 }],
    ['fields that nobody knows', { chat: true, x: [1], max_tokens_per_day: -1 }],
  ])('%s', async (_what, fields) => {
    const { status, json } = await post({ name: 'a', ...fields });
    expect(status).toBe(200);
    expect(json).toMatchObject({ expires_at: null, max_tokens: null, metadata: {} });
  });

  test.each([
    ['9007199254740993', 9_007_199_254_740_993n],
    ['9223372036854775807', 9_223_372_036_854_775_807n],
    ['1', 1],
  ])('a cap of %s is kept digit for digit', async (text, expected) => {
    const { text: answer, json } = await post(`{"name":"a","max_tokens":${text}}`);
    expect(answer).toContain(`"max_tokens":${text},`);
    expect(json).toMatchObject({ max_tokens: expected });
    const [listed] = (await at.as(ann)('GET', '/api/keys')).json as [{ max_tokens: number | bigint }];
    expect(listed.max_tokens).toBe(expected);
  });

  test('metadata comes back as it was sent, integers past 2^53 too', async () => {
    const metadata = '{"id":9007199254740993,"n":[1.5,-7,true,null,"é\\u0000"],"__x":{"toString":"y"}}';
    const { text } = await post(`{"name":"a","metadata":${metadata}}`);
    expect(text).toContain(`"metadata":${metadata}`);
    expect((await at.as(ann)('GET', '/api/keys')).text).toContain(`"metadata":${metadata}`);
  });

  test('metadata of exactly 5,120 bytes of compact JSON is taken', async () => {
    const { status } = await post(`{ "name": "a",\n "metadata": { "k" :  "${'x'.repeat(5120 - 8)}" } }`);
    expect(status).toBe(200);
  });

  test('an expiry in another zone is answered in UTC', async () => {
    expect((await post({ name: 'a', expires_at: '2027-01-01T01:59:59.25+02:00' })).json).toMatchObject({
      expires_at: '2026-12-31T23:59:59.250Z',
    });
  });

  test('names may repeat', async () => {
    expect((await post({ name: 'same' })).status).toBe(200);
    expect((await post({ name: 'same' })).status).toBe(200);
  });

  test('leaves the key, its token account with the cap as an entry, one event and one audit row, and nothing else', async () => {
    const before = at.store.tables.audit.length;
    const { json } = await post({ name: 'a', max_tokens: 5 });
    const { id } = json as { id: string };
    expect(at.store.tables.accounts.get(keyCapId('acme', id, TOKENS))).toMatchObject({ allocated: 5n, spent: 0n, reserved: 0n });
    expect(at.store.tables.accounts.has(keyCapId('acme', id, USD_MICROCENTS))).toBe(false);
    expect(at.store.tables.entries.filter(({ accountId }) => accountId.includes(id))).toMatchObject([{ verb: 'allocate', dAllocated: 5n }]);
    const events = at.store.tables.events.filter(({ data }) => (data as { key_id?: string }).key_id === id);
    expect(events.map(({ type }) => type)).toEqual(['api_key.created']);
    const audit = at.store.tables.audit.slice(before);
    expect(audit).toMatchObject([{ operation: 'create-key', actorKind: 'admin_key', resourceId: id, code: null, tenantId: 'acme' }]);
    expect((await at.store.verify()).discrepancies).toEqual([]);
  });

  test('the value of the key is nowhere in the store but sealed', async () => {
    const { key } = (await post({ name: 'a' })).json as { key: string };
    const { records, accounts, entries, events, audit } = at.store.tables;
    const dump = JSON.stringify([[...records], [...accounts], entries, events, audit], (_name, value: unknown) =>
      typeof value === 'bigint' ? `${value}` : value,
    );
    expect(dump).not.toContain(key);
    expect(JSON.stringify(at.log.lines)).not.toContain(key);
  });
});

describe('400', () => {
  test.each([
    ['no name', {}, 'name is required'],
    ['a name that is no string', { name: 5 }, 'name must be a string'],
    ['an empty name', { name: '' }, 'name must have 1 to 256 characters'],
    ['a name of 257 characters', { name: 'x'.repeat(257) }, 'name must have 1 to 256 characters'],
    [
      "the earlier document's own example",
      { name: 'User: ann@example.com' },
      'name must contain only letters, digits, hyphens, underscores, spaces and periods',
    ],
    ['a name with an umlaut', { name: 'Schlüssel' }, 'name must contain only letters, digits, hyphens, underscores, spaces and periods'],
    ['a name with a line end', { name: 'a\n' }, 'name must contain only letters, digits, hyphens, underscores, spaces and periods'],
    ['an expiry now', { expires_at: '2026-04-09T00:00:00Z' }, 'expires_at must lie in the future'],
    ['an expiry in the past', { expires_at: '2024-12-31T23:59:59Z' }, 'expires_at must lie in the future'],
    ['an expiry that is no moment', { expires_at: 'tomorrow' }, 'expires_at must be an RFC 3339 timestamp such as 2026-12-31T23:59:59Z'],
    [
      'an expiry on a day that no calendar has',
      { expires_at: '2027-02-30T00:00:00Z' },
      'expires_at must be an RFC 3339 timestamp such as 2026-12-31T23:59:59Z',
    ],
    [
      'an expiry that is a number',
      { expires_at: 1_798_761_599 },
      'expires_at must be an RFC 3339 timestamp such as 2026-12-31T23:59:59Z, or null',
    ],
    ['a negative cap', { max_tokens: -1 }, 'max_tokens must lie between 0 and 2^63 - 1'],
    ['a fractional cap', { max_tokens: 1.5 }, 'max_tokens must be a whole number, or null'],
    ['a cap in a string', { max_tokens: '5' }, 'max_tokens must be a whole number, or null'],
    ['a cap that is true', { max_tokens: true }, 'max_tokens must be a whole number, or null'],
    ['metadata that is a list', { metadata: [] }, 'metadata must be a JSON object, or null'],
    ['metadata that is text', { metadata: '{}' }, 'metadata must be a JSON object, or null'],
    ['metadata of 5,121 bytes', { metadata: { k: 'x'.repeat(5121 - 8) } }, 'metadata must be at most 5120 bytes of compact JSON, not 5121'],
    [
      'metadata whose characters take more bytes',
      { metadata: { k: 'é'.repeat(2557) } },
      'metadata must be at most 5120 bytes of compact JSON, not 5122',
    ],
  ])('%s', async (what, fields, message) => {
    const { size: recordsBefore } = at.store.tables.records;
    const { size: accountsBefore } = at.store.tables.accounts;
    const { status, json } = await post(what.includes('name') || what.includes('own example') ? fields : { name: 'a', ...fields });
    expect(json).toEqual({ error: message, code: 'BAD_REQUEST', status: 'error', message });
    expect(status).toBe(400);
    expect(at.store.tables.records.size).toBe(recordsBefore);
    expect(at.store.tables.accounts.size).toBe(accountsBefore);
  });

  test.each([
    ['2^63', '9223372036854775808'],
    ['1e19', '1e19'],
    ['less than -2^63', '-9223372036854775809'],
    ['1e400', '1e400'],
    ['a fraction past 2^53', '9007199254740993.5'],
    ['2,001 digits', `1${'0'.repeat(2000)}`],
  ])('a cap of %s', async (_what, cap) => {
    expect((await post(`{"name":"a","max_tokens":${cap}}`)).status).toBe(400);
  });
});

describe('402', () => {
  test('without token billing, whatever else the tenant has', async () => {
    const { ann: other } = await at.addTenant('poor', { tokenBilling: false });
    const { status, json } = await at.as(other)('POST', '/api/keys', { name: 'a' });
    expect(status).toBe(402);
    expect(json).toMatchObject({ code: 'PAYMENT_REQUIRED', status: 'error' });
  });
});

describe('403', () => {
  test('with as many keys as the tenant is entitled to; one deleted makes room for one', async () => {
    const { ann: other } = await at.addTenant('small', { maxKeys: 1 });
    const first = await at.as(other)('POST', '/api/keys', { name: 'a' });
    expect(first.status).toBe(200);
    expect(await at.as(other)('POST', '/api/keys', { name: 'b' })).toMatchObject({ status: 403, json: { code: 'FORBIDDEN' } });
    await at.as(other)('DELETE', `/api/keys/${(first.json as { key: string }).key}`);
    expect((await at.as(other)('POST', '/api/keys', { name: 'b' })).status).toBe(200);
  });

  test('of a suspended tenant', async () => {
    await at.operator('PATCH', '/v1/x-castellan/tenants/acme', { status: 'SUSPENDED' });
    expect(await post({ name: 'a' })).toMatchObject({ status: 403, json: { code: 'FORBIDDEN' } });
  });
});
