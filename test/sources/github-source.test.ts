import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SourceFault, type SourceOutcome } from '../../src/ports/release-source.ts';
import { GITHUB_LIMITS, makeGithubSource } from '../../src/sources/github/github-source.ts';

const COMMIT = 'c'.repeat(40);
const TAG_OBJECT = 'a'.repeat(40);
const BLOB = 'b'.repeat(40);
const TOKEN = 'github_pat_secret';
const NOW_MS = 1_700_000_000_000;

/** What the server answers, by path with its query; everything else is missing, as GitHub says it. */
type Answers = Record<string, unknown>;

const REPO = '/api/repos/acme/app';
const base64 = (text: string): string =>
  Buffer.from(text)
    .toString('base64')
    .replace(/(.{60})/g, '$1\n');
const fileOf = (text: string) => ({ type: 'file', encoding: 'base64', size: text.length, sha: BLOB, content: base64(text) });
const CONTENTS = `${REPO}/contents/tinfoil-config.yml?ref=${COMMIT}`;
const GOOD: Answers = {
  [REPO]: { full_name: 'acme/app' },
  [`${REPO}/releases/tags/v1`]: { tag_name: 'v1', draft: false, prerelease: false },
  [`${REPO}/git/ref/tags%2Fv1`]: { ref: 'refs/tags/v1', object: { type: 'commit', sha: COMMIT } },
  [CONTENTS]: fileOf('one: 1\n'.repeat(30)),
};

let answers: Answers;
let asked: { readonly url: string; readonly headers: IncomingMessage['headers'] }[];
let respond: ((req: IncomingMessage, res: ServerResponse) => void) | null;
let server: Server;
let baseUrl: string;

beforeAll(async () => {
  server = createServer((req, res) => {
    asked.push({ url: req.url ?? '', headers: req.headers });
    if (respond !== null) return respond(req, res);
    const answer = answers[req.url ?? ''];
    res.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json; charset=utf-8' });
    res.end(JSON.stringify(answer ?? { message: 'Not Found', documentation_url: 'https://docs.example', status: '404' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/`;
});

beforeEach(() => {
  answers = { ...GOOD };
  asked = [];
  respond = null;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const read = (over: Partial<Parameters<typeof makeGithubSource>[0]> = {}, tag = 'v1'): Promise<SourceOutcome> =>
  makeGithubSource({ baseUrl, token: TOKEN, app: null, needsAssets: false, nowMs: () => NOW_MS, ...over }).readConfig({
    tenantId: 'acme',
    repo: 'acme/app',
    tag,
  });

async function faultOf(over: Parameters<typeof read>[0] = {}): Promise<SourceFault> {
  const fault: unknown = await read(over).catch((err: unknown) => err);
  expect(fault).toBeInstanceOf(SourceFault);
  return fault as SourceFault;
}

const answerWith =
  (status: number, headers: Record<string, string> = {}, body: unknown = { message: 'no' }) =>
  (_: IncomingMessage, res: ServerResponse): void => {
    res.writeHead(status, { 'content-type': 'application/json', ...headers });
    res.end(JSON.stringify(body));
  };

describe('a release', () => {
  test('gives the file as it is at the commit of its tag, and asks with the token', async () => {
    expect(await read()).toStrictEqual({ ok: true, commit: COMMIT, text: 'one: 1\n'.repeat(30) });
    expect(asked.map(({ url }) => url)).toStrictEqual([`${REPO}/releases/tags/v1`, `${REPO}/git/ref/tags%2Fv1`, CONTENTS]);
    expect(new Set(asked.map(({ headers }) => headers.authorization))).toStrictEqual(new Set([`token ${TOKEN}`]));
    await read({ token: null });
    expect(asked.at(-1)?.headers).not.toHaveProperty('authorization');
  });

  test('that is a pre-release counts', async () => {
    answers[`${REPO}/releases/tags/v1`] = { tag_name: 'v1', draft: false, prerelease: true };
    expect(await read()).toMatchObject({ ok: true });
  });

  test('of an annotated tag is that of the commit behind it', async () => {
    answers[`${REPO}/git/ref/tags%2Fv1`] = { object: { type: 'tag', sha: TAG_OBJECT } };
    answers[`${REPO}/git/tags/${TAG_OBJECT}`] = { object: { type: 'commit', sha: COMMIT } };
    expect(await read()).toMatchObject({ ok: true, commit: COMMIT });
  });

  test('of a tag with slashes and signs stays one tag', async () => {
    answers[`${REPO}/releases/tags/rel%2Fv1%2B1`] = { draft: false };
    answers[`${REPO}/git/ref/tags%2Frel%2Fv1%2B1`] = { object: { type: 'commit', sha: COMMIT } };
    expect(await read({}, 'rel/v1+1')).toMatchObject({ ok: true, commit: COMMIT });
  });

  test('whose file GitHub keeps apart is read from there', async () => {
    const text = 'x: "1"\n';
    answers[CONTENTS] = { type: 'file', encoding: 'none', content: '', size: text.length, sha: BLOB };
    answers[`${REPO}/git/blobs/${BLOB}`] = { encoding: 'base64', content: base64(text), sha: BLOB };
    expect(await read()).toMatchObject({ ok: true, text });
  });
});

describe('no release', () => {
  test.each<readonly [string, Answers, string]>([
    ['no_repo', { [`${REPO}/releases/tags/v1`]: undefined, [REPO]: undefined }, 'there is no repository acme/app on GitHub'],
    ['no_tag', { [`${REPO}/releases/tags/v1`]: undefined, [`${REPO}/git/ref/tags%2Fv1`]: undefined }, 'acme/app has no tag v1'],
    ['no_release', { [`${REPO}/releases/tags/v1`]: undefined }, 'the tag v1 of acme/app has no published release'],
    ['no_release', { [`${REPO}/releases/tags/v1`]: { draft: true } }, 'the tag v1 of acme/app has no published release'],
    ['no_tag', { [`${REPO}/git/ref/tags%2Fv1`]: { object: { type: 'tree', sha: COMMIT } } }, 'the tag v1 of acme/app stands for no commit'],
    ['no_file', { [CONTENTS]: undefined }, 'acme/app has no tinfoil-config.yml at v1'],
    ['refused', { [CONTENTS]: { type: 'symlink', target: '/etc/passwd' } }, 'must be a regular file'],
    ['refused', { [CONTENTS]: [{ type: 'file' }] }, 'must be a regular file'],
    ['file_too_large', { [CONTENTS]: { type: 'file', size: GITHUB_LIMITS.maxConfigBytes + 1 } }, 'must be at most 1048576 bytes'],
    ['file_too_large', { [CONTENTS]: { ...fileOf('x'.repeat(GITHUB_LIMITS.maxConfigBytes + 1)), size: 1 } }, 'must be at most'],
  ])('%s, %#', async (why, over, message) => {
    Object.assign(answers, over);
    expect(await read()).toMatchObject({ ok: false, why, message: expect.stringContaining(message) as unknown });
  });

  test('a tag that stands for itself is not followed for ever', async () => {
    answers[`${REPO}/git/ref/tags%2Fv1`] = { object: { type: 'tag', sha: TAG_OBJECT } };
    answers[`${REPO}/git/tags/${TAG_OBJECT}`] = { object: { type: 'tag', sha: TAG_OBJECT } };
    expect(await read()).toMatchObject({ ok: false, why: 'no_tag' });
    expect(asked.length).toBeLessThan(10);
  });

  test('a repository that this server may not see', async () => {
    respond = answerWith(403, { 'x-ratelimit-remaining': '4000' });
    expect(await read()).toStrictEqual({ ok: false, why: 'refused', message: 'GitHub does not let this server read acme/app' });
  });
});

describe('a source that fails', () => {
  test.each<readonly [string, (req: IncomingMessage, res: ServerResponse) => void, string, number | undefined]>([
    ['a token that is not taken', answerWith(401), 'GitHub does not take the token of this server', undefined],
    ['too many requests', answerWith(429, { 'retry-after': '7' }), 'try again in 7 s', 7000],
    [
      'a used-up limit',
      answerWith(403, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(NOW_MS / 1000 + 90) }),
      'try again in 90 s',
      90_000,
    ],
    ['a second limit', answerWith(403, { 'retry-after': '30' }), 'try again in 30 s', 30_000],
    ['a limit of unknown length', answerWith(429), 'try again in 60 s', 60_000],
    ['an error of the server', answerWith(500), 'GitHub answered with status 500', undefined],
    ['an answer that is no object', answerWith(200, {}, 'x'), 'an answer that cannot be read', undefined],
    ['an answer without end', (_, res) => void res.end(Buffer.alloc(GITHUB_LIMITS.maxAnswerBytes + 1, 0x20)), 'cannot be read', undefined],
    ['a connection that is cut', (_, res) => void res.destroy(), 'could not be reached', undefined],
  ])('%s is told, and asked for once', async (_, answer, told, retryAfterMs) => {
    respond = answer;
    const fault = await faultOf();
    expect(fault).toMatchObject({ code: 'upstream_failed', retryAfterMs });
    expect(fault.publicMessage).toContain(told);
    expect(asked).toHaveLength(1);
    expect(`${fault.stack} ${JSON.stringify(fault)}`).not.toContain(TOKEN);
    expect(fault.cause).toBeUndefined();
  });

  test('one that does not answer is given up in time', async () => {
    respond = () => undefined;
    const fault = await faultOf({ limits: { ...GITHUB_LIMITS, timeoutMs: 100 } });
    expect(fault).toMatchObject({ code: 'upstream_timeout', publicMessage: 'GitHub takes too long to answer' });
  });

  test('one that never ends its answer is given up in time', async () => {
    respond = (_, res) => void res.writeHead(200, { 'content-type': 'application/json' }).write('{"a":');
    expect(await faultOf({ limits: { ...GITHUB_LIMITS, timeoutMs: 100 } })).toMatchObject({ code: 'upstream_timeout' });
  });

  test('nobody listens', async () => {
    const fault = await faultOf({ baseUrl: 'http://127.0.0.1:1' });
    expect(fault.publicMessage).toBe('GitHub could not be reached, or gave an answer that cannot be read');
  });
});
