import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { repoOf } from '../../src/cli/commands/release-of-folder.ts';
import { pageConfig, startContainerStage, type ContainerStage } from '../support/container-stage.ts';
import { ED25519_KEY } from '../support/ssh-keys.ts';
import { cli as runCommand, type CliRun } from './harness.ts';

let stage: ContainerStage;
let checkout: string;

beforeAll(async () => {
  stage = await startContainerStage({ sections: 'ssh: { port: 0 }\ndns: { servers: ["127.0.0.1:9"], timeout_ms: 100 }\n' });
  stage.release('web', 'v1', pageConfig(await stage.page('one'), ['env: [{ GREETING: hello }]']));
  stage.release('web', 'v2', pageConfig(await stage.page('two')));
  stage.release(
    'web',
    'broken',
    pageConfig(await stage.page('three'), ['entrypoint: ["/bin/busybox", "sh", "-c", "echo it broke; exit 4"]']),
  );
  checkout = mkdtempSync(join(tmpdir(), 'castellan-checkout-'));
  const git = (...args: string[]): unknown => execFileSync('git', args, { cwd: checkout, stdio: 'ignore' });
  git('init', '--quiet');
  git('remote', 'add', 'origin', 'git@git.example.com:acme/web.git');
  git('-c', 'user.name=a', '-c', 'user.email=a@example.com', 'commit', '--quiet', '--allow-empty', '--message', 'one');
  git('tag', 'v1');
}, 60_000);

afterAll(async () => {
  await stage.stop();
  rmSync(checkout, { recursive: true, force: true });
}, 60_000);

const cli = (args: readonly string[], options: Parameters<typeof runCommand>[1] = {}): Promise<CliRun> =>
  runCommand(['--url', stage.server.admin, 'containers', ...args], {
    ...options,
    env: { TINFOIL_ADMIN_KEY: stage.server.credentials().admin_key },
  });

const fieldsOf = (text: string): Record<string, string> =>
  Object.fromEntries(
    text
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/, 2) as [string, string]),
  );

describe('a container from a checkout', () => {
  test('is created with the newest tag of its origin, followed, read, relaunched, stopped, started and deleted', async () => {
    const made = await cli(['create', checkout, '--var', 'GREETING=a=b']);
    expect([made.code, fieldsOf(made.out)]).toMatchObject([
      0,
      { name: 'web', status: 'ready', domain: 'web.default.containers.localhost' },
    ]);
    expect(made.err).toContain('v1: coming up ...\n');
    expect(made.out).toMatch(/repository +acme\/web v1 \([0-9a-f]{12}\)/);
    expect(await stage.visit('web.default.containers.localhost')).toEqual({ status: 200, text: 'one' });

    const listed = await cli(['list', '-o', 'json']);
    const [{ id } = { id: '' }] = listed.json<{ id: string; variables: object }[]>();
    expect(listed.json()).toMatchObject([{ name: 'web', variables: { GREETING: 'a=b' } }]);
    expect((await cli(['list'])).out).toMatch(/^NAME +STATUS +TAG +UPDATE +DOMAIN +HOST\nweb +ready +v1 +web\.default/);
    expect((await cli(['show', id, '-o', 'json'])).json()).toMatchObject({ id });

    const relaunched = await cli(['relaunch', 'web', '--tag', 'v2']);
    expect([relaunched.code, relaunched.err]).toEqual([0, expect.stringContaining('v2: ')]);
    expect(await stage.visit('web.default.containers.localhost')).toEqual({ status: 200, text: 'two' });
    expect(fieldsOf((await cli(['usage', 'web'])).out)).toHaveProperty(['cost']);

    expect((await cli(['auto-update', 'web', 'on'])).out).toMatch(/updates +by itself/);
    expect((await cli(['auto-update', 'web', 'off'])).out).toMatch(/updates +when asked/);
    expect((await cli(['auto-update', 'web', 'maybe'])).code).toBe(2);
    expect((await cli(['github', 'web', 'on'])).err).toContain('acme/web is not on GitHub here');
    expect((await cli(['github', 'web', 'off'])).code).toBe(0);
    expect((await cli(['metrics', 'web', '--time', '5m'])).out).toMatch(/^TIME \(UTC\) +CPU +MAX +MEMORY +MAX +GPU/);
    const metrics = (await cli(['metrics', 'web', '--time', '5m', '-o', 'json'])).json<{ data_points: object[] }>();
    expect(metrics.data_points).toHaveLength(60);
    expect((await cli(['hosts'])).out).toMatch(/NAME +GPUS\nhere \(default\) +none/);
    expect((await cli(['place', 'web', '--group', 'sites', '--order', '3'])).out).toMatch(/sites +0 +web/);
    expect((await cli(['groups', 'order', 'sites', '7'])).out).toMatch(/sites +7 +web/);
    expect((await cli(['groups', 'rename', 'sites', 'pages', '-o', 'json'])).json()).toEqual([
      { name: 'pages', order: 7, containers: ['web'] },
    ]);
    expect((await cli(['show', 'web', '-o', 'json'])).json()).toMatchObject({ group_name: 'pages', group_order: 7, display_order: 3 });
    expect((await cli(['place', 'web', '--order', '4', '-o', 'json'])).json()).toMatchObject([{ name: 'pages', order: 7 }]);
    expect((await cli(['groups', 'delete', 'pages'])).out).toBe('deleted pages\n');
    expect((await cli(['place', 'web', '--no-group', '-o', 'json'])).json()).toEqual([]);
    expect((await cli(['place', 'web', '--order', 'x'])).code).toBe(2);
    expect((await cli(['stop', 'web'])).out).toMatch(/status +stopping/);
    expect((await cli(['follow', 'web'])).out).toMatch(/status +stopped/);
    expect((await cli(['start', 'web'])).out).toMatch(/status +ready/);
    expect((await cli(['delete', 'web'])).code).toBe(2);
    expect((await cli(['delete', 'web'], { answer: false })).err).toContain('stays');
    expect([(await cli(['delete', 'web', '--yes'])).out, (await cli(['list', '-o', 'json'])).json()]).toEqual(['deleted web\n', []]);
  }, 120_000);

  test('that does not come up ends with code 1 and its reason, and its last lines are shown', async () => {
    const failed = await cli(['create', '--repo', 'acme/web', '--tag', 'broken', '--name', 'bad']);
    expect([failed.code, failed.err]).toEqual([
      1,
      expect.stringContaining('the deployment failed: the container web ended with exit code 4'),
    ]);
    const logs = await cli(['logs', 'bad', '--tail', '5']);
    expect([logs.code, logs.out]).toEqual([0, expect.stringMatching(/^\d\d:\d\d:\d\d\.\d{3} web it broke\n/)]);
    expect((await cli(['logs', 'bad', '-o', 'json'])).out).toContain('"line":"it broke"');
    expect((await cli(['logs', 'bad', '--unit', 'none'])).err).toContain('container must be one of web');
    await cli(['delete', 'bad', '--yes']);
  }, 60_000);

  test('is held, accepted and cancelled; without waiting a command returns at once', async () => {
    await cli(['create', '--repo', 'acme/web', '--tag', 'v1', '--name', 'staged', '--staging']);
    const held = await cli(['relaunch', 'staged', '--tag', 'v2']);
    expect([held.code, held.out]).toEqual([0, expect.stringMatching(/status +ready \(an update waits\)/)]);
    expect((await cli(['accept', 'staged'])).out).toMatch(/ v2 \(/);
    expect((await cli(['relaunch', 'staged', '--tag', 'v1', '--no-wait', '-o', 'json'])).json()).toMatchObject({
      update_tag: 'v1',
      current_tag: 'v2',
    });
    expect((await cli(['cancel', 'staged', '-o', 'json'])).json()).toMatchObject({ update_tag: null, current_tag: 'v2' });
    await cli(['delete', 'staged', '--yes']);
  }, 60_000);

  test('in debug mode is opened by the ssh of this machine, whose code is the command’s', async () => {
    const handed: (readonly [string, readonly string[]])[] = [];
    const around = {
      hand: async (program: string, args: readonly string[]): Promise<number | null> => {
        handed.push([program, args]);
        return 7;
      },
    };
    expect((await cli(['ssh-keys', 'add', 'laptop'], { input: `${ED25519_KEY}\n` })).out).toMatch(/laptop +ssh-ed25519 +SHA256:/);
    await cli(['create', '--repo', 'acme/web', '--tag', 'v1', '--name', 'plain', '--no-wait']);
    expect((await cli(['shell', 'plain'], { around })).err).toContain('castellan containers relaunch plain --debug --ssh-key NAME');
    const made = await cli([
      'create',
      '--repo',
      'acme/web',
      '--tag',
      'v1',
      '--name',
      'open',
      '--debug',
      '--ssh-key',
      'laptop',
      '-o',
      'json',
    ]);
    const { ssh_port: port } = made.json<{ ssh_port: number }>();
    const opened = await cli(['shell', 'open', '--unit', 'web', '-i', 'key', '--', 'ls', '-l'], { around });
    expect(opened.code).toBe(7);
    expect(handed).toEqual([['ssh', ['-p', String(port), '-i', 'key', '--', 'open.default+web@127.0.0.1', 'ls', '-l']]]);
    expect((await cli(['shell', 'open'], { around: { hand: async () => null } })).err).toContain('install the OpenSSH client');
    expect((await cli(['ssh-keys', 'delete', 'laptop'])).err).toContain('SSH key is in use by: open');
    for (const name of ['plain', 'open']) await cli(['delete', name, '--yes']);
    expect((await cli(['ssh-keys', 'delete', 'laptop'])).out).toBe('deleted laptop\n');
  }, 60_000);
});

describe('what belongs to containers', () => {
  test('secrets are set from what is written, changed, listed without values, and deleted', async () => {
    expect((await cli(['secrets', 'set', 'API_TOKEN'], { input: 'one\n' })).out).toBe('created API_TOKEN\n');
    const again = await cli(['secrets', 'set', 'API_TOKEN'], { input: 'two\n' });
    expect([again.out, again.err]).toEqual(['updated API_TOKEN\n', 'Containers that use it are stale until they are relaunched.\n']);
    const listed = await cli(['secrets', 'list', '-o', 'json']);
    expect(listed.json()).toMatchObject([{ name: 'API_TOKEN', used_by: [] }]);
    expect(listed.out).not.toContain('two');
    expect((await cli(['secrets', 'set', 'API_TOKEN'])).code).toBe(2);
    expect((await cli(['secrets', 'delete', 'API_TOKEN'])).out).toBe('deleted API_TOKEN\n');
  });

  test('domains are added with the records to set; one that DNS does not prove ends verify with code 3', async () => {
    const added = await cli(['domains', 'add', 'api.example.com']);
    expect(added.out).toMatch(/TXT record +_tinfoil-challenge\.api\.example\.com  tinfoil-verification=[0-9a-f]{32}\n/);
    expect(added.out).toMatch(/CNAME record +api\.example\.com  [0-9a-f]{32}\.containers\.localhost\n/);
    expect(added.err).toContain('castellan containers domains verify api.example.com');
    const checked = await cli(['domains', 'verify', 'api.example.com']);
    expect([checked.code, checked.out]).toEqual([3, expect.stringContaining('DNS could not be asked')]);
    expect((await cli(['domains', 'list'])).out).toMatch(/api\.example\.com +no/);
    expect((await cli(['domains', 'delete', 'api.example.com', '-o', 'json'])).json()).toEqual({ deleted: 'api.example.com' });
  });

  test('what opens a registry is kept from what is written, listed without it, and forgotten', async () => {
    expect((await cli(['registries', 'list'])).out).toMatch(/ghcr +none/);
    const saved = await cli(['registries', 'set', 'ghcr', '--username', 'ann'], { input: 'ghp_token\n' });
    expect([saved.code, saved.out]).toEqual([0, 'saved ghcr\n']);
    const listed = await cli(['registries', 'list', '-o', 'json']);
    expect(listed.json()).toMatchObject({ ghcr: { has_credentials: true, username: 'ann', expired: false } });
    expect(listed.out).not.toContain('ghp_token');
    expect((await cli(['registries', 'list'])).out).toMatch(/ghcr +yes +ann/);
    expect((await cli(['registries', 'set', 'ghcr'])).code).toBe(2);
    expect((await cli(['registries', 'set', 'gcr'], { input: 'no key' })).code).toBe(1);
    expect((await cli(['registries', 'delete', 'ghcr'])).out).toBe('deleted ghcr\n');
  });

  test('a public key comes from a file as well', async () => {
    const file = join(checkout, 'id.pub');
    writeFileSync(file, `${ED25519_KEY} me@here\n`);
    expect((await cli(['ssh-keys', 'add', 'file', '--public-key-file', file, '-o', 'json'])).json()).toMatchObject({ name: 'file' });
    expect((await cli(['ssh-keys', 'add', 'none', '--public-key-file', join(checkout, 'none')])).code).toBe(2);
    await cli(['ssh-keys', 'delete', 'file']);
  });
});

describe('what cannot be done says what to do', () => {
  test.each([
    [['create', '/'], 2, 'name the repository with --repo owner/repo'],
    [['create', '--repo', 'acme/web'], 2, 'Say what is to be deployed with --tag'],
    [['create', '--repo', 'acme/web', '--tag', 'v9'], 1, 'NOT_FOUND'],
    [['create', '--repo', 'acme/web', '--tag', 'v1', '--var', 'x'], 2, 'write NAME=value'],
    [['create', '--repo', 'acme/web', '--tag', 'v1', '--gpus', 'two'], 2, 'no number of GPUs'],
    [['show', 'none'], 1, 'There is no container none'],
    [['show', 'none:debug'], 1, 'There is no container none:debug'],
    [['logs', '11111111-2222-4333-8444-555555555555'], 1, 'not found'],
    [['domains', 'add', 'Nope'], 1, 'domain must be'],
  ] as const)('%j', async (args, code, words) => {
    const run = await cli([...args]);
    expect([run.code, run.err]).toEqual([code, expect.stringContaining(words)]);
  });

  test('a key of nobody is refused, and no key is asked for', async () => {
    const refused = await runCommand(['--url', stage.server.admin, 'containers', 'list'], { env: { TINFOIL_ADMIN_KEY: 'admin_nobody' } });
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('--admin-key-file')]);
    const none = await runCommand(['--data-dir', checkout, 'containers', 'list']);
    expect([none.code, none.err]).toEqual([1, expect.stringContaining('There is no admin key')]);
  });
});

test.each([
  ['https://github.com/acme/web.git', 'acme/web'],
  ['git@github.com:acme/web', 'acme/web'],
  ['ssh://git@host:22/deep/acme/web.git/', 'acme/web'],
  ['file:///srv/git/acme/web', 'acme/web'],
  ['web', null],
  ['', null],
  ['git@host:web.git', null],
])('the repository of the remote %j is %j', (remote, repo) => {
  expect(repoOf(remote)).toBe(repo);
});
