import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyCapId, TOKENS } from '../../../src/core/ledger/account.ts';
import type { ApiKey } from '../../../src/core/records.ts';
import { makeTestApp, TEST_START_MS, usageEvent, type TestApp } from '../../support/test-app.ts';

const BASE = '/v1/x-castellan';
const HOUR_MS = 3_600_000;

let at: TestApp;
let ann: string;
let bob: string;
let key: { id: string; value: string };

beforeEach(async () => {
  at = await makeTestApp();
  ({ ann, bob } = await at.addTenant('acme'));
  const created = await at.as(ann)('POST', '/api/keys', { name: 'robot', max_tokens: 1000, metadata: { team: 'blue' } });
  const { id, key: value } = created.json as { id: string; key: string };
  key = { id, value };
});
afterEach(() => at.close());

const rotate = (id: string, body: unknown = { grace_seconds: 3600 }) => at.operator('POST', `${BASE}/keys/${id}/rotate`, body);
const codeOf = async (value: string): Promise<string> => {
  const outcome = await at.directory.authenticate(value, at.clock.nowMs());
  return outcome.ok ? outcome.value.key.id : outcome.rejection.code;
};
const newValue = (answer: { json: never }): string => (answer.json as { key: string }).key;

describe('200', () => {
  test('a new value, shown this once; the old one works until the grace ends, exactly then no more', async () => {
    const answer = await rotate(key.id);
    expect(answer).toMatchObject({
      status: 200,
      json: {
        id: key.id,
        name: 'robot',
        kind: 'inference',
        tenant_id: 'acme',
        member_id: 'ann',
        disabled: false,
        expires_at: null,
        rotated_at: '2026-04-09T00:00:00Z',
        previous_valid_until: '2026-04-09T01:00:00Z',
      },
    });
    const value = newValue(answer);
    expect(value).toMatch(/^tk_[0-9A-Za-z]{31}$/);
    expect(value).not.toBe(key.value);
    expect(answer.headers['cache-control']).toBe('no-store');
    at.clock.set(TEST_START_MS + HOUR_MS - 1);
    expect([await codeOf(key.value), await codeOf(value)]).toEqual([key.id, key.id]);
    at.clock.set(TEST_START_MS + HOUR_MS);
    expect([await codeOf(key.value), await codeOf(value)]).toEqual(['unauthorized', key.id]);
    // Not told a second time, by any list of the operator.
    for (const path of ['keys?tenant_id=acme', `keys/${key.id}`])
      expect((await at.operator('GET', `${BASE}/${path}`)).text).not.toContain(value);
    expect(JSON.stringify(at.log.lines)).not.toContain(value);
  });

  test.each([{ grace_seconds: 0 }, {}, null])('%j: without a grace, the old value is dead with the answer', async (body) => {
    expect(await codeOf(key.value)).toBe(key.id);
    // Null stands for no body at all.
    const answer = await at.operator('POST', `${BASE}/keys/${key.id}/rotate`, body ?? undefined);
    expect(answer).toMatchObject({ status: 200, json: { previous_valid_until: null } });
    expect([await codeOf(key.value), await codeOf(newValue(answer))]).toEqual(['unauthorized', key.id]);
  });

  test('identity, name, cap, spend, usage, metadata and mask stay', async () => {
    at.store.addUsage(
      usageEvent({ id: 'u', tenantId: 'acme', keyId: key.id, atMs: TEST_START_MS, promptTokens: 30, completionTokens: 12 }),
    );
    const list = async (): Promise<Record<string, unknown>> =>
      ((await at.as(bob)('GET', '/api/keys')).json as Record<string, unknown>[])[0] as Record<string, unknown>;
    const before = await list();
    expect(before).toMatchObject({
      id: key.id,
      name: 'robot',
      max_tokens: 1000,
      tokens_used: 42,
      request_count: 1,
      metadata: { team: 'blue' },
    });
    const value = newValue(await rotate(key.id));
    // Whoever is not its creator sees the very same as before.
    expect(await list()).toEqual(before);
    expect(value.slice(0, 8)).toBe((before['key'] as string).slice(0, 8));
    expect(at.store.tables.accounts.get(keyCapId('acme', key.id, TOKENS))?.allocated).toBe(1000n);
    expect(((await at.as(ann)('GET', '/api/keys')).json as { key: string }[])[0]?.key).toBe(value);
    expect((await at.operator('GET', `${BASE}/keys/${key.id}`)).json).toMatchObject({
      name: 'robot',
      tokens_used: 42,
      rotated_at: '2026-04-09T00:00:00Z',
    });
  });

  test('twice within the grace: the oldest value dies at once, the one between keeps the new grace', async () => {
    const second = newValue(await rotate(key.id));
    const third = newValue(await rotate(key.id, { grace_seconds: 60 }));
    expect([await codeOf(key.value), await codeOf(second), await codeOf(third)]).toEqual(['unauthorized', key.id, key.id]);
    at.clock.advance(60_000);
    expect([await codeOf(second), await codeOf(third)]).toEqual(['unauthorized', key.id]);
  });

  test('of two at the same moment, one comes after the other, and both answers tell of a value that was good', async () => {
    const values = (await Promise.all([rotate(key.id), rotate(key.id)])).map(newValue);
    expect(new Set(values).size).toBe(2);
    expect(await Promise.all(values.map(codeOf))).toEqual([key.id, key.id]);
    expect(await codeOf(key.value)).toBe('unauthorized');
  });

  test.each(['admin', 'management'] as const)('keys of kind %s too, whose values are kept nowhere', async (kind) => {
    const made = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind });
    const value = newValue(await rotate(made.id));
    expect([await codeOf(made.value), await codeOf(value)]).toEqual([made.id, made.id]);
    expect(value.slice(0, 8)).toBe(made.value.slice(0, 8));
    expect(value).toHaveLength(made.value.length);
    expect(at.store.tables.records.get(`key ${made.id}`)).toMatchObject({ sealed: null });
    at.clock.advance(HOUR_MS);
    expect([await codeOf(made.value), await codeOf(value)]).toEqual(['unauthorized', made.id]);
  });

  test('a disabled key stays disabled, by either value', async () => {
    await at.operator('PATCH', `${BASE}/keys/${key.id}`, { disabled: true });
    const value = newValue(await rotate(key.id));
    expect([await codeOf(key.value), await codeOf(value)]).toEqual(['key_disabled', 'key_disabled']);
  });

  test('an audit row says who did it, and an event that it happened; neither holds a value or a hash', async () => {
    const value = newValue(await rotate(key.id));
    expect(at.store.tables.audit.at(-1)).toMatchObject({
      operation: 'rotate-key',
      actorKind: 'operator',
      resourceKind: 'key',
      resourceId: key.id,
      code: null,
    });
    expect(at.store.tables.events.at(-1)).toMatchObject({ type: 'api_key.rotated', data: { key_id: key.id } });
    const { hash } = at.store.tables.records.get(`key ${key.id}`) as ApiKey;
    const told = JSON.stringify([at.store.tables.audit, at.store.tables.events]);
    for (const secret of [value, key.value, hash]) expect(told).not.toContain(secret);
  });
});

describe('an admin key', () => {
  const rotateAs = (credential: string, id: string) => at.as(credential)('POST', `${BASE}/keys/${id}/rotate`, { grace_seconds: 60 });

  test('rotates the inference keys of its tenant, whoever made them, and is named in the audit', async () => {
    const answer = await rotateAs(bob, key.id);
    expect(answer.status).toBe(200);
    expect(await codeOf(newValue(answer))).toBe(key.id);
    expect(at.store.tables.audit.at(-1)).toMatchObject({ operation: 'rotate-key', actorKind: 'admin_key' });
  });

  test('rotates itself, and the keys that act as its own member', async () => {
    const adminId = await codeOf(ann);
    const renewed = newValue(await rotateAs(ann, adminId));
    expect((await at.as(renewed)('GET', '/api/keys')).status).toBe(200);
    expect((await at.as(ann)('GET', '/api/keys')).status).toBe(200);
    at.clock.advance(60_000);
    expect((await at.as(ann)('GET', '/api/keys')).status).toBe(401);
    const management = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'management' });
    expect((await rotateAs(renewed, management.id)).status).toBe(200);
  });

  test('gets 403 for keys that act as another member: it would act as them', async () => {
    const management = await at.addKey({ tenantId: 'acme', memberId: 'bob', kind: 'management' });
    for (const id of [await codeOf(bob), management.id]) {
      expect(await rotateAs(ann, id)).toMatchObject({ status: 403, json: { error: 'FORBIDDEN' } });
      expect(at.store.tables.audit.at(-1)).toMatchObject({ operation: 'rotate-key', resourceId: id, code: 'forbidden' });
    }
    expect(await codeOf(bob)).not.toBe('unauthorized');
    expect(await codeOf(management.value)).toBe(management.id);
  });

  test('gets 404 for another tenant’s keys, as for none', async () => {
    await at.addTenant('other');
    const foreign = await at.addKey({ tenantId: 'other', memberId: 'ann', kind: 'inference' });
    const answers = await Promise.all([rotateAs(ann, foreign.id), rotateAs(ann, 'key_none')]);
    const told = answers.map(({ status, json }) => [status, json as { error: string; message: string }] as const);
    expect(told.map(([status, { error, message }]) => [status, error, message])).toEqual([
      [404, 'NOT_FOUND', 'API key not found'],
      [404, 'NOT_FOUND', 'API key not found'],
    ]);
    expect(await codeOf(foreign.value)).toBe(foreign.id);
    const rows = at.store.tables.audit.slice(-2);
    expect(rows).toMatchObject([
      { tenantId: 'acme', code: 'not_found' },
      { tenantId: 'acme', code: 'not_found' },
    ]);
    expect(rows.map(({ resourceId }) => resourceId)).toContain(foreign.id);
  });
});

describe('400', () => {
  test.each([
    '{"grace_seconds":-1}',
    '{"grace_seconds":1.5}',
    '{"grace_seconds":2592001}',
    '{"grace_seconds":"60"}',
    '{"grace_seconds":null}',
    '{"grace_seconds":9007199254740993}',
  ])('%s names the field and the rule, and nothing changes', async (body) => {
    const { status, json } = await rotate(key.id, body);
    expect([status, json]).toMatchObject([
      400,
      { error: 'INVALID_REQUEST', message: 'grace_seconds must be a whole number from 0 to 2592000', details: { field: 'grace_seconds' } },
    ]);
    expect(await codeOf(key.value)).toBe(key.id);
  });

  test.each(['{"grace":1}', '[]', '"x"', '{"grace_seconds":1,"grace_seconds_":1}', '{', '{"__proto__":1}'])('%s', async (body) => {
    expect((await rotate(key.id, body)).status).toBe(400);
    expect(await codeOf(key.value)).toBe(key.id);
  });

  test('a parameter that nobody knows', async () => {
    expect((await at.operator('POST', `${BASE}/keys/${key.id}/rotate?grace_seconds=5`, {})).status).toBe(400);
  });
});

describe('401', () => {
  test.each(['tk', 'wrong', 'none'])('%s', async (which) => {
    const credential = { tk: key.value, wrong: 'admin_wrong', none: null }[which] ?? null;
    const { status, json } = await at.as(credential)('POST', `${BASE}/keys/${key.id}/rotate`, {});
    expect([status, json]).toMatchObject([401, { error: 'UNAUTHORIZED' }]);
    expect(await codeOf(key.value)).toBe(key.id);
  });

  test('a wrong operator key, even beside a good admin key', async () => {
    const headers = { 'x-admin-api-key': 'wrong' };
    expect((await at.as(ann)('POST', `${BASE}/keys/${key.id}/rotate`, {}, headers)).status).toBe(401);
  });
});

describe('404 and 405', () => {
  test('a key that is not there, or deleted', async () => {
    await at.operator('DELETE', `${BASE}/keys/${key.id}`);
    for (const id of [key.id, 'key_none', '..%2f']) expect((await rotate(id)).status).toBe(404);
  });

  test('GET names the method that is taken', async () => {
    const { status, headers } = await at.operator('GET', `${BASE}/keys/${key.id}/rotate`);
    expect([status, headers['allow']]).toEqual([405, 'POST']);
  });
});
