import { beforeEach, describe, expect, test } from 'vitest';
import { DEFAULT_ENTITLEMENTS, MODEL_DEFAULTS } from '../core/access/defaults.ts';
import type { ApiKey, Member, Model, Policy, RecordRef, RecordTypes, Tenant } from '../core/records.ts';
import { makeDirectory, type Directory, type DirectoryOptions } from './directory.ts';

const TENANT: Tenant = {
  id: 'acme',
  name: 'Acme',
  status: 'ACTIVE',
  entitlements: DEFAULT_ENTITLEMENTS,
  requireBudget: false,
  allowUnpriced: false,
  hideAmounts: false,
  keyCount: 0,
  createdAtMs: 1,
};
const ANN: Member = { id: 'ann', tenantId: 'acme', email: 'ann@example.com', role: 'admin', createdAtMs: 1, removedAtMs: null };
const KEY: ApiKey = {
  id: 'k1',
  tenantId: 'acme',
  kind: 'inference',
  name: 'a',
  hash: 'h(one)',
  mask: '',
  sealed: null,
  createdBy: 'ann',
  disabled: false,
  expiresAtMs: null,
  metadata: {},
  outputBound: 'hard',
  createdAtMs: 5,
  deletedAtMs: null,
};
const MODEL: Model = { ...MODEL_DEFAULTS, id: 'm', upstreams: [], createdAtMs: 1 };

let rows: { tenant: Tenant | undefined; member: Member | undefined; keys: ApiKey[]; models: Model[]; policies: Policy[] };
let revokedKeys: ApiKey[];
let reads: string[];
let generation: number;
let elapsedMs: number;
/** Called before each read; a promise holds the read back. */
let beforeRead: (name: string) => Promise<void> | void;
let warnings: number;

beforeEach(() => {
  rows = { tenant: TENANT, member: ANN, keys: [KEY], models: [MODEL], policies: [] };
  revokedKeys = [];
  reads = [];
  generation = 1;
  elapsedMs = 0;
  beforeRead = () => undefined;
  warnings = 0;
});

async function read<T>(name: string, value: () => T): Promise<T> {
  reads.push(name);
  const found = value();
  await beforeRead(name);
  return found;
}

function start(options: Partial<DirectoryOptions> = {}): Directory {
  return makeDirectory({
    records: {
      keyByHash: (hash) => read('key', () => rows.keys.find((key) => key.hash === hash || key.rotation?.previousHash === hash)),
      deletedKeyByHash: (hash) => read('revoked key', () => revokedKeys.find((key) => key.hash === hash)),
      record: (kind) => read(kind, () => (kind === 'tenant' ? rows.tenant : rows.member) as RecordTypes[typeof kind] | undefined),
      records: (kind) => read(kind, () => (kind === 'model' ? rows.models : kind === 'policy' ? rows.policies : []) as never),
      generation: () => read('generation', () => generation),
    },
    hasher: { hash: (plaintext) => `h(${plaintext})` },
    log: { debug: () => undefined, info: () => undefined, warn: () => void (warnings += 1), error: () => undefined },
    isShared: false,
    elapsedMs: () => elapsedMs,
    ...options,
  });
}

const ref = (kind: RecordRef['kind'], id: string): RecordRef => ({ kind, id });
const codeOf = async (directory: Directory, plaintext = 'one', nowMs = 100): Promise<string> => {
  const outcome = await directory.authenticate(plaintext, nowMs);
  return outcome.ok ? 'ok' : outcome.rejection.code;
};
const setKey = (changes: Partial<ApiKey>): void => void (rows.keys = [{ ...KEY, ...changes }]);

describe('who a credential stands for', () => {
  test('a key with its tenant; with its member only where it acts as one', async () => {
    expect(await start().authenticate('one', 1)).toEqual({ ok: true, value: { key: KEY, tenant: TENANT, member: null } });
    setKey({ kind: 'admin' });
    expect(await start().authenticate('one', 1)).toEqual({
      ok: true,
      value: { key: { ...KEY, kind: 'admin' }, tenant: TENANT, member: ANN },
    });
  });

  test.each<[string, () => void, string]>([
    ['a key that nobody has', () => (rows.keys = []), 'unauthorized'],
    ['a deleted key', () => setKey({ deletedAtMs: 5 }), 'unauthorized'],
    ['a disabled key, expired too', () => setKey({ disabled: true, expiresAtMs: 1 }), 'key_disabled'],
    ['a key that expires now', () => setKey({ expiresAtMs: 100 }), 'key_expired'],
    ['a key that expires later', () => setKey({ expiresAtMs: 101 }), 'ok'],
    ['a key of a closed tenant', () => (rows.tenant = { ...TENANT, status: 'CLOSED' }), 'tenant_closed'],
    ['a key of a suspended tenant, which may still read', () => (rows.tenant = { ...TENANT, status: 'SUSPENDED' }), 'ok'],
    ['an inference key whose maker is gone', () => (rows.member = undefined), 'ok'],
  ])('%s', async (_what, change, code) => {
    change();
    expect(await codeOf(start())).toBe(code);
  });

  test.each<[ApiKey['kind'], string, Partial<Member> | null, string]>([
    ['admin', 'is gone', null, 'forbidden'],
    ['admin', 'was removed', { removedAtMs: 50 }, 'forbidden'],
    ['admin', 'is no admin', { role: 'member' }, 'forbidden'],
    ['admin', 'was removed and joined anew after it was made', { createdAtMs: 6 }, 'forbidden'],
    ['management', 'was removed', { removedAtMs: 50 }, 'forbidden'],
    ['management', 'is no admin', { role: 'member' }, 'ok'],
  ])('a key of kind %s whose member %s', async (kind, _what, member, code) => {
    setKey({ kind });
    rows.member = member === null ? undefined : { ...ANN, ...member };
    expect(await codeOf(start())).toBe(code);
  });

  test('a rotated key by both its values, the one before until its grace ends', async () => {
    setKey({ hash: 'h(two)', rotation: { atMs: 10, previousHash: 'h(one)', previousUntilMs: 100 } });
    const directory = start();
    expect([await codeOf(directory, 'two', 99), await codeOf(directory, 'one', 99)]).toEqual(['ok', 'ok']);
    // What is in memory is good for no longer than that.
    expect([await codeOf(directory, 'two', 100), await codeOf(directory, 'one', 100)]).toEqual(['ok', 'unauthorized']);
  });

  test('a key that changes is read again by both its values', async () => {
    setKey({ hash: 'h(two)', rotation: { atMs: 10, previousHash: 'h(one)', previousUntilMs: 1000 } });
    const directory = start();
    expect([await codeOf(directory, 'one'), await codeOf(directory, 'two')]).toEqual(['ok', 'ok']);
    setKey({ hash: 'h(two)', disabled: true, rotation: { atMs: 10, previousHash: 'h(one)', previousUntilMs: 1000 } });
    directory.recordsChanged([ref('key', 'k1')]);
    expect([await codeOf(directory, 'one'), await codeOf(directory, 'two')]).toEqual(['key_disabled', 'key_disabled']);
  });

  test('nothing, and more than any key has, are not even looked up', async () => {
    const directory = start();
    expect([await codeOf(directory, ''), await codeOf(directory, 'x'.repeat(513))]).toEqual(['unauthorized', 'unauthorized']);
    expect(reads).not.toContain('key');
  });

  test('a store that cannot be read throws, and is asked again next time', async () => {
    const directory = start();
    beforeRead = () => Promise.reject(new Error('gone'));
    await expect(directory.authenticate('one', 1)).rejects.toThrow('gone');
    beforeRead = () => undefined;
    expect(await codeOf(directory)).toBe('ok');
  });
});

describe('the cache', () => {
  test('reads once, for good and for bad keys', async () => {
    const directory = start();
    for (let i = 0; i < 3; i++) expect([await codeOf(directory), await codeOf(directory, 'bad')]).toEqual(['ok', 'unauthorized']);
    expect(reads.toSorted()).toEqual(['exchange-rate', 'key', 'key', 'model', 'price', 'revoked key', 'tenant', 'upstream']);
  });

  test('a thousand callers at once share one read', async () => {
    const directory = start();
    await Promise.all(Array.from({ length: 1000 }, () => codeOf(directory)));
    expect(reads.filter((name) => name === 'key')).toHaveLength(1);
    expect(reads.filter((name) => name === 'model')).toHaveLength(1);
  });

  test.each<[string, RecordRef, () => void, string]>([
    ['the key', ref('key', 'k1'), () => setKey({ disabled: true }), 'key_disabled'],
    ['the tenant', ref('tenant', 'acme'), () => (rows.tenant = { ...TENANT, status: 'CLOSED' }), 'tenant_closed'],
    ['the member', ref('member', 'acme/ann'), () => (rows.member = { ...ANN, removedAtMs: 5 }), 'forbidden'],
  ])('a change of %s is seen by the very next request', async (_what, changed, change, code) => {
    setKey({ kind: 'management' });
    const directory = start();
    expect(await codeOf(directory)).toBe('ok');
    change();
    expect(await codeOf(directory)).toBe('ok');
    if (changed.kind === 'key') setKey({ kind: 'management', disabled: true });
    directory.recordsChanged([changed]);
    expect(await codeOf(directory)).toBe(code);
  });

  test('a key that was unknown is found once it is made', async () => {
    const directory = start();
    expect(await codeOf(directory, 'two')).toBe('unauthorized');
    rows.keys.push({ ...KEY, id: 'k2', hash: 'h(two)' });
    directory.recordsChanged([ref('key', 'k2')]);
    expect(await codeOf(directory, 'two')).toBe('ok');
  });

  test('a read that began before a change does not outlive it', async () => {
    const directory = start();
    let release = (): void => undefined;
    beforeRead = (name) => (name === 'key' ? new Promise<void>((resolve) => (release = resolve)) : undefined);
    const early = codeOf(directory);
    while (!reads.includes('key')) await new Promise((resolve) => setImmediate(resolve));
    setKey({ disabled: true });
    directory.recordsChanged([ref('key', 'k1')]);
    beforeRead = () => undefined;
    expect(await codeOf(directory)).toBe('key_disabled');
    release();
    expect(await early).toBe('ok');
    expect(await codeOf(directory)).toBe('key_disabled');
  });

  test('is bounded, for good and for bad keys, and keeps what was used last', async () => {
    const directory = start({ maxKeys: 2, maxUnknownKeys: 2 });
    rows.keys = ['a', 'b', 'c'].map((name) => ({ ...KEY, id: name, hash: `h(${name})` }));
    for (const name of ['a', 'b', 'a', 'c']) await codeOf(directory, name);
    reads = [];
    for (const name of ['a', 'c', 'b']) await codeOf(directory, name);
    expect(reads.filter((name) => name === 'key')).toHaveLength(1);
    for (const name of ['x', 'y', 'z']) await codeOf(directory, name);
    reads = [];
    for (const name of ['y', 'z', 'x']) await codeOf(directory, name);
    expect(reads.filter((name) => name === 'key')).toHaveLength(1);
  });
});

describe('policies', () => {
  const POLICY: Policy = {
    id: 'p1',
    tenantId: 'acme',
    name: 'p',
    description: null,
    scopePattern: 'tenant:acme/*',
    priority: 0,
    status: 'ACTIVE',
    caps: null,
    overagePolicy: null,
    ttlOverride: null,
    rateLimits: null,
    effectiveFromMs: null,
    effectiveUntilMs: null,
    createdAtMs: 1,
    updatedAtMs: 1,
  };
  const names = async (directory: Directory): Promise<string[]> =>
    (await directory.policies('acme')).ranked.map(({ policy }) => policy.name);

  test('are read once, and anew after a change of one, whosever it is', async () => {
    const directory = start();
    rows.policies = [POLICY];
    expect([await names(directory), await names(directory)]).toEqual([['p'], ['p']]);
    expect(reads.filter((name) => name === 'policy')).toHaveLength(1);
    rows.policies = [{ ...POLICY, name: 'q' }];
    directory.recordsChanged([ref('policy', 'p1')]);
    expect(await names(directory)).toEqual(['q']);
  });

  test('of a tenant that has none are none', async () => {
    expect(await names(start())).toEqual([]);
  });
});

test('a revoked tenant key is told from one that never was, at the cost of one look; other kinds are not', async () => {
  rows.keys = [];
  revokedKeys = [{ ...KEY, kind: 'tenant', deletedAtMs: 50 }];
  const directory = start();
  expect(await codeOf(directory)).toBe('key_revoked');
  expect(await codeOf(directory)).toBe('key_revoked');
  expect(reads.filter((name) => name === 'revoked key')).toHaveLength(1);
  revokedKeys = [{ ...KEY, deletedAtMs: 50 }];
  expect(await codeOf(start())).toBe('unauthorized');
});

test('every use of a tenant key is told, and of no other', async () => {
  const uses: string[] = [];
  const onTenantKeyUsed = (keyId: string, nowMs: number): void => void uses.push(`${keyId} ${nowMs}`);
  await codeOf(start({ onTenantKeyUsed }));
  expect(uses).toEqual([]);
  rows.keys = [{ ...KEY, kind: 'tenant' }];
  await codeOf(start({ onTenantKeyUsed }));
  expect(uses).toEqual([`${KEY.id} 100`]);
});

test('a key of a closed tenant is known where it is one of the Cycles surfaces, and nowhere else', async () => {
  rows.tenant = { ...TENANT, status: 'CLOSED' };
  expect(await codeOf(start())).toBe('tenant_closed');
  rows.keys = [{ ...KEY, kind: 'tenant' }];
  expect(await codeOf(start())).toBe('ok');
});

describe('the catalogue', () => {
  test('is there after the first request, and new after a change', async () => {
    const directory = start();
    expect(directory.catalogue.model('m')).toBeUndefined();
    await codeOf(directory);
    expect(directory.catalogue.model('m')).toBe(MODEL);
    rows.models = [{ ...MODEL, tags: ['new'] }];
    directory.recordsChanged([ref('price', 'p')]);
    expect(directory.catalogue.model('m')).toBe(MODEL);
    await codeOf(directory);
    expect(directory.catalogue.models()).toMatchObject([{ tags: ['new'] }]);
  });

  test('a read that began before a change is not taken for the state after it', async () => {
    const directory = start();
    let release = (): void => undefined;
    beforeRead = (name) => (name === 'model' ? new Promise<void>((resolve) => (release = resolve)) : undefined);
    const early = codeOf(directory);
    await new Promise((resolve) => setImmediate(resolve));
    rows.models = [{ ...MODEL, tags: ['new'] }];
    directory.recordsChanged([ref('model', 'm')]);
    beforeRead = () => undefined;
    await codeOf(directory);
    release();
    await early;
    expect(directory.catalogue.models()).toMatchObject([{ tags: ['new'] }]);
  });
});

describe('other nodes', () => {
  test('a change elsewhere is seen after a look', async () => {
    const directory = start({ isShared: true });
    expect(await codeOf(directory)).toBe('ok');
    setKey({ disabled: true });
    generation += 1;
    expect(await codeOf(directory)).toBe('ok');
    await directory.poll();
    expect(await codeOf(directory)).toBe('key_disabled');
  });

  test('a key that makes keys is refused by the very next request, also where a look was under way that missed its deletion', async () => {
    const directory = start({ isShared: true });
    expect(await codeOf(directory)).toBe('ok');
    let release = (): void => undefined;
    beforeRead = (name) => (name === 'generation' ? new Promise<void>((resolve) => (release = resolve)) : undefined);
    const early = directory.poll();
    await new Promise((resolve) => setImmediate(resolve));
    setKey({ deletedAtMs: 5 });
    generation += 1;
    beforeRead = () => undefined;
    const asked = directory.authenticateAnew('one', 100);
    release();
    await early;
    expect(await asked).toMatchObject({ ok: false, rejection: { code: 'unauthorized' } });
  });

  test('a look that finds nothing new keeps the cache', async () => {
    const directory = start({ isShared: true });
    await codeOf(directory);
    await directory.poll();
    reads = [];
    expect(await codeOf(directory)).toBe('ok');
    expect(reads).toEqual([]);
  });

  test('a node that has heard nothing for two seconds looks before it trusts its cache', async () => {
    const directory = start({ isShared: true });
    await codeOf(directory);
    setKey({ disabled: true });
    generation += 1;
    elapsedMs = 2000;
    expect(await codeOf(directory)).toBe('ok');
    elapsedMs = 2001;
    expect(await codeOf(directory)).toBe('key_disabled');
  });

  test('a node that cannot look trusts nothing, and a failed look in the background is logged', async () => {
    const directory = start({ isShared: true });
    await codeOf(directory);
    elapsedMs = 5000;
    beforeRead = (name) => (name === 'generation' ? Promise.reject(new Error('gone')) : undefined);
    await directory.poll();
    expect(warnings).toBe(1);
    await expect(directory.authenticate('one', 1)).rejects.toThrow('gone');
  });

  test('a single node never looks', async () => {
    const directory = start();
    directory.start();
    elapsedMs = 60_000;
    expect(await codeOf(directory)).toBe('ok');
    expect(reads).not.toContain('generation');
    directory.close();
  });

  test('once started it looks by itself, until it is closed', async () => {
    const directory = start({ isShared: true, pollMs: 1 });
    directory.start();
    directory.start();
    while (reads.filter((name) => name === 'generation').length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
    directory.close();
    const { length } = reads;
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(reads.length).toBeLessThanOrEqual(length + 1);
  });
});
