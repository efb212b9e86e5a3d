import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Running } from '../../src/server/boot.ts';
import { DEMO_BODY } from '../../src/server/demo-call.ts';
import { makeTestFolder, type TestFolder } from '../server/in-process.ts';
import { cli as runCommand, type CliRun } from './harness.ts';

let folder: TestFolder;
let running: Running;
let at: string[];
beforeAll(async () => {
  folder = makeTestFolder();
  running = await folder.start();
  at = ['--data-dir', folder.dataDir, '--url', running.listeners.admin.origin];
});
afterAll(() => folder.dispose());

const cli = (args: readonly string[], options: Parameters<typeof runCommand>[1] = {}): Promise<CliRun> =>
  runCommand([...at, ...args], options);
const json = async <T>(args: readonly string[]): Promise<T> => {
  const run = await cli([...args, '-o', 'json']);
  expect([run.code, run.err]).toEqual([0, '']);
  return run.json<T>();
};

/** The words of the lines of a table. */
const linesOf = (text: string): string[][] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.trim().split(/ {2,}/));

describe('tenants', () => {
  test('are made, shown, changed and listed', async () => {
    const made = await cli([
      'tenants',
      'create',
      'acme',
      '--name',
      'Acme',
      '--budget-usd',
      '50',
      '--require-budget',
      '--entitlement',
      'max_keys=7',
      '--entitlement',
      'gpu_access=true',
    ]);
    expect(made.code).toBe(0);
    const fields = Object.fromEntries(linesOf(made.out)) as Record<string, string>;
    expect(fields).toMatchObject({
      id: 'acme',
      name: 'Acme',
      status: 'ACTIVE',
      'money budget': '$50.00',
      spent: '$0.00',
      remaining: '$50.00',
      switches: 'require_budget',
      'may max_keys': '7',
      'may gpu_access': 'true',
    });

    const changed = await json<Record<string, unknown>>([
      'tenants',
      'update',
      'acme',
      '--name',
      'Acme Ltd',
      '--suspend',
      '--no-require-budget',
      '--budget-usd',
      '92233720368.54775807',
    ]);
    expect(changed).toMatchObject({ name: 'Acme Ltd', status: 'SUSPENDED', require_budget: false });
    const exact = await cli(['tenants', 'show', 'acme', '-o', 'json']);
    expect(exact.out).toContain('"money_budget_usd": 92233720368.54775807');
    expect((await cli(['tenants', 'show', 'acme'])).out).toContain('$92,233,720,368.55');

    expect(
      (await json<{ money_budget: object }>(['tenants', 'update', 'acme', '--activate', '--budget-usd', 'none'])).money_budget,
    ).toMatchObject({ money_budget_usd: null });
    const table = linesOf((await cli(['tenants', 'list'])).out);
    expect(table[0]).toEqual(['ID', 'NAME', 'STATUS', 'KEYS', 'SWITCHES', 'CREATED (UTC)']);
    expect(table.slice(1).map(([id, name, status]) => [id, name, status])).toEqual([
      ['acme', 'Acme Ltd', 'ACTIVE'],
      ['default', 'Default', 'ACTIVE'],
    ]);
    expect((await json<{ id: string }[]>(['tenants', 'list'])).map(({ id }) => id)).toEqual(['acme', 'default']);
  });

  test('what the server refuses is told with its word, code 1', async () => {
    const taken = await cli(['tenants', 'create', 'default']);
    expect([taken.code, taken.out, taken.err]).toEqual([
      1,
      '',
      expect.stringMatching(/^castellan: .*exists already \(DUPLICATE_RESOURCE, request req_\w+\)\.\n$/) as string,
    ]);
    expect((await cli(['tenants', 'show', 'nobody'])).err).toMatch(/tenant nobody not found \(NOT_FOUND/);
    expect((await cli(['tenants', 'update', 'default', '--budget-usd', '0.000000001'])).err).toMatch(/at most 8 decimals/);
  });

  test.each([
    [['tenants', 'update', 'acme'], /Nothing to change/],
    [['tenants', 'update', 'acme', '--suspend', '--activate'], /cannot be given together/],
    [['tenants', 'update', 'acme', '--budget-usd', 'much'], /is no amount/],
    [['tenants', 'update', 'acme', '--entitlement', 'max_keys'], /NAME=VALUE/],
    [['tenants', 'create'], /missing required argument/],
    [['tenants', 'close', 'acme'], /unknown command/],
    [['tenants', 'list', '--loud'], /unknown option/],
    [['nonsense'], /unknown command/],
  ])('a wrong command line %j is code 2, and says so', async (args, message) => {
    const run = await cli(args);
    expect([run.code, run.out]).toEqual([2, '']);
    expect(run.err).toMatch(message);
  });
});

describe('keys', () => {
  const idOf = async (name: string): Promise<string> =>
    (await json<{ id: string; name: string }[]>(['keys', 'list', '--tenant', 'default'])).find((key) => key.name === name)?.id ?? '';

  test('a made key works, and its value is shown once', async () => {
    const made = await cli([
      'keys',
      'create',
      'app',
      '--tenant',
      'default',
      '--max-tokens',
      '1000',
      '--budget-usd',
      '2.5',
      '--expires',
      '30d',
      '--member',
      'admin',
    ]);
    const fields = Object.fromEntries(linesOf(made.out)) as Record<string, string>;
    expect(fields['key']).toMatch(/^tk_\w{31}$/);
    expect(made.err).toMatch(/not shown again/);
    const answer = await fetch(`${running.listeners.runtime.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${fields['key']}`, 'content-type': 'application/json' },
      body: JSON.stringify(DEMO_BODY),
    });
    expect(answer.status).toBe(200);
    await answer.text();
    const shown = await cli(['keys', 'show', fields['id'] ?? '']);
    expect(shown.out).not.toContain(fields['key']);
    const lines = Object.fromEntries(linesOf(shown.out)) as Record<string, string>;
    expect(lines).toMatchObject({
      name: 'app',
      kind: 'inference',
      member: 'admin',
      state: 'active',
      'token cap': '1,000',
      'money budget': '$2.50',
      requests: '1',
    });
    expect(Number(lines['tokens used'])).toBeGreaterThan(10);
  });

  test('admin and management keys act as a member', async () => {
    const admin = await json<{ key: string; member_id: string }>([
      'keys',
      'create',
      'second',
      '--tenant',
      'default',
      '--kind',
      'admin',
      '--member',
      'admin',
    ]);
    expect(admin).toMatchObject({ key: expect.stringMatching(/^admin_/) as string, member_id: 'admin' });
    expect((await cli(['keys', 'create', 'x', '--tenant', 'default', '--kind', 'admin'])).err).toMatch(/name one with --member/);
    expect(
      (await cli(['keys', 'create', 'x', '--tenant', 'default', '--kind', 'management', '--member', 'admin', '--max-tokens', '1'])).code,
    ).toBe(2);
    expect((await cli(['keys', 'create', 'x', '--tenant', 'default', '--member', 'nobody'])).err).toMatch(/member_id must name a member/);
  });

  test('limits, name and switch are changed', async () => {
    const id = await idOf('app');
    const changed = await json<object>([
      'keys',
      'update',
      id,
      '--name',
      'app-2',
      '--disable',
      '--max-tokens',
      '9223372036854775807',
      '--budget-usd',
      'none',
      '--expires',
      '2099-01-01T00:00:00Z',
    ]);
    expect(changed).toMatchObject({ name: 'app-2', disabled: true, money_budget_usd: null, expires_at: '2099-01-01T00:00:00Z' });
    expect((await cli(['keys', 'show', id, '-o', 'json'])).out).toContain('"max_tokens": 9223372036854775807');
    const row = linesOf((await cli(['keys', 'list', '--tenant', 'default'])).out).find((line) => line[1] === 'app-2');
    expect(row?.[3]).toBe('disabled');
    expect(await json<object>(['keys', 'update', id, '--enable', '--max-tokens', 'none', '--expires', 'never'])).toMatchObject({
      disabled: false,
      max_tokens: null,
      expires_at: null,
    });
    expect((await cli(['keys', 'list', '--tenant', 'default'], { nowMs: Date.parse('2100-01-01') })).out).not.toContain('expired');
    expect((await cli(['keys', 'update', id])).code).toBe(2);
    expect((await cli(['keys', 'update', id, '--enable', '--disable'])).code).toBe(2);
  });

  test('a delete asks, and does nothing where nobody can be asked', async () => {
    const id = await idOf('second');
    const nobody = await cli(['keys', 'delete', id]);
    expect([nobody.code, nobody.err]).toEqual([2, expect.stringMatching(/give --yes/) as string]);
    expect((await cli(['keys', 'delete', id], { answer: false })).err).toMatch(/Nothing was deleted/);
    expect((await cli(['keys', 'show', id])).code).toBe(0);
    expect((await cli(['keys', 'delete', id], { answer: true })).out).toBe(`The key ${id} is deleted.\n`);
    expect((await cli(['keys', 'show', id])).code).toBe(1);
    expect((await cli(['keys', 'delete', await idOf('app-2'), '--yes', '-o', 'json'])).json()).toMatchObject({ deleted: true });
  });

  test('a list is whole however many pages it has, and no longer than asked', async () => {
    for (const name of ['one', 'two', 'three']) await json(['keys', 'create', name, '--tenant', 'acme']);
    expect((await json<{ name: string }[]>(['keys', 'list', '--tenant', 'acme'])).map(({ name }) => name)).toEqual(['one', 'two', 'three']);
    expect((await json<object[]>(['keys', 'list', '--tenant', 'acme', '--limit', '2'])).length).toBe(2);
  });

  test('where there is more than one tenant, a command wants to know which', async () => {
    const run = await cli(['keys', 'list']);
    expect([run.code, run.err]).toEqual([2, 'castellan: There is more than one tenant: name one with --tenant (acme, default).\n']);
  });
});

describe('usage', () => {
  test('of all tenants, of the keys of one, by model, in a window, with totals', async () => {
    const call = await fetch(`${running.listeners.runtime.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${running.prepared.credentials.demo_key}`, 'content-type': 'application/json' },
      body: JSON.stringify(DEMO_BODY),
    });
    expect(call.status).toBe(200);
    await call.text();
    const all = linesOf((await cli(['usage'])).out.split('\n\n')[1] ?? '');
    expect(all[0]).toEqual(['TENANT', 'REQUESTS', 'INPUT TOKENS', 'OUTPUT TOKENS', 'COST']);
    expect(all.map(([first, requests]) => [first, requests])).toEqual(
      [
        ['TENANT', 'REQUESTS'],
        ['acme', '0'],
        ['default', '2'],
        ['------', expect.stringMatching(/^-+$/) as string],
        ['TOTAL', '2'],
      ].map((line) => line.map((text) => (text === '------' ? (expect.stringMatching(/^-+$/) as string) : text))),
    );
    const keys = await json<{ by: string; usage: { key_name: string; requests: number; cost_usd: number }[] }>([
      'usage',
      '--tenant',
      'default',
      '--time',
      '1h',
    ]);
    expect(keys.by).toBe('key');
    expect(Object.fromEntries(keys.usage.map(({ key_name: name, requests }) => [name, requests]))).toEqual({ 'app-2': 1, demo: 1 });
    expect(keys.usage.every(({ cost_usd: cost }) => cost > 0)).toBe(true);
    const models = await cli(['usage', '--by', 'model']);
    expect(models.out).toMatch(/default +demo-echo +2 /);
    expect((await cli(['usage', '--time', '3y'])).code).toBe(2);
    expect((await cli(['usage', '--tenant', 'nobody'])).err).toMatch(/tenant nobody not found/);
  });
});

describe('the server', () => {
  test('verify tells that the books hold', async () => {
    const run = await cli(['verify']);
    expect([run.code, run.err]).toEqual([0, '']);
    expect(run.out).toMatch(/discrepancies +none: the books hold/);
  });

  test('rotate-master-key tells both keys', async () => {
    const run = await cli(['rotate-master-key']);
    expect(run.code).toBe(0);
    expect(run.out).toMatch(/^new master key +[0-9a-f]{12}\nold master key +[0-9a-f]{12}\nvalues sealed anew +\d+\n$/);
    expect(run.err).toMatch(/Backups made before still need the old one/);
  });

  test('no server is code 4, and says what to do', async () => {
    const run = await runCommand(['--data-dir', folder.dataDir, 'tenants', 'list'], { env: { CASTELLAN_ADMIN_PORT: '1' } });
    expect([run.code, run.err]).toEqual([
      4,
      "castellan: no Castellan answers at http://127.0.0.1:1 (ECONNREFUSED): start it with castellan start, or give its control plane's address with --url.\n",
    ]);
  });

  test('the operator key comes from a file, the variable or the data folder, in this order', async () => {
    const { operator_key: key } = running.prepared.credentials;
    const url = running.listeners.admin.origin;
    const good = join(folder.dataDir, 'good');
    const bad = join(folder.dataDir, 'bad');
    writeFileSync(good, `${key}\n`);
    writeFileSync(bad, 'wrong\n');
    const code = async (args: string[], env: NodeJS.ProcessEnv): Promise<number> =>
      (await runCommand([...args, 'tenants', 'list'], { env })).code;
    expect(await code([], { CASTELLAN_URL: url, ADMIN_API_KEY: key })).toBe(0);
    expect(await code(['--operator-key-file', good], { CASTELLAN_URL: url, ADMIN_API_KEY: 'wrong' })).toBe(0);
    expect(await code(['--data-dir', folder.dataDir], { CASTELLAN_URL: url, ADMIN_API_KEY: 'wrong' })).toBe(1);
    expect(await code(['--operator-key-file', bad], { CASTELLAN_URL: url, ADMIN_API_KEY: key })).toBe(1);
    const refused = await runCommand(['tenants', 'list'], { env: { CASTELLAN_URL: url, ADMIN_API_KEY: 'wrong' } });
    expect(refused.err).toMatch(/^castellan: the server refuses the operator key: /);
    expect(refused.err).not.toContain('wrong\n');
    const none = await runCommand(['--data-dir', join(folder.dataDir, 'nothing'), 'tenants', 'list'], { env: { CASTELLAN_URL: url } });
    expect([none.code, none.err]).toEqual([
      1,
      expect.stringMatching(/There is no operator key in .*: give the server's data folder/) as string,
    ]);
  });

  test('a wrong address is code 2, and what answers there must be ours', async () => {
    expect((await runCommand(['--url', 'nowhere', 'tenants', 'list'], { env: { ADMIN_API_KEY: 'k' } })).code).toBe(2);
    // The data plane has no operator API.
    const other = await runCommand(['--url', running.listeners.runtime.origin, 'tenants', 'list'], { env: { ADMIN_API_KEY: 'k' } });
    expect(other.code).not.toBe(0);
  });

  test('a variable that looks like a slip of the pen is code 78', async () => {
    const run = await runCommand(['tenants', 'list'], { env: { CASTELLAN_DATADIR: '/tmp' } });
    expect([run.code, run.err]).toEqual([78, expect.stringContaining('rename it to CASTELLAN_DATA_DIR') as string]);
  });
});

test('colours come only where they are wanted, and --no-color takes them away', async () => {
  expect((await cli(['tenants', 'list'], { isColoured: true })).out).toContain('\u001b[1m');
  expect((await cli(['tenants', 'list', '--no-color'], { isColoured: true })).out).not.toContain('\u001b');
  expect((await cli(['tenants', 'list', '-o', 'json'], { isColoured: true })).out).not.toContain('\u001b');
});
