import { describe, expect, test } from 'vitest';
import { INT64_MAX } from '../int64.ts';
import { keyCapId, newAccount, TOKENS, USD_MICROCENTS, type Account } from '../ledger/account.ts';
import {
  memberRecordId,
  SYSTEM_TENANT,
  type ApiKey,
  type Member,
  type Model,
  type RecordKind,
  type Tenant,
  type Upstream,
} from '../records.ts';
import type { Outcome } from '../rejection.ts';
import { runBatch } from '../run-batch.ts';
import { needsOf, type Command } from '../verbs.ts';
import { WorkingSet } from '../working-set.ts';
import type { CreateKeyCommand } from './commands.ts';
import { DEFAULT_ENTITLEMENTS, MODEL_DEFAULTS, UPSTREAM_DEFAULTS } from './defaults.ts';

const NOW_MS = Date.UTC(2026, 3, 9);

const TENANT: Tenant = {
  id: 'acme',
  name: 'Acme',
  status: 'ACTIVE',
  entitlements: DEFAULT_ENTITLEMENTS,
  requireBudget: false,
  allowUnpriced: false,
  hideAmounts: false,
  keyCount: 1,
  createdAtMs: 1,
};
const ANN: Member = { id: 'ann', tenantId: 'acme', email: 'ann@example.com', role: 'admin', createdAtMs: 1, removedAtMs: null };
const KEY: ApiKey = {
  id: 'k1',
  tenantId: 'acme',
  kind: 'inference',
  name: 'old',
  hash: 'h1',
  mask: 'tk_*',
  sealed: 'sealed',
  createdBy: 'ann',
  disabled: false,
  expiresAtMs: null,
  metadata: {},
  outputBound: 'hard',
  createdAtMs: 5,
  deletedAtMs: null,
};
const UPSTREAM: Upstream = {
  ...UPSTREAM_DEFAULTS,
  id: 'u1',
  kind: 'openai',
  baseUrl: 'http://a',
  apiKeySealed: null,
  provider: 'u1',
  createdAtMs: 5,
};
const MODEL: Model = { ...MODEL_DEFAULTS, id: 'm1', upstreams: [{ id: 'u1', model: 'm1' }], createdAtMs: 5 };

/** What stands in the store before a command. */
interface World {
  readonly tenant?: Partial<Tenant> | null;
  readonly member?: Partial<Member> | null;
  readonly key?: Partial<ApiKey> | null;
  readonly upstream?: Partial<Upstream> | null;
  readonly model?: Partial<Model> | null;
  readonly price?: { appliesFromMs: number } | null;
  readonly accounts?: readonly Account[];
}

const merged = <T extends object>(usual: T, changes: Partial<T> | null | undefined): T | undefined =>
  changes === null ? undefined : { ...usual, ...changes };

/** Runs one command as a store does: only what it needs is loaded. Returns the outcome and what changed. */
function run(command: Command, world: World = {}): { outcome: Outcome<unknown>; changes: ReturnType<WorkingSet['changes']> } {
  const price =
    world.price === undefined || world.price === null
      ? undefined
      : {
          id: 'p1',
          modelId: 'm1',
          upstreamId: null,
          inputNanos: 1,
          outputNanos: 1,
          cachedInputNanos: null,
          requestNanos: 0,
          createdAtMs: 1,
          ...world.price,
        };
  const stored: Partial<Record<RecordKind, Record<string, unknown>>> = {
    tenant: { acme: merged(TENANT, world.tenant) },
    member: { [memberRecordId('acme', 'ann')]: merged(ANN, world.member) },
    key: { k1: merged(KEY, world.key) },
    upstream: { u1: merged(UPSTREAM, world.upstream) },
    model: { m1: merged(MODEL, world.model) },
    price: { p1: price },
  };
  const rows = new WorkingSet();
  rows.putRecord('tenant', command.tenantId, stored.tenant?.[command.tenantId] as Tenant | undefined);
  const needs = needsOf(command);
  for (const { kind, id } of needs.records ?? []) rows.putRecord(kind, id, stored[kind]?.[id] as never);
  for (const id of needs.accounts ?? [])
    rows.putAccount(
      id,
      world.accounts?.find((account) => account.id === id),
    );
  const [outcome] = runBatch(rows, [command], NOW_MS);
  return { outcome: outcome as Outcome<unknown>, changes: rows.changes() };
}

/** Asserts a refusal that names the field and changes nothing. */
function expectRefusal(command: Command, world: World, [code, field]: readonly [string, string?]): void {
  const { outcome, changes } = run(command, world);
  expect(outcome).toMatchObject({ ok: false, rejection: { code, ...(field === undefined ? {} : { field }) } });
  expect([changes.records, changes.accounts, changes.entries, changes.events]).toEqual([[], [], [], []]);
}

const base = { id: 'c1', tenantId: 'acme' } as const;
const system = { id: 'c1', tenantId: SYSTEM_TENANT } as const;
const tokens = keyCapId('acme', 'k1', TOKENS);
const money = keyCapId('acme', 'k1', USD_MICROCENTS);

function createKey(
  key: Partial<CreateKeyCommand['key']> = {},
  limits: Partial<Pick<CreateKeyCommand, 'maxTokens' | 'moneyBudgetMicrocents'>> = {},
): CreateKeyCommand {
  const { createdAtMs: _createdAtMs, deletedAtMs: _deletedAtMs, tenantId: _tenantId, ...usual } = KEY;
  return { verb: 'create-key', ...base, key: { ...usual, ...key }, maxTokens: null, moneyBudgetMicrocents: null, ...limits };
}

const account = (id: typeof tokens, allocated: bigint | null, spent = 0n): Account => ({
  ...newAccount(id, { nowMs: 1, unlimited: allocated === null }),
  allocated,
  spent,
});

describe('create-tenant', () => {
  const tenant = {
    id: 'new',
    name: 'New',
    entitlements: DEFAULT_ENTITLEMENTS,
    requireBudget: false,
    allowUnpriced: true,
    hideAmounts: false,
  };
  const create = (changes: Partial<typeof tenant> = {}): Command => {
    const made = { ...tenant, ...changes };
    return { verb: 'create-tenant', id: 'c1', tenantId: made.id, tenant: made };
  };

  test('is ACTIVE, has no keys, and leaves one event', () => {
    const { outcome, changes } = run(create());
    expect(outcome).toEqual({ ok: true, value: { ...tenant, status: 'ACTIVE', keyCount: 0, createdAtMs: NOW_MS } });
    expect(changes.events).toEqual([
      {
        id: 'evt_c1_1',
        type: 'tenant.created',
        tenantId: 'new',
        atMs: NOW_MS,
        data: { tenant_id: 'new', new_status: 'ACTIVE', changed_fields: [] },
      },
    ]);
  });

  test.each([
    ['an empty id', { id: '' }, ['invalid_request', 'id']],
    ['an id with a bar, which would split an account', { id: 'a|b' }, ['invalid_request', 'id']],
    ['an id that begins with a hyphen', { id: '-a' }, ['invalid_request', 'id']],
    ['an id of 65 characters', { id: 'a'.repeat(65) }, ['invalid_request', 'id']],
    ['a name with a control character', { name: 'a\u0007' }, ['invalid_request', 'name']],
    ['a negative limit', { entitlements: { ...DEFAULT_ENTITLEMENTS, maxKeys: -1 } }, ['invalid_request', 'max_keys']],
    ['an id that is taken', { id: 'acme' }, ['conflict', 'id']],
  ] as const)('refuses %s', (_what, changes, refusal) => expectRefusal(create(changes), {}, refusal));
});

describe('update-tenant', () => {
  test('changes what is given and keeps the count of keys', () => {
    const { outcome } = run({ verb: 'update-tenant', ...base, hideAmounts: true, entitlements: { maxKeys: 2 } });
    const value = { ...TENANT, hideAmounts: true, entitlements: { ...DEFAULT_ENTITLEMENTS, maxKeys: 2 }, updatedAtMs: NOW_MS };
    expect(outcome).toEqual({ ok: true, value });
  });

  test('tells settings apart from the rest, and a status from both', () => {
    const { changes } = run({ verb: 'update-tenant', ...base, name: 'Other', maxTtlMs: 5000, status: 'SUSPENDED' });
    const told = { tenant_id: TENANT.id, previous_status: 'ACTIVE', new_status: 'SUSPENDED' };
    expect(changes.events.map(({ type, data }) => [type, data])).toEqual([
      ['tenant.updated', { ...told, changed_fields: ['name', 'max_reservation_ttl_ms', 'status'] }],
      ['tenant.settings_changed', { ...told, changed_fields: ['max_reservation_ttl_ms'] }],
      ['tenant.suspended', { ...told, changed_fields: ['name', 'max_reservation_ttl_ms', 'status'] }],
    ]);
  });

  test('what is as it was leaves no event and no change', () => {
    const { outcome, changes } = run({ verb: 'update-tenant', ...base, name: TENANT.name, status: 'ACTIVE' });
    expect(outcome).toEqual({ ok: true, value: TENANT });
    expect([changes.events, changes.records]).toEqual([[], []]);
  });

  test.each([
    ['a tenant that is not there', {}, { tenant: null }, ['not_found']],
    ['to open a closed one', { status: 'ACTIVE', name: '' }, { tenant: { status: 'CLOSED' } }, ['invalid_transition', 'status']],
    ['another change of a closed one', { name: '' }, { tenant: { status: 'CLOSED' } }, ['tenant_closed']],
    ['a change that comes with closing it again', { status: 'CLOSED', name: 'x' }, { tenant: { status: 'CLOSED' } }, ['tenant_closed']],
    ['a time to live of less than a second', { maxTtlMs: 999 }, {}, ['invalid_request', 'max_reservation_ttl_ms']],
    ['a time to live of more than a day', { defaultTtlMs: 86_400_001 }, {}, ['invalid_request', 'default_reservation_ttl_ms']],
    ['extensions below none', { maxExtensions: -1 }, {}, ['invalid_request', 'max_reservation_extensions']],
    [
      'more than 32 pairs of metadata',
      { metadata: Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`k${index}`, 'v'])) },
      {},
      ['invalid_request', 'metadata'],
    ],
    ['an empty name', { name: '' }, {}, ['invalid_request', 'name']],
  ] as const)('refuses %s', (_what, changes, world, refusal) =>
    expectRefusal({ verb: 'update-tenant', ...base, ...changes }, world, refusal),
  );
});

describe('members', () => {
  const member = { id: 'ann', email: 'ann@example.com', role: 'admin' } as const;

  test('a new one joins now', () => {
    expect(run({ verb: 'add-member', ...base, member }, { member: null }).outcome).toEqual({
      ok: true,
      value: { ...ANN, createdAtMs: NOW_MS },
    });
  });

  test('one who was removed joins anew, one who is replaced does not', () => {
    expect(run({ verb: 'add-member', ...base, member }, { member: { removedAtMs: 7 } }).outcome).toEqual({
      ok: true,
      value: { ...ANN, createdAtMs: NOW_MS },
    });
    const replaced = run({ verb: 'add-member', ...base, member: { ...member, role: 'member' }, replace: true });
    expect(replaced.outcome).toEqual({ ok: true, value: { ...ANN, role: 'member' } });
    expect(replaced.changes.events).toMatchObject([{ type: 'member.updated' }]);
  });

  test.each([
    ['in a tenant that is not there', {}, { tenant: null }, ['not_found']],
    ['in a closed tenant', {}, { tenant: { status: 'CLOSED' } }, ['tenant_closed']],
    ['with a slash in the id, which would split the record’s', { id: 'a/b' }, {}, ['invalid_request', 'id']],
    ['without an address', { email: '@' }, {}, ['invalid_request', 'email']],
    ['who is there', {}, {}, ['conflict', 'id']],
  ] as const)('refuses one %s', (_what, changes, world, refusal) =>
    expectRefusal({ verb: 'add-member', ...base, member: { ...member, ...changes } }, world, refusal),
  );

  test('removing one keeps the name', () => {
    const { outcome, changes } = run({ verb: 'remove-member', ...base, memberId: 'ann' });
    expect(outcome).toEqual({ ok: true, value: { ...ANN, removedAtMs: NOW_MS } });
    expect(changes.events).toMatchObject([{ type: 'member.removed' }]);
  });

  test.each([
    ['nobody', { member: null }, ['not_found']],
    ['somebody twice', { member: { removedAtMs: 5 } }, ['not_found']],
  ] as const)('refuses to remove %s', (_what, world, refusal) =>
    expectRefusal({ verb: 'remove-member', ...base, memberId: 'ann' }, world, refusal),
  );
});

describe('create-key', () => {
  test.each([
    ['no limits', {}, [{ id: tokens, allocated: null }], []],
    ['a cap', { maxTokens: 7n }, [{ id: tokens, allocated: 7n }], [[tokens, 7n]]],
    ['a cap of 0', { maxTokens: 0n }, [{ id: tokens, allocated: 0n }], []],
    ['the largest cap', { maxTokens: INT64_MAX }, [{ id: tokens, allocated: INT64_MAX }], [[tokens, INT64_MAX]]],
    [
      'a money budget',
      { moneyBudgetMicrocents: 9n },
      [
        { id: tokens, allocated: null },
        { id: money, allocated: 9n },
      ],
      [[money, 9n]],
    ],
    [
      'a money budget of nothing',
      { moneyBudgetMicrocents: 0n },
      [
        { id: tokens, allocated: null },
        { id: money, allocated: 0n },
      ],
      [],
    ],
  ])('%s: which accounts there are, and what the journal says', (_what, limits, accounts, entries) => {
    const { outcome, changes } = run(createKey({}, limits), { key: null });
    expect(outcome).toEqual({ ok: true, value: { ...KEY, createdAtMs: NOW_MS } });
    expect(changes.accounts.map(({ account: { id, allocated } }) => ({ id, allocated }))).toEqual(accounts);
    expect(changes.accounts.every(({ isNew }) => isNew)).toBe(true);
    expect(changes.entries.map(({ accountId: id, dAllocated }) => [id, dAllocated])).toEqual(entries);
    expect(changes.entries.every(({ command, verb }) => command === 'c1' && verb === 'allocate')).toBe(true);
    expect(changes.events.map(({ type }) => type)).toEqual(['api_key.created']);
  });

  test.each([
    ['inference', 2],
    ['management', 2],
    ['admin', undefined],
  ] as const)('a key of kind %s makes the count %s', (kind, count) => {
    const { changes } = run(createKey({ kind }), { key: null });
    const tenant = changes.records.find((change) => change.kind === 'tenant')?.record as Tenant | undefined;
    expect(tenant?.keyCount).toBe(count);
  });

  test.each([
    ['in a tenant that is not there', {}, {}, { tenant: null }, ['not_found']],
    ['in a closed tenant', {}, {}, { tenant: { status: 'CLOSED' } }, ['tenant_closed']],
    ['in a suspended tenant, before its name is looked at', { name: '' }, {}, { tenant: { status: 'SUSPENDED' } }, ['tenant_suspended']],
    ['with a name outside of the pattern', { name: 'User: x' }, {}, {}, ['invalid_request', 'name']],
    ['that expires now', { expiresAtMs: NOW_MS }, {}, {}, ['invalid_request', 'expires_at']],
    ['with a negative cap', {}, { maxTokens: -1n }, {}, ['invalid_request', 'max_tokens']],
    ['with a cap past int64', {}, { maxTokens: INT64_MAX + 1n }, {}, ['invalid_request', 'max_tokens']],
    ['with too much metadata', { metadata: { a: 'x'.repeat(5113) } }, {}, {}, ['invalid_request', 'metadata']],
    ['with a negative budget', {}, { moneyBudgetMicrocents: -1n }, {}, ['invalid_request', 'money_budget_usd']],
    ['for an admin who is not there', { kind: 'admin' }, {}, { member: null }, ['invalid_request', 'member_id']],
    ['for an admin who was removed', { kind: 'admin' }, {}, { member: { removedAtMs: 5 } }, ['invalid_request', 'member_id']],
    ['for an admin who is none', { kind: 'admin' }, {}, { member: { role: 'member' } }, ['invalid_request', 'member_id']],
    [
      'without token billing, before the limit of keys',
      {},
      {},
      { tenant: { entitlements: { ...DEFAULT_ENTITLEMENTS, tokenBilling: false, maxKeys: 0 } } },
      ['payment_required'],
    ],
    ['over the limit of keys', {}, {}, { tenant: { entitlements: { ...DEFAULT_ENTITLEMENTS, maxKeys: 1 } } }, ['key_limit_reached']],
    ['whose id is taken', {}, {}, { key: {} }, ['conflict', 'id']],
  ] as const)('refuses one %s', (_what, key, limits, world, refusal) =>
    expectRefusal(createKey(key, limits), { key: null, ...world }, refusal),
  );

  test('a management key needs no token billing, and its member may be no admin', () => {
    const world: World = {
      key: null,
      member: { role: 'member' },
      tenant: { entitlements: { ...DEFAULT_ENTITLEMENTS, tokenBilling: false } },
    };
    expect(run(createKey({ kind: 'management' }), world).outcome.ok).toBe(true);
  });
});

describe('update-key', () => {
  const update = (changes: object): Command => ({ verb: 'update-key', ...base, keyId: 'k1', ...changes });

  test.each([
    ['sets a cap on a key without one', null, 0n, { maxTokens: 5n }, 5n, [5n]],
    ['raises a cap', 5n, 0n, { maxTokens: 8n }, 8n, [3n]],
    ['lowers a cap below what is spent', 100n, 80n, { maxTokens: 1n }, 1n, [-99n]],
    ['clears a cap, whose whole allocation the journal takes away', 100n, 80n, { maxTokens: null }, null, [-100n]],
    ['sets a cap that is there', 5n, 0n, { maxTokens: 5n }, 5n, []],
    ['clears a cap that is not there', null, 3n, { maxTokens: null }, null, []],
    ['goes from the largest cap to none', INT64_MAX, 0n, { maxTokens: 0n }, 0n, [-INT64_MAX]],
  ])('%s', (_what, allocated, spent, changes, expected, moved) => {
    const result = run(update(changes), { accounts: [account(tokens, allocated, spent)] });
    expect(result.outcome.ok).toBe(true);
    expect(result.changes.entries.map(({ dAllocated }) => dAllocated)).toEqual(moved);
    const changed = result.changes.accounts.find(({ account: { id } }) => id === tokens);
    expect(changed === undefined ? allocated : changed.account.allocated).toBe(expected);
    if (changed !== undefined) expect(changed.account.spent).toBe(spent);
  });

  test('a money budget makes its account when first set, not when cleared', () => {
    expect(run(update({ moneyBudgetMicrocents: 4n })).changes.accounts).toMatchObject([
      { isNew: true, account: { id: money, allocated: 4n } },
    ]);
    expect(run(update({ moneyBudgetMicrocents: null })).changes.accounts).toEqual([]);
  });

  test('changes the fields that are given and says which; the secret parts stay', () => {
    const { outcome, changes } = run(update({ name: 'new', disabled: true, expiresAtMs: NOW_MS + 1, outputBound: 'soft' }));
    expect(outcome).toEqual({ ok: true, value: { ...KEY, name: 'new', disabled: true, expiresAtMs: NOW_MS + 1, outputBound: 'soft' } });
    expect(changes.events).toMatchObject([
      { type: 'api_key.updated', data: { fields: ['name', 'disabled', 'expires_at', 'output_bound'] } },
    ]);
    expect(JSON.stringify(changes.events)).not.toContain('sealed');
  });

  test('an expired key may be renamed without a new expiry', () => {
    expect(run(update({ name: 'new' }), { key: { expiresAtMs: 5 } }).outcome.ok).toBe(true);
  });

  test.each([
    ['a key that is not there', { name: 'a' }, { key: null }, ['not_found']],
    ['a deleted key', { name: 'a' }, { key: { deletedAtMs: 5 } }, ['not_found']],
    ['the key of another tenant', { name: 'a' }, { key: { tenantId: 'other' } }, ['not_found']],
    ['a key of a closed tenant', { name: 'a' }, { tenant: { status: 'CLOSED' } }, ['tenant_closed']],
    ['a bad name', { name: '' }, {}, ['invalid_request', 'name']],
    ['an expiry in the past', { expiresAtMs: 1 }, {}, ['invalid_request', 'expires_at']],
    ['a negative cap beside a good name', { name: 'new', maxTokens: -1n }, {}, ['invalid_request', 'max_tokens']],
    ['a budget past int64', { moneyBudgetMicrocents: INT64_MAX + 1n }, {}, ['invalid_request', 'money_budget_usd']],
  ] as const)('refuses %s', (_what, changes, world, refusal) => expectRefusal(update(changes), world, refusal));
});

describe('delete-key', () => {
  const remove: Command = { verb: 'delete-key', ...base, keyId: 'k1' };

  test('keeps the name, forgets what is sealed, and counts one less', () => {
    const { outcome, changes } = run(remove);
    expect(outcome).toEqual({ ok: true, value: { ...KEY, sealed: null, deletedAtMs: NOW_MS } });
    expect(changes.records.map(({ kind }) => kind)).toEqual(['key', 'tenant']);
    expect(changes.records[1]?.record).toMatchObject({ keyCount: 0 });
    expect(changes.accounts).toEqual([]);
  });

  test.each([
    ['twice', { key: { deletedAtMs: 5 } }, ['not_found']],
    ['for another tenant', { key: { tenantId: 'other' } }, ['not_found']],
  ] as const)('refuses %s', (_what, world, refusal) => expectRefusal(remove, world, refusal));
});

describe('upstreams', () => {
  const { createdAtMs: _createdAtMs, ...upstream } = UPSTREAM;
  const put = (changes: Partial<Upstream>, replace = false): Command => ({
    verb: 'put-upstream',
    ...system,
    upstream: { ...upstream, ...changes },
    replace,
  });

  test('a new one loses the slash at the end of its address; a replaced one keeps its age', () => {
    expect(run(put({ baseUrl: 'http://a/v1//' }), { upstream: null }).outcome).toMatchObject({
      ok: true,
      value: { baseUrl: 'http://a/v1', createdAtMs: NOW_MS },
    });
    expect(run(put({}, true)).outcome).toMatchObject({ ok: true, value: { createdAtMs: 5 } });
    expect(run(put({}, true), { upstream: null }).outcome).toMatchObject({ ok: true, value: { createdAtMs: NOW_MS } });
    expect(run(put({ kind: 'demo', baseUrl: '' }), { upstream: null }).outcome.ok).toBe(true);
  });

  test.each(['http://[::1]:9001/v1', 'https://api.example.com', 'http://host_name:80/a%20b'])('takes %s', (baseUrl) => {
    expect(run(put({ baseUrl }), { upstream: null }).outcome.ok).toBe(true);
  });

  test.each([
    ['an id with a bar', { id: 'a|b' }, {}, ['invalid_request', 'id']],
    ['one that is there', {}, {}, ['conflict', 'id']],
    ['an address without a scheme', { baseUrl: 'a' }, { upstream: null }, ['invalid_request', 'base_url']],
    ['a password in the address', { baseUrl: 'http://u:p@a' }, { upstream: null }, ['invalid_request', 'base_url']],
    ['a fragment', { baseUrl: 'http://a#b' }, { upstream: null }, ['invalid_request', 'base_url']],
    ['an empty provider', { provider: '' }, { upstream: null }, ['invalid_request', 'provider']],
    ['a timeout of nothing', { timeoutMs: 0 }, { upstream: null }, ['invalid_request', 'timeout_ms']],
  ] as const)('refuses %s', (_what, changes, world, refusal) => expectRefusal(put(changes), world, refusal));

  test('changes what is given, and refuses what is not there', () => {
    expect(run({ verb: 'update-upstream', ...system, upstreamId: 'u1', changes: { quantized: true } }).outcome).toEqual({
      ok: true,
      value: { ...UPSTREAM, quantized: true },
    });
    expectRefusal({ verb: 'update-upstream', ...system, upstreamId: 'u1', changes: {} }, { upstream: null }, ['not_found']);
    expectRefusal({ verb: 'update-upstream', ...system, upstreamId: 'u1', changes: { baseUrl: '' } }, {}, ['invalid_request', 'base_url']);
  });
});

describe('models', () => {
  const { createdAtMs: _createdAtMs, ...model } = MODEL;
  const put = (changes: Partial<Model>): Command => ({ verb: 'put-model', ...system, model: { ...model, ...changes }, replace: false });

  test.each([
    ['no upstream', { upstreams: [] }, ['invalid_request', 'upstreams']],
    ['an upstream that is not there', { upstreams: [{ id: 'u2', model: 'x' }] }, ['invalid_request', 'upstreams']],
    ['more output by default than at most', { defaultOutputTokens: 5, maxOutputTokens: 4 }, ['invalid_request', 'default_output_tokens']],
    ['a margin that is no whole number', { marginPercent: 1.5 }, ['invalid_request', 'margin_percent']],
    ['a context of nothing', { contextTokens: 0 }, ['invalid_request', 'context_tokens']],
    ['an empty tag', { tags: [''] }, ['invalid_request', 'tags']],
    ['an empty description', { description: '' }, ['invalid_request', 'description']],
    ['a description of two lines', { description: 'a\nb' }, ['invalid_request', 'description']],
    ['a description that is too long', { description: 'a'.repeat(2001) }, ['invalid_request', 'description']],
    ['an id with a space', { id: 'a b' }, ['invalid_request', 'id']],
  ] as const)('refuses %s', (_what, changes, refusal) => expectRefusal(put(changes), { model: null }, refusal));

  test('refuses one that is there, makes one that is not', () => {
    expectRefusal(put({}), {}, ['conflict', 'id']);
    expect(run(put({}), { model: null }).outcome).toEqual({ ok: true, value: { ...MODEL, createdAtMs: NOW_MS } });
  });

  test('an upstream that went away does not stand in the way of another change', () => {
    expect(run({ verb: 'update-model', ...system, modelId: 'm1', changes: { tags: ['a'] } }, { upstream: null }).outcome.ok).toBe(true);
    expectRefusal({ verb: 'update-model', ...system, modelId: 'm1', changes: { upstreams: MODEL.upstreams } }, { upstream: null }, [
      'invalid_request',
      'upstreams',
    ]);
    expectRefusal({ verb: 'update-model', ...system, modelId: 'm1', changes: {} }, { model: null }, ['not_found']);
  });
});

describe('prices', () => {
  const price = {
    id: 'p1',
    modelId: 'm1',
    upstreamId: null,
    appliesFromMs: null,
    inputNanos: 150,
    outputNanos: 600,
    cachedInputNanos: null,
    requestNanos: 0,
  };
  const add = (changes: Partial<Record<keyof typeof price, unknown>>): Command => ({
    verb: 'add-price',
    ...system,
    price: { ...price, ...changes } as typeof price,
  });

  test('applies from now where nothing is said, from then where it is', () => {
    expect(run(add({})).outcome).toEqual({ ok: true, value: { ...price, appliesFromMs: NOW_MS, createdAtMs: NOW_MS } });
    expect(run(add({ appliesFromMs: NOW_MS })).outcome.ok).toBe(true);
    expect(run(add({ appliesFromMs: NOW_MS + 9, upstreamId: 'u1' })).outcome).toMatchObject({
      ok: true,
      value: { appliesFromMs: NOW_MS + 9, upstreamId: 'u1' },
    });
  });

  test.each([
    ['for no model', {}, { model: null }, ['invalid_request', 'model_id']],
    ['at an upstream that the model has not', { upstreamId: 'u2' }, {}, ['invalid_request', 'upstream_id']],
    ['below nothing', { inputNanos: -1 }, {}, ['invalid_request', 'input_per_1m']],
    ['of a fraction of a nano-dollar', { outputNanos: 0.5 }, {}, ['invalid_request', 'output_per_1m']],
    ['beyond a dollar a token', { outputNanos: 1_000_000_001 }, {}, ['invalid_request', 'output_per_1m']],
    ['from a moment in the past', { appliesFromMs: NOW_MS - 1 }, {}, ['invalid_request', 'applies_from']],
    ['from beyond all calendars', { appliesFromMs: 1e15 }, {}, ['invalid_request', 'applies_from']],
    ['whose id is taken', {}, { price: { appliesFromMs: 1 } }, ['conflict', 'id']],
  ] as const)('refuses one %s', (_what, changes, world, refusal) => expectRefusal(add(changes), world, refusal));
});

describe('remove-record', () => {
  const remove = (kind: 'upstream' | 'model' | 'price', recordId: string): Command => ({
    verb: 'remove-record',
    ...system,
    kind,
    recordId,
  });

  test.each([
    ['upstream', 'u1'],
    ['model', 'm1'],
    ['price', 'p1'],
  ] as const)('forgets a %s', (kind, id) => {
    const { outcome, changes } = run(remove(kind, id), { price: { appliesFromMs: NOW_MS + 1 } });
    expect(outcome).toEqual({ ok: true, value: { id } });
    expect(changes.records).toEqual([{ kind, id, record: null }]);
    expect(changes.events).toMatchObject([{ type: `${kind}.deleted` }]);
  });

  test('refuses what is not there, and a price that applies', () => {
    expectRefusal(remove('model', 'm1'), { model: null }, ['not_found']);
    expectRefusal(remove('price', 'p1'), { price: { appliesFromMs: NOW_MS } }, ['conflict']);
  });
});

test('init-setting writes once; the value that stands is the outcome', () => {
  const rows = new WorkingSet();
  rows.putRecord('setting', 's', undefined);
  rows.putRecord('tenant', SYSTEM_TENANT, undefined);
  const commands = [1, 2].map((value): Command => ({
    verb: 'init-setting',
    id: `c${value}`,
    tenantId: SYSTEM_TENANT,
    setting: { id: 's', value },
  }));
  expect(runBatch(rows, commands, NOW_MS)).toEqual([
    { ok: true, value: { id: 's', value: 1 } },
    { ok: true, value: { id: 's', value: 1 } },
  ]);
  expect(rows.changes().records).toHaveLength(1);
});

test('a refused management command leaves its audit row with the code, and nothing else', () => {
  const audit = {
    id: 'a1',
    operation: 'delete-key',
    actorKind: 'operator',
    actorId: 'operator',
    resourceKind: 'key',
    resourceId: 'k1',
    requestId: 'r',
  } as const;
  const { changes } = run({ verb: 'delete-key', ...base, keyId: 'k1', audit }, { key: null });
  expect(changes.audit).toMatchObject([{ id: 'a1', code: 'not_found', tenantId: 'acme', atMs: NOW_MS }]);
  expect(changes.events).toEqual([]);
});

test('commands of one batch see each other: the limit of keys holds within it', () => {
  const rows = new WorkingSet();
  rows.putRecord('tenant', 'acme', { ...TENANT, keyCount: 0, entitlements: { ...DEFAULT_ENTITLEMENTS, maxKeys: 2 } });
  const commands = ['k1', 'k2', 'k3'].map((id) => ({ ...createKey({ id }), id: `c_${id}` }));
  for (const command of commands) {
    for (const { kind, id } of needsOf(command).records ?? []) rows.putRecord(kind, id, undefined);
    for (const id of needsOf(command).accounts ?? []) rows.putAccount(id, undefined);
  }
  expect(runBatch(rows, commands, NOW_MS).map(({ ok }) => ok)).toEqual([true, true, false]);
});
