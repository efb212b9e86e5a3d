import { expect, test } from 'vitest';
import { HOOK_WINDOW_MS, makeTakeReleaseHook } from '../../src/app/containers/take-release-hook.ts';
import { makeLedgerWriter } from '../../src/app/ledger-writer.ts';
import { makeGithubHooks } from '../../src/sources/github/github-hooks.ts';
import { makeCountingIds, makeManualClock, makeMemoryLog } from '../support/fakes.ts';
import { publishedHook, signedHook } from '../support/github-server.ts';
import { makeMemoryStore } from '../support/memory-store.ts';

const SECRET = 'a-secret-of-the-webhook';
const NOW_MS = Date.UTC(2026, 10, 23, 12);
const at = (ms: number): string => new Date(ms).toISOString();

function prepared(secrets: readonly string[] = [SECRET]) {
  const clock = makeManualClock(NOW_MS);
  const ids = makeCountingIds();
  const log = makeMemoryLog();
  const store = makeMemoryStore({ clock });
  const writer = makeLedgerWriter({
    store,
    ids,
    onRecordsChanged: () => undefined,
    maxQueued: 100,
    failpoints: { hit: () => undefined },
    log,
  });
  const news: unknown[] = [];
  const take = makeTakeReleaseHook({ hooks: makeGithubHooks({ secrets }), writer, note: (of) => void news.push(of), clock, ids, log });
  const send = ({ body, headers }: ReturnType<typeof signedHook>, over: Readonly<Record<string, string>> = {}) => {
    const given: Readonly<Record<string, string>> = { ...headers, ...over };
    return take({
      event: given['x-github-event'] ?? '',
      deliveryId: given['x-github-delivery'] ?? '',
      signature: given['x-hub-signature-256'] ?? '',
      body: Buffer.from(body),
    });
  };
  return { clock, news, send };
}

const published = (publishedAtMs = NOW_MS, secret = SECRET) =>
  signedHook('release', publishedHook('acme/app', 'v2', at(publishedAtMs)), secret);

test('a release that is signed is news of its repository', async () => {
  const { send, news } = prepared();
  expect(await send(published())).toEqual({ status: 'taken' });
  expect(news).toEqual([{ owner: 'acme', repo: 'acme/app' }]);
});

test('the same bytes count once, under whatever id they come, until nobody could deliver them any more', async () => {
  const { send, news, clock } = prepared();
  const hook = published();
  expect(await send(hook)).toEqual({ status: 'taken' });
  expect(await send(hook)).toEqual({ status: 'repeated' });
  expect(await send(hook, { 'x-github-delivery': 'another' })).toEqual({ status: 'repeated' });
  clock.advance(HOOK_WINDOW_MS);
  expect(await send(hook)).toEqual({ status: 'repeated' });
  clock.advance(1);
  expect(await send(hook)).toEqual({ status: 'old' });
  expect(news).toHaveLength(1);
});

test('two that come at once count once', async () => {
  const { send, news } = prepared();
  const hook = published();
  const receipts = await Promise.all([send(hook), send(hook), send(hook)]);
  expect(receipts.map(({ status }) => status).toSorted()).toEqual(['repeated', 'repeated', 'taken']);
  expect(news).toHaveLength(1);
});

test('what happened too long ago, or is yet to come, is not looked at', async () => {
  const { send, news } = prepared();
  expect(await send(published(NOW_MS - HOOK_WINDOW_MS - 1))).toEqual({ status: 'old' });
  expect(await send(published(NOW_MS + 300_001))).toEqual({ status: 'old' });
  expect(news).toEqual([]);
  expect(await send(published(NOW_MS - HOOK_WINDOW_MS))).toEqual({ status: 'taken' });
  expect(await send(published(NOW_MS + 300_000))).toEqual({ status: 'taken' });
});

test('while a secret is changed, both count; others do not', async () => {
  const { send } = prepared([SECRET, 'the-secret-after-that']);
  expect(await send(published())).toEqual({ status: 'taken' });
  expect(await send(published(NOW_MS - 1, 'the-secret-after-that'))).toEqual({ status: 'taken' });
  expect(await send(published(NOW_MS - 2, 'a-secret-of-nobody-here'))).toEqual({ status: 'unsigned' });
});

test.each([
  ['', 'none'],
  ['sha256=', 'an empty one'],
  ['sha1=0123456789abcdef0123456789abcdef01234567', 'one of another kind'],
  [`sha256=${'0'.repeat(64)}`, 'a wrong one'],
  [`sha256=${'0'.repeat(63)}`, 'a short one'],
  [`SHA256=${'0'.repeat(64)}`, 'one in other letters'],
])('the signature %j, %s, is refused before anything is read', async (signature) => {
  const { send, news } = prepared();
  expect(await send(published(), { 'x-hub-signature-256': signature })).toEqual({ status: 'unsigned' });
  const nonsense = signedHook('release', 'no JSON', SECRET);
  expect(await send(nonsense, { 'x-hub-signature-256': signature })).toEqual({ status: 'unsigned' });
  expect(news).toEqual([]);
});

test('a body that was changed is not signed', async () => {
  const { send } = prepared();
  const hook = published();
  expect(await send({ ...hook, body: hook.body.replace('acme/app', 'acme/bad') })).toEqual({ status: 'unsigned' });
});

test.each([
  ['release', 'no JSON', 'the body must be a JSON object'],
  ['release', '[]', 'the body must be a JSON object'],
  ['release', 'payload=%7B%7D', 'application/json'],
  ['release', { action: 'published' }, 'repository.full_name'],
  ['release', { action: 'published', repository: { full_name: '../../etc' } }, 'repository.full_name'],
  ['release', { action: 'published', repository: { full_name: 'a/b/c' } }, 'repository.full_name'],
  ['release', { action: 'published', repository: null }, 'repository.full_name'],
  ['installation', { action: 'deleted' }, 'installation.account.login'],
  ['installation', { installation: { account: { login: 'a b' } } }, 'installation.account.login'],
  ['', {}, 'X-GitHub-Event'],
  ['release\n', {}, 'X-GitHub-Event'],
])('of the event %j the body %j breaks a rule that is told', async (event, payload, rule) => {
  const { send, news } = prepared();
  expect(await send(signedHook(event, payload, SECRET))).toMatchObject({
    status: 'malformed',
    rule: expect.stringContaining(rule) as unknown,
  });
  expect(news).toEqual([]);
});

test('what does not concern releases makes nothing', async () => {
  const { send, news } = prepared();
  for (const event of ['ping', 'push', 'star']) expect(await send(signedHook(event, { zen: 'x' }, SECRET))).toEqual({ status: 'ignored' });
  const starred = publishedHook('acme/app', 'v2', at(NOW_MS), 'created');
  expect(await send(signedHook('release', starred, SECRET))).toEqual({ status: 'ignored' });
  expect(news).toEqual([]);
});

test('an installation that comes or goes is news of all of its owner', async () => {
  const { send, news } = prepared();
  const installation = { id: 99, account: { login: 'acme' }, updated_at: at(NOW_MS) };
  expect(await send(signedHook('installation', { action: 'deleted', installation }, SECRET))).toEqual({ status: 'taken' });
  expect(await send(signedHook('installation_repositories', { action: 'removed', installation }, SECRET))).toEqual({ status: 'taken' });
  expect(news).toEqual([
    { owner: 'acme', repo: null },
    { owner: 'acme', repo: null },
  ]);
});
