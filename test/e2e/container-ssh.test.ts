import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pageConfig, startContainerStage, type ContainerStage, type ShownContainer } from '../support/container-stage.ts';
import { makeSshClient, type RunningSsh, type SshCall, type SshClient, type SshRun } from '../support/ssh-client.ts';
import { waitUntil } from '../support/wait-until.ts';

const SLOW_MS = 60_000;
const MIB = 1024 * 1024;

let stage: ContainerStage;
let client: SshClient;
let keys: { readonly ann: string; readonly spare: string; readonly foreign: string };
let debug: ShownContainer;

const create = async (body: object): Promise<ShownContainer> => {
  const made = await stage.api('POST', '/containers', { repo: 'acme/web', tag: 'v1', ...body });
  expect(made).toMatchObject({ status: 201 });
  return stage.until(made.body.id, ({ status }) => status === 'ready');
};
const portOf = (container: ShownContainer): number => container['ssh_port'] as number;
const userOf = (container: ShownContainer): string => container['ssh_user'] as string;

beforeAll(async () => {
  stage = await startContainerStage({});
  client = makeSshClient();
  keys = { ann: client.key('ann'), spare: client.key('spare', 'rsa'), foreign: client.key('foreign') };
  for (const [name, file] of Object.entries({ ann: keys.ann, spare: keys.spare })) {
    expect(await stage.api('POST', '/ssh-keys', { name, public_key: client.publicKey(file) })).toMatchObject({ status: 201 });
  }
  const image = await stage.page('one');
  const side = `  - name: side\n    image: "${image}"\n    entrypoint: ["sleep", "600"]\n    stop_timeout: 1s\nshim:`;
  stage.release('web', 'v1', pageConfig(image).replace('shim:', side));
  debug = await create({ name: 'web', debug: true, ssh_keys: ['ann', 'spare'] });
}, SLOW_MS);

afterAll(async () => {
  client.stop();
  await stage.stop();
}, SLOW_MS);

const ssh = (call: Partial<SshCall>): Promise<SshRun> => client.run(portOf(debug), { user: userOf(debug), key: keys.ann, ...call });
const DENIED = { status: 255, stderr: expect.stringContaining('Permission denied (publickey)') as string };

/** Asks the operator API, or where `key` is given an organization's. */
async function ask<T>(method: string, path: string, body?: object, key?: string): Promise<T> {
  const headers = key === undefined ? { 'x-admin-api-key': stage.server.credentials().operator_key } : { authorization: `Bearer ${key}` };
  const sent = { method, headers: { ...headers, 'content-type': 'application/json' } };
  const answer = await fetch(`${stage.server.admin}${path}`, body === undefined ? sent : { ...sent, body: JSON.stringify(body) });
  expect([path, answer.ok]).toEqual([path, true]);
  return (await answer.json()) as T;
}
const OPERATOR = '/v1/x-castellan';

interface AuditRow {
  readonly operation: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

test('a debug container tells where its shell is, another one has none', async () => {
  expect(debug).toMatchObject({ ssh_port: expect.any(Number) as number, ssh_user: 'web.default', ssh_keys: ['ann', 'spare'] });
  expect(await create({ name: 'plain' })).toMatchObject({ ssh_port: null, ssh_user: null });
  expect(await client.run(portOf(debug), { user: 'plain.default', key: keys.ann, command: 'true' })).toMatchObject(DENIED);
});

describe('in a unit', () => {
  test('a command runs, has both outputs apart, and its status', async () => {
    const { status, stdout, stderr } = await ssh({ command: 'hostname; echo err >&2; exit 42' });
    expect([status, stdout.toString(), stderr]).toEqual([42, 'web\n', 'err\n']);
  });

  test('ten megabytes go in and come out', async () => {
    const input = Buffer.alloc(10 * MIB, 'castellan ');
    const { status, stdout } = await ssh({ command: 'cat', input });
    expect([status, stdout.equals(input)]).toEqual([0, true]);
    const counted = await ssh({ command: 'wc -c', input });
    expect(counted.stdout.toString().trim()).toBe(String(10 * MIB));
  });

  test(
    'a shell has a terminal of the size of the client, and follows it',
    async () => {
      const shell = client.start(portOf(debug), {
        user: userOf(debug),
        key: keys.ann,
        args: ['-tt'],
        size: { columns: 101, rows: 33 },
      });
      shell.write('stty size; echo "term=$TERM."\n');
      await waitUntil(async () => /33 101\r\n/.test(shell.printed()) && shell.printed().includes('term=xterm-256color.'), SLOW_MS);
      shell.resize({ columns: 77, rows: 22 });
      await waitUntil(async () => {
        shell.write('stty size\n');
        return /22 77\r\n/.test(shell.printed());
      }, SLOW_MS);
      shell.write('exit 5\n');
      expect((await shell.done).status).toBe(5);
    },
    SLOW_MS,
  );

  test(
    'the key for an interrupt reaches what runs in the terminal',
    async () => {
      const shell = client.start(portOf(debug), { user: userOf(debug), key: keys.ann, args: ['-tt'] });
      shell.write('echo ready; sleep 600\n');
      await waitUntil(async () => shell.printed().includes('ready\r\n'), SLOW_MS);
      shell.write('\u0003');
      shell.write('exit 8\n');
      expect((await shell.done).status).toBe(8);
    },
    SLOW_MS,
  );

  test('another unit than the one that serves is named behind a plus', async () => {
    expect((await ssh({ user: `${userOf(debug)}+side`, command: 'hostname' })).stdout.toString()).toBe('side\n');
    expect((await ssh({ user: `${debug.id}+side`, command: 'hostname' })).stdout.toString()).toBe('side\n');
  });
});

test('a foreign key, and an organization that has another one, get nowhere', async () => {
  await ask('POST', `${OPERATOR}/tenants`, { id: 'other', name: 'other' });
  await ask('POST', `${OPERATOR}/tenants/other/members`, { id: 'ann', email: 'ann@other.example', role: 'admin' });
  const { key } = await ask<{ key: string }>('POST', `${OPERATOR}/tenants/other/admin-keys`, { name: 'test', member_id: 'ann' });
  await ask('POST', '/api/ssh-keys', { name: 'ann', public_key: client.publicKey(keys.foreign) }, key);
  expect(await ssh({ key: keys.foreign, command: 'true' })).toMatchObject(DENIED);
});

const rowsOf = async (operation: string): Promise<AuditRow[]> =>
  (await ask<{ logs: AuditRow[] }>('GET', `/v1/admin/audit/logs?tenant_id=default&operation=${operation}&limit=100`)).logs;

test('every session is two rows of the trail, and the metrics know of it', async () => {
  await ssh({ command: 'exit 9' });
  await waitUntil(async () => (await rowsOf('end-ssh-session')).some(({ metadata }) => metadata['exit_code'] === 9));
  const end = (await rowsOf('end-ssh-session')).find(({ metadata }) => metadata['exit_code'] === 9);
  expect(end?.metadata).toMatchObject({
    container: 'web',
    container_id: debug.id,
    unit: 'web',
    key_name: 'ann',
    fingerprint: expect.stringMatching(/^SHA256:/) as string,
    kind: 'command',
    reason: 'exit',
    started_at: expect.any(String) as string,
    ended_at: expect.any(String) as string,
  });
  expect((await rowsOf('open-ssh-session')).length).toBe((await rowsOf('end-ssh-session')).length);
  const headers = { 'x-admin-api-key': stage.server.credentials().operator_key };
  const metrics = await (await fetch(`${stage.server.admin}/metrics`, { headers })).text();
  expect(metrics).toMatch(/castellan_ssh_refused_total\{reason="key"\} [1-9]/);
  expect(metrics).toContain('castellan_ssh_sessions 0');
});

describe('a session ends', () => {
  const begin = async (key = keys.ann): Promise<RunningSsh> => {
    const shell = client.start(portOf(debug), { user: userOf(debug), key, command: 'echo ready; sleep 600' });
    await waitUntil(async () => shell.printed().includes('ready'), SLOW_MS);
    return shell;
  };
  const sleepers = async (): Promise<string> => (await ssh({ command: 'ps | grep -c "[s]leep 600"' })).stdout.toString().trim();
  const ENDED = { status: 255, stderr: expect.stringContaining('access to the container has ended') as string };

  test(
    'when its owner leaves, and so does what it ran',
    async () => {
      const shell = await begin();
      expect(await sleepers()).toBe('1');
      shell.kill();
      await waitUntil(async () => (await sleepers()) === '0', SLOW_MS);
    },
    SLOW_MS,
  );

  test(
    'while the tenant is suspended',
    async () => {
      const shell = await begin();
      await ask('PATCH', `${OPERATOR}/tenants/default`, { status: 'SUSPENDED' });
      expect(await shell.done).toMatchObject(ENDED);
      await ask('PATCH', `${OPERATOR}/tenants/default`, { status: 'ACTIVE' });
      expect(await ssh({ command: 'true' })).toMatchObject({ status: 0 });
    },
    SLOW_MS,
  );

  test(
    'when its key is taken from the container, at once and not with the update',
    async () => {
      const shell = await begin(keys.spare);
      expect(await stage.api('DELETE', '/ssh-keys/spare')).toMatchObject({ status: 409, body: { containers: ['web'] } });
      await stage.api('POST', `/containers/${debug.id}/relaunch`, { ssh_keys: ['ann'], staging: true });
      expect(await shell.done).toMatchObject(ENDED);
      expect(await ssh({ key: keys.spare, command: 'true' })).toMatchObject(DENIED);
      expect(await ssh({ command: 'true' })).toMatchObject({ status: 0 });
      await stage.until(debug.id, ({ update_status: update }) => update === 'ready');
      await stage.api('POST', `/containers/${debug.id}/update/accept`);
      await waitUntil(async () => (await stage.api('DELETE', '/ssh-keys/spare')).status === 200, SLOW_MS);
    },
    SLOW_MS,
  );

  test(
    'when the server is restarted; who connects meanwhile is answered by the next process',
    async () => {
      const shell = await begin();
      stage.server.signal('SIGUSR2');
      expect(await shell.done).toMatchObject({ status: 255, stderr: expect.stringContaining('the gateway stops') as string });
      expect((await ssh({ command: 'hostname' })).stdout.toString()).toBe('web\n');
      expect(stage.server.stderr()).toContain('restart: the new process serves');
      expect((await rowsOf('end-ssh-session')).filter(({ metadata }) => metadata['reason'] === 'stopped')).toHaveLength(1);
    },
    SLOW_MS,
  );

  test(
    'when the container stops',
    async () => {
      const shell = await begin();
      expect(await stage.api('POST', `/containers/${debug.id}/stop`)).toMatchObject({ status: 200 });
      expect((await shell.done).status).toBe(255);
    },
    SLOW_MS,
  );
});

test(
  'the host key is the same after a restart, and nowhere in the clear',
  async () => {
    const before = client.hostKeyAt(portOf(debug));
    expect(before).toMatch(/^ssh-ed25519 /);
    expect(stage.server.stdout()).toMatch(/ssh +ssh:\/\/127\.0\.0\.1:\d+ .*host key SHA256:/);
    await stage.server.stop();
    await stage.server.start();
    const { body } = await stage.api('GET', `/containers/${debug.id}`);
    expect(client.hostKeyAt(portOf(body))).toBe(before);
    for (const name of readdirSync(stage.server.dataDir)) {
      if (!/\.db|\.json|-wal$/.test(name)) continue;
      expect([name, readFileSync(join(stage.server.dataDir, name)).includes('OPENSSH PRIVATE KEY')]).toEqual([name, false]);
    }
  },
  SLOW_MS,
);
