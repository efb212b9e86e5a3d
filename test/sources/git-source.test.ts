import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkRepo, checkTag } from '../../src/core/containers/release-names.ts';
import { SourceFault } from '../../src/ports/release-source.ts';
import { GIT_LIMITS, makeGitSource } from '../../src/sources/git/git-source.ts';

const folder = mkdtempSync(join(tmpdir(), 'castellan-git-test-'));
const servers: Server[] = [];
const AUTHOR = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@example.com', GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@example.com' };

const git = (cwd: string, ...args: string[]): string =>
  execFileSync('git', args, { cwd, encoding: 'utf8', env: { ...process.env, ...AUTHOR }, stdio: ['ignore', 'pipe', 'ignore'] }).trim();

/** A repository with a commit and a tag for each of the given states of its files. */
function repository(name: string, states: Readonly<Record<string, (path: string) => void>>): string {
  const path = join(folder, name);
  mkdirSync(path);
  git(path, 'init', '--quiet');
  for (const [tag, change] of Object.entries(states)) {
    change(path);
    git(path, 'add', '--all');
    git(path, 'commit', '--quiet', '--allow-empty', '--message', tag);
    git(path, 'tag', tag);
  }
  return path;
}

const write = (text: string) => (path: string) => writeFileSync(join(path, 'tinfoil-config.yml'), text);
const source = makeGitSource({ baseUrl: `file://${folder}` });

beforeAll(() => {
  const app = repository('app', { v1: write('one'), v2: write('two'), gone: (path) => rmSync(join(path, 'tinfoil-config.yml')) });
  git(app, 'tag', '--annotate', '--message', 'signed off', 'annotated', 'v1');
  git(app, 'tag', 'tree', 'v1^{tree}');
  git(app, 'branch', 'not-a-tag', 'v1');
  repository('bare.git', { v1: write('bare') });
  repository('hostile', {
    link: (path) => symlinkSync('/etc/passwd', join(path, 'tinfoil-config.yml')),
    large: (path) => {
      rmSync(join(path, 'tinfoil-config.yml'));
      write('x'.repeat(GIT_LIMITS.maxConfigBytes + 1))(path);
    },
    hook: (path) => {
      write('fine')(path);
      writeFileSync(join(path, '.git', 'hooks', 'post-checkout'), `#!/bin/sh\ntouch ${folder}/ran\n`);
      chmodSync(join(path, '.git', 'hooks', 'post-checkout'), 0o755);
      writeFileSync(join(path, '.gitmodules'), `[submodule "x"]\n\tpath = x\n\turl = ext::touch ${folder}/ran\n`);
    },
  });
});

afterAll(() => {
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('a plain git repository', () => {
  test('gives the file as it is at a tag, with the commit, whether the tag is annotated or not', async () => {
    const commit = git(join(folder, 'app'), 'rev-parse', 'v1^{commit}');
    expect(await source.readConfig({ tenantId: 'acme', repo: 'acme/app', tag: 'v1' })).toEqual({ ok: true, commit, text: 'one' });
    expect(await source.readConfig({ tenantId: 'acme', repo: 'acme/app', tag: 'annotated' })).toEqual({ ok: true, commit, text: 'one' });
    expect(await source.readConfig({ tenantId: 'acme', repo: 'acme/app', tag: 'v2' })).toMatchObject({ text: 'two' });
    expect(await source.readConfig({ tenantId: 'acme', repo: 'acme/bare', tag: 'v1' })).toMatchObject({ text: 'bare' });
  });

  test('tells the newest version among its tags, and nothing of what is no repository', async () => {
    const path = repository('versions', {
      'v1.0.0': write('one'),
      'v1.2.0': write('two'),
      'v1.10.0': write('three'),
      newest: write('four'),
    });
    git(path, 'tag', '--annotate', '--message', 'm', 'v1.11.0', 'v1.10.0');
    const newer = (repo: string, than: string) => source.newerTag({ tenantId: 'acme', repo, than });
    expect([await newer('acme/versions', 'v1.0.0'), await newer('acme/versions', 'v1.11.0')]).toEqual(['v1.11.0', null]);
    expect([await newer('acme/none', 'v1.0.0'), await newer('acme/bare', 'v0.1.0'), source.isPolled('acme/none')]).toEqual([
      null,
      null,
      true,
    ]);
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    servers.push(silent);
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as { readonly port: number };
    const slow = makeGitSource({ baseUrl: `http://127.0.0.1:${port}`, limits: { ...GIT_LIMITS, timeoutMs: 300 } });
    await expect(slow.newerTag({ tenantId: 'acme', repo: 'acme/app', than: 'v1.0.0' })).rejects.toBeInstanceOf(SourceFault);
  });

  test('of another user of this machine is read', async () => {
    const other = repository('other', { v1: write('other') });
    execFileSync('chown', ['-R', '65534', other]);
    expect(await source.readConfig({ tenantId: 'acme', repo: 'acme/other', tag: 'v1' })).toMatchObject({ ok: true, text: 'other' });
  });

  test.each([
    ['no_repo', 'acme/none', 'v1'],
    ['no_tag', 'acme/app', 'v3'],
    ['no_tag', 'acme/app', 'not-a-tag'],
    ['no_tag', 'acme/app', 'tree'],
    ['no_file', 'acme/app', 'gone'],
    ['refused', 'acme/hostile', 'link'],
    ['file_too_large', 'acme/hostile', 'large'],
  ])('says %s for %s at %s', async (why, repo, tag) => {
    expect(await source.readConfig({ tenantId: 'acme', repo, tag })).toMatchObject({ ok: false, why });
  });

  test('runs nothing of it, and leaves nothing behind', async () => {
    const left = (): string[] =>
      readdirSync(tmpdir()).filter((name) => name.startsWith('castellan-git-') && !name.startsWith('castellan-git-test-'));
    const before = left();
    expect(await source.readConfig({ tenantId: 'acme', repo: 'acme/hostile', tag: 'hook' })).toMatchObject({ ok: true, text: 'fine' });
    expect(existsSync(join(folder, 'ran'))).toBe(false);
    expect(left()).toEqual(before);
  });

  test('whose server leaves files out is asked for the one file alone, however large the others are', async () => {
    const partial = repository('partial', {
      v1: (path) => {
        write('partial')(path);
        writeFileSync(join(path, 'blob'), Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7919 * (i % 13)) % 256)));
      },
    });
    git(partial, 'config', 'uploadpack.allowFilter', 'true');
    git(partial, 'config', 'uploadpack.allowAnySHA1InWant', 'true');
    const small = makeGitSource({ baseUrl: `file://${folder}`, limits: { ...GIT_LIMITS, maxFileBytes: 2048 } });
    expect(await small.readConfig({ tenantId: 'acme', repo: 'acme/partial', tag: 'v1' })).toMatchObject({ ok: true, text: 'partial' });
  });

  test('that is larger than the bound is refused', async () => {
    repository('huge', {
      v1: (path) => {
        write('fine')(path);
        writeFileSync(join(path, 'blob'), Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7919) % 256)));
      },
    });
    const small = makeGitSource({ baseUrl: `file://${folder}`, limits: { ...GIT_LIMITS, maxFileBytes: 1024 } });
    expect(await small.readConfig({ tenantId: 'acme', repo: 'acme/huge', tag: 'v1' })).toEqual({
      ok: false,
      why: 'refused',
      message: 'acme/huge at v1 is too large to be read',
    });
  });

  test('that cannot be asked tells no password of its address', async () => {
    const closed = makeGitSource({ baseUrl: 'http://someone:letmein@127.0.0.1:1' });
    const fault: unknown = await closed.readConfig({ tenantId: 'acme', repo: 'acme/app', tag: 'v1' }).catch((err: unknown) => err);
    expect(fault).toMatchObject({ code: 'upstream_failed', publicMessage: 'acme/app could not be read: its source failed' });
    expect(String((fault as Error).stack)).toMatch(/127\.0\.0\.1/);
    expect(`${(fault as Error).stack} ${JSON.stringify(fault)}`).not.toMatch(/letmein|someone/);
    expect((fault as Error).cause).toBeUndefined();
  });

  test('on a server that says nothing is given up in time', async () => {
    const server = createServer(() => undefined);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const silent = makeGitSource({ baseUrl: `http://127.0.0.1:${port}`, limits: { ...GIT_LIMITS, timeoutMs: 300 } });
    const fault: unknown = await silent.readConfig({ tenantId: 'acme', repo: 'acme/app', tag: 'v1' }).catch((err: unknown) => err);
    expect(fault).toBeInstanceOf(SourceFault);
    expect(fault).toMatchObject({ code: 'upstream_timeout', publicMessage: 'acme/app could not be read: its source takes too long' });
  });
});

describe('names', () => {
  test.each([
    'app',
    'acme/app/x',
    '../app',
    'acme/..',
    '-o/app',
    'acme/-x',
    'acme/a b',
    'acme//app',
    'http://x/y',
    'acme/app\n',
    '',
    'a--b/x',
  ])('%j is no repository', (repo) => {
    expect(checkRepo(repo)).toMatchObject({ rejection: { code: 'invalid_request', field: 'repo' } });
  });
  test.each([
    '--upload-pack=x',
    '-v',
    'a..b',
    'v@{1}',
    'v 1',
    'v\n',
    'v\u0000',
    'v~1',
    'v^{}',
    'v:x',
    'v*',
    '.v',
    'v.',
    'a/.b',
    'x.lock',
    'a//b',
    '/v',
    'v/',
    '@',
    '',
    'v'.repeat(251),
  ])('%j is no tag', (tag) => {
    expect(checkTag(tag)).toMatchObject({ rejection: { code: 'invalid_request', field: 'tag' } });
  });
  test('every rule that is broken is told', () => {
    expect(checkTag('-a..b c')).toMatchObject({
      rejection: { message: 'tag must not begin with "-"; and not hold spaces or control characters; and not hold ".."' },
    });
    expect(checkRepo('a--b/-x y')).toMatchObject({
      rejection: {
        message: expect.stringMatching(
          /^repo must have an owner .*; and have a name .*; and not have a name that begins with "-"$/,
        ) as string,
      },
    });
  });

  test.each(['v1.2.0', 'release/2026-11', 'v1@2', 'V_1-rc.1+build'])('%j is a tag', (tag) => {
    expect(checkTag(tag)).toBeNull();
  });
});
