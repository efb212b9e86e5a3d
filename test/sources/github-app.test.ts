import { createPrivateKey } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SourceFault } from '../../src/ports/release-source.ts';
import { makeGithubApp } from '../../src/sources/github/github-app.ts';
import { GITHUB_LIMITS, makeGithubSource } from '../../src/sources/github/github-source.ts';
import { repositoryOf, startGithubServer, type GithubServer, type TestRepository } from '../support/github-server.ts';

const ACME = { tenantId: 'acme', repo: 'acme/app' } as const;
const CONFIG = 'cvm-version: 0.0.1\n';

let github: GithubServer;
let app: TestRepository;

beforeEach(async () => {
  github = await startGithubServer();
  app = repositoryOf({ releases: [{ tag: 'v1', config: CONFIG }] });
  github.repositories.set('acme/app', app);
});
afterEach(() => github.close());

function sourceOf(over: { readonly needsAssets?: boolean; readonly appId?: string; readonly timeoutMs?: number } = {}) {
  const limits = { ...GITHUB_LIMITS, ...(over.timeoutMs === undefined ? {} : { timeoutMs: over.timeoutMs }) };
  const privateKey = createPrivateKey(github.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString();
  const declared = { id: over.appId ?? github.appId, privateKey, owners: [{ owner: 'Acme', tenants: ['acme'] }] };
  const nowMs = (): number => Date.now();
  return makeGithubSource({
    baseUrl: github.url,
    token: null,
    needsAssets: over.needsAssets ?? false,
    app: makeGithubApp({ app: declared, baseUrl: github.url, nowMs, limits }),
    nowMs,
    limits,
  });
}

const lines = (): string[] => github.asked.map(({ line, as, status }) => `${as}: ${line} ${status}`);

async function faultOf(work: Promise<unknown>): Promise<SourceFault> {
  const fault: unknown = await work.catch((err: unknown) => err);
  expect(fault).toBeInstanceOf(SourceFault);
  return fault as SourceFault;
}

describe('the App', () => {
  test('is connected where it is installed and its owner is the tenant’s, however the owner is written', async () => {
    const source = sourceOf();
    expect(await source.connection(ACME)).toBe('connected');
    expect(lines()).toEqual(['app: GET /repos/acme/app/installation 200']);
    expect(await source.connection({ ...ACME, tenantId: 'mallory' })).toBe('not_allowed');
    expect(await source.connection({ tenantId: 'acme', repo: 'other/app' })).toBe('not_allowed');
    expect(github.asked).toHaveLength(1);
    app.installation = null;
    expect(await source.connection(ACME)).toBe('not_installed');
    app.installation = { id: 99, contents: 'write', suspendedAt: '2026-01-01T00:00:00Z' };
    expect(await source.connection(ACME)).toBe('suspended');
  });

  test('that GitHub does not know is a fault for the operator, not an App that is not installed', async () => {
    const fault = await faultOf(sourceOf({ appId: '1' }).connection(ACME));
    expect(fault.publicMessage).toBe('GitHub does not take the App of this server: its operator has to declare another one');
    github.fail(/installation/, { status: 403 });
    expect((await faultOf(sourceOf().connection(ACME))).publicMessage).toContain('does not let the App');
    github.fail(/installation/, { status: 200, body: '{}' });
    expect((await faultOf(sourceOf().connection(ACME))).publicMessage).toContain('cannot be read');
  });

  test('reads what only it may see, for its tenants alone, with a token for the one repository', async () => {
    app.isPrivate = true;
    const source = sourceOf();
    expect(await source.readConfig({ ...ACME, tag: 'v1' })).toMatchObject({ ok: true, text: CONFIG });
    expect(new Set(github.asked.slice(2).map(({ as }) => as))).toEqual(new Set(['installation 99']));
    expect(await source.readConfig({ ...ACME, tenantId: 'mallory', tag: 'v1' })).toMatchObject({ ok: false, why: 'no_repo' });
    expect(github.asked.at(-1)?.as).toBe('nobody');
    // What is not installed is read as everybody may read it.
    app.installation = null;
    expect(await source.readConfig({ ...ACME, tag: 'v1' })).toMatchObject({ ok: false, why: 'no_repo' });
    app.isPrivate = false;
    expect(await source.readConfig({ ...ACME, tag: 'v1' })).toMatchObject({ ok: true });
  });

  test('asks for a token once for many questions, and for another where GitHub takes it no more', async () => {
    const source = sourceOf();
    const tokens = (): number => lines().filter((line) => line.includes('access_tokens')).length;
    await source.newerTag({ ...ACME, than: 'v1' });
    await source.newerTag({ ...ACME, than: 'v1' });
    expect(tokens()).toBe(1);
    github.revokeTokens();
    await faultOf(source.newerTag({ ...ACME, than: 'v1' }));
    expect(await source.newerTag({ ...ACME, than: 'v1' })).toBeNull();
    expect(tokens()).toBe(2);
  });

  test('without which nothing can be connected or marked', async () => {
    const source = makeGithubSource({ baseUrl: github.url, token: null, needsAssets: false, app: null, nowMs: () => 0 });
    expect(await source.connection(ACME)).toBe('no_app');
    expect(await source.markLatest({ ...ACME, tag: 'v1' })).toBe('not_permitted');
    expect(github.asked).toEqual([]);
  });

  test.each([
    ['no answer', 'hang', 'GitHub takes too long to answer', undefined],
    ['a cut connection', 'cut', 'GitHub could not be reached', undefined],
    ['an error', { status: 500 }, 'GitHub answered with status 500', undefined],
    [
      'too many requests',
      { status: 403, headers: { 'retry-after': '17' } },
      'takes no more requests of this server for now: try again in 17 s',
      17_000,
    ],
    ['nonsense', { status: 200, body: 'no JSON' }, 'cannot be read', undefined],
  ] as const)('with %s is a fault with a sentence, wherever it happens', { timeout: 30_000 }, async (_, fault, sentence, retryAfterMs) => {
    for (const where of [/installation$/, /access_tokens/, /releases/]) {
      // The library is there by now, so that little time is enough for nothing to come.
      const timeoutMs = fault === 'hang' ? 400 : 20_000;
      github.fail(where, fault);
      const told = await faultOf(sourceOf({ timeoutMs }).newerTag({ ...ACME, than: 'v1' }));
      expect(told.publicMessage).toContain(sentence);
      expect(told.retryAfterMs).toBe(retryAfterMs);
      expect(told.message).not.toContain('ghs_');
    }
  });
});

describe('the newest release', () => {
  const newerThan = async (than: string, over: Parameters<typeof sourceOf>[0] = {}): Promise<string | null> =>
    sourceOf(over).newerTag({ ...ACME, than });

  test('is the highest version that is published and final', async () => {
    app.releases.push(
      { tag: 'v1.2.0' },
      { tag: 'v1.10.0' },
      { tag: 'v1.9.0' },
      { tag: 'v2.0.0', draft: true },
      { tag: 'v3.0.0', prerelease: true },
    );
    expect(await newerThan('v1.0.0')).toBe('v1.10.0');
    expect(await newerThan('v1.10.0')).toBeNull();
  });

  test('may be a pre-release where a pre-release serves', async () => {
    app.releases.push({ tag: 'v2.0.0', prerelease: true }, { tag: 'v2.1.0', prerelease: true });
    expect(await newerThan('v2.0.0')).toBe('v2.1.0');
  });

  test('of tags that are no versions is the one that was published last', async () => {
    app.releases.push(
      { tag: 'autumn', publishedAt: '2026-09-01T00:00:00Z' },
      { tag: 'winter', publishedAt: '2026-12-01T00:00:00Z' },
      { tag: 'v1-summer', publishedAt: '2026-06-01T00:00:00Z' },
    );
    expect(await newerThan('v1-summer')).toBe('winter');
    expect(await newerThan('winter')).toBeNull();
    expect(await newerThan('gone')).toBeNull();
  });

  test('counts, where that is asked for, only with both deployment assets', async () => {
    const asset = (name: string, state = 'uploaded') => ({ name, state });
    app.releases.push(
      { tag: 'v1.1.0', config: CONFIG, assets: [asset('tinfoil-deployment.json'), asset('tinfoil.hash')] },
      { tag: 'v1.2.0', config: CONFIG, assets: [asset('tinfoil-deployment.json'), asset('tinfoil.hash', 'starter')] },
    );
    expect(await newerThan('v1.0.0', { needsAssets: true })).toBe('v1.1.0');
    expect(await newerThan('v1.0.0')).toBe('v1.2.0');
    const source = sourceOf({ needsAssets: true });
    expect(await source.readConfig({ ...ACME, tag: 'v1.1.0' })).toMatchObject({ ok: true });
    const refused = { ok: false, why: 'no_release' };
    expect(await source.readConfig({ ...ACME, tag: 'v1.2.0' })).toEqual({
      ...refused,
      message: 'the release v1.2.0 of acme/app has no tinfoil.hash yet',
    });
    const both = 'the release v1 of acme/app has no tinfoil-deployment.json and no tinfoil.hash yet';
    expect(await source.readConfig({ ...ACME, tag: 'v1' })).toEqual({ ...refused, message: both });
  });

  test('is asked for only where something changed', async () => {
    const source = sourceOf();
    expect(await source.newerTag({ ...ACME, than: 'v1.0.0' })).toBeNull();
    app.releases.push({ tag: 'v1.1.0' });
    expect(await source.newerTag({ ...ACME, than: 'v1.0.0' })).toBe('v1.1.0');
    expect(await source.newerTag({ ...ACME, than: 'v1.0.0' })).toBe('v1.1.0');
    expect(github.asked.filter(({ line }) => line.includes('/releases')).map(({ status }) => status)).toEqual([200, 200, 304]);
  });

  test('is none where the list is no list, and names that are no tags are passed over', async () => {
    app.releases.push({ tag: '--upload-pack=x' }, { tag: 'v9..9' });
    expect(await newerThan('v1.0.0')).toBeNull();
    github.fail(/releases/, { status: 200, body: '{"message":"hello"}' });
    await faultOf(newerThan('v1.0.0'));
  });
});

describe('marking as the latest', () => {
  test('is done once, where the App may write', async () => {
    app.releases.push({ tag: 'v2' });
    const source = sourceOf();
    expect(await source.markLatest({ ...ACME, tag: 'v2' })).toBe('marked');
    expect(app.latest).toBe('v2');
    expect(await source.markLatest({ ...ACME, tag: 'v2' })).toBe('marked');
    expect(lines().filter((line) => line.includes('PATCH'))).toHaveLength(1);
    app.installation = { id: 99, contents: 'read', suspendedAt: null };
    expect(await source.markLatest({ ...ACME, tag: 'v1' })).toBe('not_permitted');
    expect(await source.markLatest({ ...ACME, tenantId: 'mallory', tag: 'v1' })).toBe('not_permitted');
    expect(app.latest).toBe('v2');
  });

  test('is refused in words for what cannot be the latest', async () => {
    app.releases.push({ tag: 'v2', prerelease: true });
    const source = sourceOf();
    expect(await source.markLatest({ ...ACME, tag: 'v2' })).toBe('prerelease');
    expect(await source.markLatest({ ...ACME, tag: 'v3' })).toBe('no_release');
    github.fail(/PATCH/, { status: 403 }, { status: 422 });
    expect(await source.markLatest({ ...ACME, tag: 'v1' })).toBe('not_permitted');
    expect(await source.markLatest({ ...ACME, tag: 'v1' })).toBe('not_permitted');
    expect(app.latest).toBeNull();
  });
});
