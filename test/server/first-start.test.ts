import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { keyCapId, USD_MICROCENTS } from '../../src/core/ledger/account.ts';
import { ConfigError } from '../../src/server/config-error.ts';
import { DEMO_BODY } from '../../src/server/demo-call.ts';
import { welcome } from '../../src/server/welcome.ts';
import type { Running } from '../../src/server/boot.ts';
import { makeTestFolder, recordingLog, type TestFolder } from './in-process.ts';

let folder: TestFolder = makeTestFolder();
afterEach(async () => {
  await folder.dispose();
  folder = makeTestFolder();
});

const NAMES = ['operator_key', 'tenant', 'admin_key', 'management_key', 'demo_key'];
const readCredentials = (): Record<string, string> =>
  JSON.parse(readFileSync(join(folder.dataDir, 'credentials.json'), 'utf8')) as Record<string, string>;
const modeOf = (name: string): string => (statSync(join(folder.dataDir, name)).mode & 0o777).toString(8);

const call = (running: Running, key: string): Promise<Response> =>
  fetch(`${running.listeners.runtime.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(DEMO_BODY),
  });

describe('a first start', () => {
  test('makes credentials of the documented forms that only their owner can read', async () => {
    await folder.start();
    const credentials = readCredentials();
    expect(Object.keys(credentials)).toEqual(NAMES);
    expect(credentials['operator_key']).toMatch(/^[0-9A-Za-z]{43}$/);
    expect(credentials['tenant']).toBe('default');
    expect(credentials['admin_key']).toMatch(/^admin_[0-9A-Za-z]{40}$/);
    expect(credentials['management_key']).toMatch(/^mk_[0-9A-Za-z]{40}$/);
    expect(credentials['demo_key']).toMatch(/^tk_[0-9A-Za-z]{31}$/);
    expect([modeOf('credentials.json'), modeOf('master.key'), modeOf('')]).toEqual(['600', '600', '700']);
  });

  test('makes the tenant with every entitlement, its admin, three keys, and a priced demo model', async () => {
    await (await folder.start()).stop();
    await folder.withStore(async (store) => {
      const tenant = await store.record('tenant', 'default');
      expect(tenant?.entitlements).toMatchObject({ tokenBilling: true, gpuAccess: true, hostChoice: true, maxGpus: 8 });
      expect(await store.record('member', 'default/admin')).toMatchObject({ role: 'admin', removedAtMs: null });
      const keys = await store.keys({ tenantId: 'default', kinds: ['admin', 'inference', 'management', 'tenant'] });
      expect(keys.map(({ kind, name }) => `${kind} ${name}`).sort()).toEqual(['admin admin', 'inference demo', 'management management']);
      expect(await store.record('model', 'demo-echo')).toMatchObject({ upstreams: [{ id: 'demo', model: 'demo-echo' }] });
      expect(await store.record('upstream', 'demo')).toMatchObject({ kind: 'demo' });
      const prices = await store.records('price');
      expect(prices).toHaveLength(1);
      expect(prices[0]?.outputNanos).toBeGreaterThan(0);
    });
  });

  test('prints a call that the demo key can pay, and the same call again is refused because the money is used up', async () => {
    const running = await folder.start();
    const { demo_key: key = '' } = readCredentials();
    const text = welcome(running, folder.dataDir);
    const printed = `curl -sS ${running.listeners.runtime.origin}/v1/chat/completions \\\n  -H 'Authorization: Bearer ${key}' \\\n  -H 'Content-Type: application/json' \\\n  -d '${JSON.stringify(DEMO_BODY)}'`;
    expect(text.split(printed)).toHaveLength(3);

    const first = await call(running, key);
    expect(first.status).toBe(200);
    const second = await call(running, key);
    expect(second.status).toBe(402);
    expect(await second.json()).toMatchObject({
      error: { type: 'insufficient_quota', account: { unit: 'USD_MICROCENTS', kind: 'key_cap' } },
    });
  });

  test('gives the demo key a budget of exactly what the printed call holds', async () => {
    const running = await folder.start();
    const { demo_key: key = '' } = readCredentials();
    await running.stop();
    const budget = await folder.withStore(async (store) => {
      const [demo] = await store.keys({ tenantId: 'default', kinds: ['inference'] });
      const id = keyCapId('default', demo?.id ?? '', USD_MICROCENTS);
      return (await store.accounts([id])).get(id)?.allocated;
    });
    expect(budget).toBeGreaterThan(0n);
    // One micro-cent less would not do: the same call against a hold that the gateway reports when it refuses.
    const again = await folder.start();
    expect((await call(again, key)).status).toBe(200);
    const refused = (await (await call(again, key)).json()) as { error: { message: string; account: { limit: number } } };
    expect(BigInt(refused.error.account.limit)).toBe(budget);
    expect(refused.error.message).toContain(`${budget} needed`);
  });

  test('takes ADMIN_API_KEY as the operator key, and a later start without it keeps the one on disk', async () => {
    const running = await folder.start({ env: { ADMIN_API_KEY: 'my-own-operator-key' } });
    expect(readCredentials()['operator_key']).toBe('my-own-operator-key');
    await running.stop();
    await folder.start();
    expect(readCredentials()['operator_key']).toBe('my-own-operator-key');
  });
});

describe('a second start', () => {
  test('changes no credential and makes nothing twice', async () => {
    await (await folder.start()).stop();
    const before = readFileSync(join(folder.dataDir, 'credentials.json'), 'utf8');
    const running = await folder.start();
    expect(running.prepared.isFirstStart).toBe(false);
    expect(readFileSync(join(folder.dataDir, 'credentials.json'), 'utf8')).toBe(before);
    await running.stop();
    await folder.withStore(async (store) => {
      expect(await store.keys({ tenantId: 'default', kinds: ['admin', 'inference', 'management'] })).toHaveLength(3);
      expect(await store.records('price')).toHaveLength(1);
      expect((await store.verify()).discrepancies).toEqual([]);
    });
  });

  test('tells how to make the demo call until it was made', async () => {
    await (await folder.start()).stop();
    const second = await folder.start();
    expect(welcome(second, folder.dataDir)).toContain('Make the first metered call');
    expect((await call(second, readCredentials()['demo_key'] ?? '')).status).toBe(200);
    await second.stop();
    const third = await folder.start();
    expect(welcome(third, folder.dataDir)).not.toContain('curl');
  });

  test('without its credentials file makes a new operator key and leaves the tenant keys alone', async () => {
    await (await folder.start()).stop();
    const { operator_key: before, demo_key: key = '' } = readCredentials();
    rmSync(join(folder.dataDir, 'credentials.json'));
    const running = await folder.start();
    expect(Object.keys(readCredentials())).toEqual(['operator_key']);
    expect(readCredentials()['operator_key']).not.toBe(before);
    expect((await call(running, key)).status).toBe(200);
  });

  test('on a folder that another process uses is refused', async () => {
    await folder.start();
    await expect(folder.start()).rejects.toThrow(
      /^Another Castellan is running on the data folder .+: stop it first, or give this one a folder of its own/,
    );
  });
});

describe('the master key', () => {
  const refusal = async (env: NodeJS.ProcessEnv = {}): Promise<string> => {
    const error: unknown = await folder.start({ env }).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message.replace(folder.dataDir, '<data>');
  };

  test('that is another one stops the start', async () => {
    await (await folder.start()).stop();
    writeFileSync(join(folder.dataDir, 'master.key'), Buffer.alloc(32, 7).toString('base64'));
    expect(await refusal()).toMatch(
      /^The master key in <data>\/master\.key is not the one that this database was made with: give this node the same master key as the first one \(CASTELLAN_MASTER_KEY, or its master\.key\); it was sealed with the key [0-9a-f]{12}, and at hand is [0-9a-f]{12}\.$/,
    );
    expect(await refusal({ CASTELLAN_MASTER_KEY: Buffer.alloc(32, 8).toString('base64') })).toMatch(
      /^The master key in CASTELLAN_MASTER_KEY is not the one/,
    );
  });

  test('that is gone stops the start, and no new one is made in its place', async () => {
    await (await folder.start()).stop();
    const key = readFileSync(join(folder.dataDir, 'master.key'), 'utf8');
    rmSync(join(folder.dataDir, 'master.key'));
    const sentence =
      '<data>/master.key is missing, and without the master key the keys in this database cannot be used: put the file back from a backup, or set CASTELLAN_MASTER_KEY.';
    expect(await refusal()).toBe(sentence);
    expect(await refusal()).toBe(sentence);
    const running = await folder.start({ env: { CASTELLAN_MASTER_KEY: key.trim() } });
    expect((await call(running, readCredentials()['demo_key'] ?? '')).status).toBe(200);
  });

  test('that is damaged stops the start', async () => {
    await (await folder.start()).stop();
    writeFileSync(join(folder.dataDir, 'master.key'), 'half of it');
    expect(await refusal()).toBe(
      '<data>/master.key is damaged, it must hold 32 bytes in base64: put it back from a backup, or set CASTELLAN_MASTER_KEY.',
    );
  });
});

describe('damaged or weak credentials', () => {
  test('a credentials file that is no JSON stops the start', async () => {
    await (await folder.start()).stop();
    writeFileSync(join(folder.dataDir, 'credentials.json'), '{');
    await expect(folder.start()).rejects.toThrow(
      /credentials\.json is damaged: correct it, or remove it to have a new operator key made\.$/,
    );
  });

  test('a weak operator key in the file is refused beyond loopback', async () => {
    await (await folder.start({ env: { ADMIN_API_KEY: 'weak' } })).stop();
    await expect(folder.start({ env: { CASTELLAN_HOST: '0.0.0.0' } })).rejects.toThrow(/^ADMIN_API_KEY is weak/);
  });
});

test('no credential is logged at any level, not by a start and not by a call', async () => {
  const log = recordingLog();
  const running = await folder.start({ overrides: { log } });
  const credentials = readCredentials();
  await call(running, credentials['demo_key'] ?? '');
  await call(running, credentials['demo_key'] ?? '');
  await fetch(`${running.listeners.admin.origin}/api/keys/${credentials['demo_key']}`, {
    headers: { authorization: `Bearer ${credentials['admin_key']}` },
  });
  await running.stop();
  expect(log.lines.length).toBeGreaterThan(3);
  const text = JSON.stringify(log.lines);
  for (const name of NAMES.filter((each) => each !== 'tenant')) expect(text).not.toContain(credentials[name]);
});
