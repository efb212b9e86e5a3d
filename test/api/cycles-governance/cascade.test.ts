import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { budgetId, keyCapId, TOKENS, USD_MICROCENTS } from '../../../src/core/ledger/account.ts';
import type { Command } from '../../../src/core/verbs.ts';
import { makeCloseTenants } from '../../../src/app/cycles/close-tenant.ts';
import { cyclesEvent } from '../../../src/core/cycles/event-object.ts';
import { isEventType } from '../../../src/core/cycles/event-types.ts';
import { parseJson, stringifyJson } from '../../../src/core/json/int64.ts';
import { expectEvent } from '../../support/cycles-answers.ts';
import { makeMemoryLog } from '../../support/fakes.ts';
import { makeGovernanceClient, type GovernanceClient } from '../../support/governance-client.ts';
import { reserve, settleCall } from '../../support/ledger-fixtures.ts';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

const WHOLE = budgetId('acme-corp', 'tenant:acme-corp', USD_MICROCENTS);
const BOT = budgetId('acme-corp', 'tenant:acme-corp/app:bot', USD_MICROCENTS);
const TENANT = '/v1/admin/tenants/acme-corp';

let at: TestApp;
let operator: GovernanceClient;
let tenantKey: { readonly key_id: string; readonly key_secret: string };
let adminKey: string;
let inferenceKey: { readonly id: string; readonly value: string };

const run = async (command: Command): Promise<void> => {
  const outcome = await at.writer.execute(command);
  if (!outcome.ok) throw new Error(outcome.rejection.message);
};

beforeEach(async () => {
  at = await makeTestApp();
  operator = makeGovernanceClient(at);
  ({ ann: adminKey } = await at.addTenant('acme-corp'));
  await at.addTenant('globex');
  const made = await operator.ask<typeof tenantKey>('createApiKey', 'POST', '/v1/admin/api-keys', {
    tenant_id: 'acme-corp',
    name: 'of a client',
  });
  tenantKey = made.body;
  inferenceKey = await at.addKey({ tenantId: 'acme-corp', memberId: 'ann', kind: 'inference', name: 'of a model' });
  for (const [accountId, tenantId] of [
    [WHOLE, 'acme-corp'],
    [BOT, 'acme-corp'],
    [budgetId('globex', 'tenant:globex', USD_MICROCENTS), 'globex'],
  ] as const)
    await run({ verb: 'allocate', id: at.ids.next('cmd'), tenantId, accountId, allocated: 1000n });
  // Two of clients, one on both budgets; and a call of a model.
  await run(hold('res_1', [WHOLE, BOT], 100n));
  await run(hold('res_2', [WHOLE], 50n));
  await run(
    reserve({
      ...hold('res_call', [WHOLE, keyCapId('acme-corp', inferenceKey.id, TOKENS)], 30n),
      purpose: 'call',
      ownerId: 'run',
    } as never),
  );
  await addWebhook('hook', 'ACTIVE');
  await addWebhook('paused', 'PAUSED');
  await addWebhook('dead', 'DISABLED');
});
afterEach(() => at.close());

const hold = (reservationId: string, accounts: readonly (typeof WHOLE)[], amount: bigint): Command => ({
  ...reserve({ id: `cmd_${reservationId}`, reservationId, amount }),
  tenantId: 'acme-corp',
  purpose: 'budget',
  legs: accounts.map((accountId) => ({ accountId, base: amount, perUnit: 0n, divisor: 1n, required: true })),
});

/** Webhooks are made by their own surface; what closing does to one depends on its record alone. */
async function addWebhook(id: string, status: 'ACTIVE' | 'PAUSED' | 'DISABLED'): Promise<void> {
  at.store.tables.records.set(`webhook ${id}`, {
    id,
    tenantId: 'acme-corp',
    name: id === 'hook' ? 'to slack' : null,
    description: null,
    url: 'https://example.com',
    eventTypes: ['tenant.closed'],
    eventCategories: [],
    scopeFilter: null,
    status,
    secretSealed: 's',
    headerNames: [],
    headersSealed: null,
    retryPolicy: {},
    thresholds: {},
    disableAfterFailures: 10,
    metadata: {},
    createdAtMs: 1,
    updatedAtMs: 1,
  });
  return Promise.resolve();
}

const close = () => operator.ask('updateTenant', 'PATCH', TENANT, { status: 'CLOSED' });
const account = async (id: typeof WHOLE) => (await at.store.accounts([id])).get(id);
const cascadeEvents = () => at.store.tables.events.filter(({ type }) => type.endsWith('_via_tenant_cascade'));
const cascadeAudit = () => at.store.tables.audit.filter(({ operation }) => operation.endsWith('_via_tenant_cascade'));
const marks = () => [...at.store.tables.records.keys()].filter((key) => key.startsWith('setting tenant-close:'));

describe('closing a tenant', () => {
  test('brings everything that it owns to its end before it answers, and leaves no mark', async () => {
    const { status, body, headers } = await close();
    expect([status, body['status']]).toEqual([200, 'CLOSED']);
    expect(headers['x-cycles-cascade-status']).toBeUndefined();
    for (const id of ['res_1', 'res_2'])
      expect(await at.store.reservation(id)).toMatchObject({ state: 'RELEASED', charged: expect.any(Array) as unknown });
    expect(await account(WHOLE)).toMatchObject({ status: 'CLOSED', reserved: 30n, spent: 0n });
    expect(await account(BOT)).toMatchObject({ status: 'CLOSED', reserved: 0n, budget: { closedAtMs: at.clock.nowMs() } });
    expect(await at.store.records('key', 'acme-corp')).toEqual([]);
    expect(await at.store.record('tenant', 'acme-corp')).toMatchObject({ keyCount: 0 });
    for (const id of ['hook', 'paused', 'dead']) expect(await at.store.record('webhook', id)).toMatchObject({ status: 'DISABLED' });
    expect(marks()).toEqual([]);
    expect((await at.store.verify()).discrepancies).toEqual([]);
  });

  test('touches nobody else', async () => {
    await close();
    expect(await at.store.records('key', 'globex')).toHaveLength(2);
    const other = budgetId('globex', 'tenant:globex', USD_MICROCENTS);
    expect((await at.store.accounts([other])).get(other)).toMatchObject({ status: 'ACTIVE' });
  });

  test('tells every end once, what budgets got back as one sum, all under one correlation id', async () => {
    const { headers } = await close();
    const correlationId = `tenant_close_cascade:acme-corp:${String(headers['x-request-id'])}`;
    const told = cascadeEvents();
    for (const { origin, tenantId } of told)
      expect([origin?.correlationId, origin?.requestId, tenantId]).toEqual([correlationId, headers['x-request-id'], 'acme-corp']);
    const shared = { unit: USD_MICROCENTS, prior_status: 'ACTIVE', cascade_reason: 'tenant_closed' };
    const [whole, bot] = ['tenant:acme-corp', 'tenant:acme-corp/app:bot'] as const;
    expect(told.filter(({ type }) => type === 'budget.closed_via_tenant_cascade').map(({ data, scope }) => [scope, data])).toEqual([
      [whole, { ...shared, ledger_id: expect.stringMatching(/^ldg_/) as string, scope: whole, new_status: 'CLOSED' }],
      [bot, { ...shared, ledger_id: expect.stringMatching(/^ldg_/) as string, scope: bot, new_status: 'CLOSED' }],
    ]);
    expect(told.filter(({ type }) => type === 'reservation.released_via_tenant_cascade').map(({ scope, data }) => [scope, data])).toEqual([
      [whole, { ...shared, ledger_id: expect.any(String) as string, scope: whole, released_amount: '150' }],
      [bot, { ...shared, ledger_id: expect.any(String) as string, scope: bot, released_amount: '100' }],
    ]);
    expect(told.filter(({ type }) => type === 'webhook.disabled_via_tenant_cascade').map(({ data }) => data)).toEqual([
      { subscription_id: 'hook', name: 'to slack', prior_status: 'ACTIVE', new_status: 'DISABLED', cascade_reason: 'tenant_closed' },
      { subscription_id: 'paused', prior_status: 'PAUSED', new_status: 'DISABLED', cascade_reason: 'tenant_closed' },
    ]);
    const keys = told.filter(({ type }) => type === 'api_key.revoked_via_tenant_cascade').map(({ data }) => data as { key_id: string });
    expect(keys).toHaveLength(4);
    expect(keys).toContainEqual({
      key_id: tenantKey.key_id,
      name: 'of a client',
      prior_status: 'ACTIVE',
      new_status: 'REVOKED',
      cascade_reason: 'tenant_closed',
    });
    expect(at.store.tables.events.find(({ type }) => type === 'tenant.closed')?.origin?.correlationId).toBe(correlationId);
    // As a subscriber gets them, of the keys of every kind too.
    for (const event of at.store.tables.events) {
      const { type } = event;
      if (isEventType(type)) expectEvent(parseJson(stringifyJson(cyclesEvent({ ...event, type }))));
    }
  });

  test('every end has its own audit row, of the reserved kind, by whoever closed the tenant', async () => {
    const { headers } = await close();
    const rows = cascadeAudit();
    const told = (category: string, id: string): string[] =>
      cascadeEvents()
        .filter(({ type }) => type.startsWith(category))
        .map(({ type, data }) => `${type} ${(data as Record<string, string>)[id]}`);
    const byText = (a: string, b: string): number => (a < b ? -1 : 1);
    expect(rows.map(({ operation, resourceId }) => `${operation} ${resourceId}`).toSorted(byText)).toEqual(
      [
        'reservation.released_via_tenant_cascade res_1',
        'reservation.released_via_tenant_cascade res_2',
        'webhook.disabled_via_tenant_cascade hook',
        'webhook.disabled_via_tenant_cascade paused',
        ...told('budget.', 'ledger_id'),
        ...told('api_key.', 'key_id'),
      ].toSorted(byText),
    );
    for (const row of rows) {
      expect(row).toMatchObject({ tenantId: 'acme-corp', actorKind: 'operator', code: null, requestId: headers['x-request-id'] });
      expect(row.metadata).toMatchObject({
        event_kind: row.operation,
        correlation_id: `tenant_close_cascade:acme-corp:${String(headers['x-request-id'])}`,
        cascade_reason: 'tenant_closed',
      });
    }
  });

  test('kills keys of every kind on every surface at once', async () => {
    await close();
    expect((await at.as(adminKey)('GET', '/api/keys')).status).toBe(401);
    expect((await makeGovernanceClient(at, tenantKey.key_secret).ask('introspectAuth', 'GET', '/v1/auth/introspect')).body).toMatchObject({
      error: 'KEY_REVOKED',
    });
    expect((await at.as(inferenceKey.value)('GET', '/v1/x-castellan/me')).status).toBe(401);
  });

  test('a call in flight is settled with what it really used', async () => {
    await close();
    await run(
      settleCall(
        { tokens: 5n, microcents: 7n },
        {
          id: 'cmd_settle',
          reservationId: 'res_call',
          tenantId: 'acme-corp',
          usage: null,
        },
      ),
    );
    expect(await account(WHOLE)).toMatchObject({ status: 'CLOSED', reserved: 0n, spent: 7n });
    expect((await at.store.verify()).discrepancies).toEqual([]);
  });

  test('again ends what is left and tells nothing twice', async () => {
    await close();
    const before = [at.store.tables.events.length, cascadeAudit().length];
    expect((await close()).status).toBe(200);
    expect([at.store.tables.events.length, cascadeAudit().length]).toEqual(before);
    await addWebhook('late', 'ACTIVE');
    const { headers } = await close();
    expect(cascadeEvents().at(-1)).toMatchObject({
      data: { subscription_id: 'late' },
      origin: { correlationId: `tenant_close_cascade:acme-corp:${String(headers['x-request-id'])}` },
    });
  });

  test('works from SUSPENDED, on a frozen budget and an expired key too', async () => {
    const { body } = await operator.ask<typeof tenantKey>('createApiKey', 'POST', '/v1/admin/api-keys', {
      tenant_id: 'acme-corp',
      name: 'short',
      expires_at: '2026-04-10T00:00:00Z',
    });
    await run({ verb: 'freeze-budget', id: 'cmd_freeze', tenantId: 'acme-corp', accountId: BOT });
    await operator.ask('updateTenant', 'PATCH', TENANT, { status: 'SUSPENDED' });
    at.clock.advance(24 * 60 * 60 * 1000);
    await close();
    const data = cascadeEvents().map((event) => event.data as Record<string, unknown>);
    expect(data).toContainEqual(
      expect.objectContaining({ scope: 'tenant:acme-corp/app:bot', prior_status: 'FROZEN', new_status: 'CLOSED' }),
    );
    expect(data).toContainEqual(expect.objectContaining({ key_id: body.key_id, prior_status: 'EXPIRED' }));
  });
});

describe('from the moment of the close', () => {
  test('reads go on', async () => {
    await close();
    expect((await operator.ask('getTenant', 'GET', TENANT)).body).toMatchObject({ status: 'CLOSED' });
    const { body } = await operator.ask<{ keys: readonly unknown[] }>('listApiKeys', 'GET', '/v1/admin/api-keys?tenant_id=acme-corp');
    expect(body.keys).toMatchObject([{ status: 'REVOKED', revoked_reason: 'tenant_closed' }]);
  });

  test.each<[string, () => Command]>([
    ['a reservation', () => hold('res_9', [WHOLE], 1n)],
    [
      'a commit',
      () => ({ verb: 'commit', id: 'c', tenantId: 'acme-corp', reservationId: 'res_1', actual: 1n, unit: USD_MICROCENTS }) as never,
    ],
    ['a release', () => ({ verb: 'release', id: 'c', tenantId: 'acme-corp', reservationId: 'res_1' })],
    ['an extension', () => ({ verb: 'extend', id: 'c', tenantId: 'acme-corp', reservationId: 'res_1', byMs: 1000 })],
    ['funding', () => ({ verb: 'fund', id: 'c', tenantId: 'acme-corp', accountId: WHOLE, operation: 'CREDIT', amount: 1n })],
    ['an allocation', () => ({ verb: 'allocate', id: 'c', tenantId: 'acme-corp', accountId: WHOLE, allocated: 1n })],
    ['freezing', () => ({ verb: 'freeze-budget', id: 'c', tenantId: 'acme-corp', accountId: WHOLE })],
    [
      'a key’s change',
      () => ({ verb: 'update-tenant-key', id: 'c', tenantId: 'acme-corp', keyId: tenantKey.key_id, changes: { name: 'x' } }),
    ],
    ['a revocation', () => ({ verb: 'revoke-key', id: 'c', tenantId: 'acme-corp', keyId: tenantKey.key_id, reason: null })],
    [
      'a new member',
      () => ({ verb: 'add-member', id: 'c', tenantId: 'acme-corp', member: { id: 'eve', email: 'e@x.example', role: 'admin' } }),
    ],
  ])('%s is refused with TENANT_CLOSED, before the cascade has come by and after', async (_what, command) => {
    // The flip alone, as another node sees it while the cascade still runs.
    await run({ verb: 'update-tenant', id: 'cmd_close', tenantId: 'acme-corp', status: 'CLOSED' });
    for (const isEnded of [false, true]) {
      if (isEnded) await at.closeTenants.resume();
      const outcome = await at.writer.execute(command());
      expect(outcome).toMatchObject({ ok: false, rejection: { code: 'tenant_closed' } });
    }
  });
});

describe('a cascade that is broken off', () => {
  /** One that fails at its n-th command, as a store that goes away does. */
  const failingAt = (fails: number, log = makeMemoryLog()) => {
    let commands = 0;
    const closing = makeCloseTenants({
      writer: {
        execute: (command) => {
          commands += 1;
          if (commands > fails) return Promise.reject(new Error('the store is away'));
          return at.writer.execute(command);
        },
      },
      records: at.store,
      ids: at.ids,
      failpoints: { hit: () => undefined },
      log,
    });
    return closing;
  };

  test.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])('after %i ends is finished by the next run, and tells nothing twice', async (fails) => {
    await run({ verb: 'update-tenant', id: 'cmd_close', tenantId: 'acme-corp', status: 'CLOSED' });
    expect(await failingAt(fails).run('acme-corp', 60_000)).toBe(false);
    expect(marks()).toEqual(['setting tenant-close:acme-corp']);
    await at.closeTenants.resume();
    expect(marks()).toEqual([]);
    const told = cascadeEvents().map(({ type, data }) => JSON.stringify([type, data]));
    expect(told).toHaveLength(10);
    expect(new Set(told).size).toBe(10);
    expect(cascadeAudit()).toHaveLength(10);
    expect(told.filter((each) => each.includes('"released_amount":"150"'))).toHaveLength(1);
    expect((await at.store.verify()).discrepancies).toEqual([]);
  });

  test('runs at once here and on another node end everything once', async () => {
    await run({ verb: 'update-tenant', id: 'cmd_close', tenantId: 'acme-corp', status: 'CLOSED' });
    const other = failingAt(Infinity);
    await Promise.all([at.closeTenants.run('acme-corp', 60_000), other.run('acme-corp', 60_000), other.run('acme-corp', 60_000)]);
    await at.closeTenants.resume();
    expect(cascadeEvents()).toHaveLength(10);
    expect(cascadeAudit()).toHaveLength(10);
    expect(marks()).toEqual([]);
  });

  test('200 with the word that it goes on, where it takes long', async () => {
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    at.store.beforeBatch = (commands) => (commands.some(({ verb }) => verb.startsWith('cascade-')) ? gate : undefined);
    const { status, headers } = await close();
    expect([status, headers['x-cycles-cascade-status'], headers['retry-after']]).toEqual([200, 'in_progress', '1']);
    go();
    await at.closeTenants.resume();
    expect(marks()).toEqual([]);
  });

  test('one thing that cannot be ended holds up no other, and is tried again', async () => {
    at.store.beforeBatch = (commands) => {
      if (commands.some((command) => command.verb === 'cascade-budget' && command.accountId === BOT)) throw new Error('a corrupt row');
    };
    const { headers } = await close();
    expect(headers['x-cycles-cascade-status']).toBe('in_progress');
    expect(await at.store.records('key', 'acme-corp')).toEqual([]);
    expect(await account(WHOLE)).toMatchObject({ status: 'CLOSED' });
    expect(marks()).toHaveLength(1);
    at.store.beforeBatch = null;
    await at.closeTenants.resume();
    expect(await account(BOT)).toMatchObject({ status: 'CLOSED' });
    expect(marks()).toEqual([]);
  });
});
