import { describe, expect, test } from 'vitest';
import type { ApiKey, Tenant } from '../records.ts';
import type { Outcome } from '../rejection.ts';
import { runBatch } from '../run-batch.ts';
import { WorkingSet } from '../working-set.ts';
import type { DeleteKeyCommand, RotateKeyCommand, UpdateKeyCommand } from './commands.ts';
import { rotatedPlaintext } from './credentials.ts';
import { MAX_GRACE_SECONDS, presentedValue, previousValidUntilMs } from './decide-rotate-key.ts';
import { DEFAULT_ENTITLEMENTS } from './defaults.ts';

const NOW_MS = Date.UTC(2026, 3, 9);
const HOUR_MS = 3_600_000;

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
const KEY: ApiKey = {
  id: 'k1',
  tenantId: 'acme',
  kind: 'inference',
  name: 'robot',
  hash: 'h1',
  mask: 'tk_abcde**************************',
  sealed: 'sealed 1',
  createdBy: 'ann',
  disabled: false,
  expiresAtMs: NOW_MS + HOUR_MS,
  metadata: { team: 'blue' },
  outputBound: 'soft',
  createdAtMs: 5,
  deletedAtMs: null,
};

const rotate = (parts: Partial<RotateKeyCommand> = {}): RotateKeyCommand => ({
  verb: 'rotate-key',
  id: 'cmd_1',
  tenantId: 'acme',
  keyId: 'k1',
  hash: 'h2',
  mask: KEY.mask,
  sealed: 'sealed 2',
  graceMs: HOUR_MS,
  ...parts,
});

function rowsWith(world: { key?: Partial<ApiKey> | null; tenant?: Partial<Tenant> } = {}): WorkingSet {
  const rows = new WorkingSet();
  rows.putRecord('tenant', 'acme', { ...TENANT, ...world.tenant });
  rows.putRecord('key', 'k1', world.key === null ? undefined : { ...KEY, ...world.key });
  return rows;
}

const keyAfter = (rows: WorkingSet): ApiKey => rows.record('key', 'k1') as ApiKey;
const run = (rows: WorkingSet, command: Parameters<typeof runBatch>[1][number], nowMs = NOW_MS): Outcome<unknown> =>
  runBatch(rows, [command], nowMs)[0] as Outcome<unknown>;

describe('rotate-key', () => {
  test('changes the value and nothing else: id, name, owner, expiry, metadata, mask and bound stay, and no account is touched', () => {
    const rows = rowsWith();
    const outcome = run(rows, rotate());
    const rotation = { atMs: NOW_MS, previousHash: 'h1', previousUntilMs: NOW_MS + HOUR_MS };
    expect(outcome).toEqual({ ok: true, value: { ...KEY, hash: 'h2', sealed: 'sealed 2', rotation } });
    const { records, accounts, entries } = rows.changes();
    expect([records.map(({ kind }) => kind), accounts, entries]).toEqual([['key'], [], []]);
  });

  test('tells that it happened, and until when the value before is good, without a secret', () => {
    const rows = rowsWith();
    run(rows, rotate());
    const data = { tenant_id: 'acme', key_id: 'k1', kind: 'inference', name: 'robot', previous_valid_until: '2026-04-09T01:00:00Z' };
    expect(rows.changes().events).toEqual([{ id: 'evt_cmd_1_1', type: 'api_key.rotated', tenantId: 'acme', atMs: NOW_MS, data }]);
  });

  test('without a grace, the value before is dead at once', () => {
    const rows = rowsWith();
    run(rows, rotate({ graceMs: 0 }));
    const key = keyAfter(rows);
    expect(presentedValue(key, 'h2', NOW_MS)).toBe('current');
    expect(presentedValue(key, 'h1', NOW_MS)).toBeNull();
    expect(key.rotation).toEqual({ atMs: NOW_MS, previousHash: null, previousUntilMs: NOW_MS });
    expect(rows.changes().events[0]?.data).toMatchObject({ previous_valid_until: null });
  });

  test('with a grace, the value before is good to the last millisecond of it and dead at its end', () => {
    const rows = rowsWith();
    run(rows, rotate());
    const key = keyAfter(rows);
    const endMs = NOW_MS + HOUR_MS;
    expect(presentedValue(key, 'h1', endMs - 1)).toBe('previous');
    expect(presentedValue(key, 'h1', endMs)).toBeNull();
    expect(presentedValue(key, 'h2', endMs)).toBe('current');
    expect([previousValidUntilMs(key, endMs - 1), previousValidUntilMs(key, endMs)]).toEqual([endMs, null]);
  });

  test('twice within a grace, the oldest of three values dies at once', () => {
    const rows = rowsWith();
    run(rows, rotate());
    run(rows, rotate({ id: 'cmd_2', hash: 'h3', graceMs: 1000 }), NOW_MS + 1);
    const key = keyAfter(rows);
    expect(['h1', 'h2', 'h3'].map((hash) => presentedValue(key, hash, NOW_MS + 2))).toEqual([null, 'previous', 'current']);
    // And one without a grace kills the other two.
    run(rows, rotate({ id: 'cmd_3', hash: 'h4', graceMs: 0 }), NOW_MS + 2);
    expect(['h1', 'h2', 'h3', 'h4'].map((hash) => presentedValue(keyAfter(rows), hash, NOW_MS + 2))).toEqual([null, null, null, 'current']);
  });

  test('a key of before there was rotation has its one value', () => {
    expect([presentedValue(KEY, 'h1', NOW_MS), presentedValue(KEY, 'h2', NOW_MS), previousValidUntilMs(KEY, NOW_MS)]).toEqual([
      'current',
      null,
      null,
    ]);
  });

  test('a changed key keeps its grace, and a deleted one has no value left', () => {
    const rows = rowsWith();
    run(rows, rotate());
    for (const unit of ['TOKENS', 'USD_MICROCENTS']) rows.putAccount(`acme|key_cap|key:k1|${unit}|` as never, undefined);
    const rename: UpdateKeyCommand = { verb: 'update-key', id: 'cmd_2', tenantId: 'acme', keyId: 'k1', name: 'renamed' };
    expect(run(rows, rename).ok).toBe(true);
    expect(presentedValue(keyAfter(rows), 'h1', NOW_MS)).toBe('previous');
    const remove: DeleteKeyCommand = { verb: 'delete-key', id: 'cmd_3', tenantId: 'acme', keyId: 'k1' };
    expect(run(rows, remove).ok).toBe(true);
    expect(keyAfter(rows)).not.toHaveProperty('rotation');
    expect(presentedValue(keyAfter(rows), 'h1', NOW_MS)).toBeNull();
  });

  test.each<[string, Partial<ApiKey>]>([
    ['a disabled key, which stays disabled', { disabled: true }],
    ['an expired key, which stays expired', { expiresAtMs: 1 }],
    ['an admin key', { kind: 'admin', sealed: null }],
    ['a management key', { kind: 'management', sealed: null }],
  ])('takes %s', (_what, key) => {
    const rows = rowsWith({ key });
    const sealed = key.sealed === null ? null : 'sealed 2';
    expect(run(rows, rotate({ sealed }))).toMatchObject({ ok: true, value: { ...key, sealed, hash: 'h2' } });
  });

  test.each<[ApiKey['kind'], string]>([
    ['admin', 'ann'],
    ['management', 'ann'],
    ['inference', 'bob'],
  ])('takes a key of kind %s from the member %s', (kind, asMember) => {
    expect(run(rowsWith({ key: { kind } }), rotate({ asMember })).ok).toBe(true);
  });

  test('takes the keys of a suspended tenant: a leaked value must go', () => {
    expect(run(rowsWith({ tenant: { status: 'SUSPENDED' } }), rotate()).ok).toBe(true);
  });

  test.each<[string, Parameters<typeof rowsWith>[0], Partial<RotateKeyCommand>, string]>([
    ['a key that is not there', { key: null }, {}, 'not_found'],
    ['a deleted key', { key: { deletedAtMs: 5 } }, {}, 'not_found'],
    ['the key of another tenant', { key: { tenantId: 'other' } }, {}, 'not_found'],
    ['a key of a closed tenant', { tenant: { status: 'CLOSED' } }, { graceMs: -1 }, 'tenant_closed'],
    ['an admin key that acts as another member', { key: { kind: 'admin' } }, { asMember: 'bob', graceMs: -1 }, 'forbidden'],
    ['a management key that acts as another member', { key: { kind: 'management' } }, { asMember: 'bob' }, 'forbidden'],
    ['a negative grace', {}, { graceMs: -1 }, 'invalid_request'],
    ['a grace beyond the longest', {}, { graceMs: MAX_GRACE_SECONDS * 1000 + 1 }, 'invalid_request'],
    ['half a millisecond', {}, { graceMs: 0.5 }, 'invalid_request'],
  ])('refuses %s, and changes nothing', (_what, world, parts, code) => {
    const rows = rowsWith(world);
    expect(run(rows, rotate(parts))).toMatchObject({ ok: false, rejection: { code } });
    expect([rows.changes().records, rows.changes().events]).toEqual([[], []]);
  });
});

describe('the value after a rotation', () => {
  const letters = (length: number): string => 'Z'.repeat(length);

  test.each<[ApiKey['kind'], string, number]>([
    ['inference', 'tk_abcde', 34],
    ['admin', 'admin_ab', 46],
    ['management', 'mk_abcde', 43],
    ['tenant', 'cyc_live_abcdefg', 49],
  ])('of a key of kind %s begins with what its mask shows and is as long as the one before', (kind, beginning, length) => {
    const shown = beginning.slice(0, 8);
    const next = rotatedPlaintext({ kind, mask: `${shown}${'*'.repeat(length - 8)}` }, letters);
    expect(next).toHaveLength(length);
    // A prefix that is longer than what the mask shows is written out whole.
    expect(next.startsWith(kind === 'tenant' ? 'cyc_live_' : shown)).toBe(true);
    expect(next.replaceAll('Z', '').length).toBeLessThanOrEqual(9);
  });

  test('of a mask that shows no beginning of ours is all new', () => {
    expect(rotatedPlaintext({ kind: 'inference', mask: 'tk_****' }, letters)).toBe(`tk_${letters(31)}`);
    expect(rotatedPlaintext({ kind: 'inference', mask: '' }, letters)).toBe(`tk_${letters(31)}`);
  });
});
