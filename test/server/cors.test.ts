import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Running } from '../../src/server/boot.ts';
import { rawRequest, sendRaw } from '../support/raw-http.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';
import { chatBody, testConfig } from '../support/test-config.ts';
import { makeTestFolder, type TestFolder } from './in-process.ts';

const APP = 'https://app.example.com';
const LOCAL = 'http://localhost:5173';
const CORS_HEADERS = /^(access-control-|vary$)/;

const corsOf = (headers: Headers): Record<string, string> => Object.fromEntries([...headers].filter(([name]) => CORS_HEADERS.test(name)));

let model: OpenAiServer;
let open: { folder: TestFolder; running: Running; key: string };
let closed: typeof open;

async function start(gateway: string): Promise<typeof open> {
  const folder = makeTestFolder();
  const running = await folder.start({ yaml: `${gateway}\n${testConfig(model.url)}` });
  return { folder, running, key: running.prepared.credentials.management_key ?? '' };
}

beforeAll(async () => {
  model = await startOpenAiServer();
  open = await start(`gateway: { cors_origins: ["${APP}", "${LOCAL}"] }`);
  closed = await start('');
});
afterAll(async () => {
  await open.folder.dispose();
  await closed.folder.dispose();
  await model.close();
});

const at = (path: string, plane: 'runtime' | 'admin' = 'runtime', which = open): string =>
  `${which.running.listeners[plane].origin}${path}`;

/** What the openai client sends in a browser, as its preflight names it. */
const OPENAI_HEADERS =
  'authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout';

const preflight = (
  origin: string,
  options: { path?: string; headers?: string; extra?: Record<string, string>; plane?: 'runtime' | 'admin' } = {},
) =>
  fetch(at(options.path ?? '/v1/chat/completions', options.plane), {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': options.headers ?? OPENAI_HEADERS,
      ...options.extra,
    },
  });

const chat = (origin: string | null, options: { body?: unknown; key?: string; which?: typeof open } = {}): Promise<Response> =>
  fetch(at('/v1/chat/completions', 'runtime', options.which), {
    method: 'POST',
    headers: {
      authorization: `Bearer ${options.key ?? (options.which ?? open).key}`,
      'content-type': 'application/json',
      ...(origin === null ? {} : { origin }),
    },
    body: JSON.stringify(options.body ?? chatBody('hello')),
  });

describe('without declared origins', () => {
  test('no answer has a header of the kind, and a preflight is refused like any other method', async () => {
    const answers = [
      await chat(APP, { which: closed }),
      await chat(APP, { which: closed, key: 'no' }),
      await fetch(at('/v1/models', 'runtime', closed), { headers: { origin: APP } }),
      await fetch(at('/v1/chat/completions', 'runtime', closed), {
        method: 'OPTIONS',
        headers: { origin: APP, 'access-control-request-method': 'POST' },
      }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 401, 401, 405]);
    for (const { headers } of answers) expect(corsOf(headers)).toEqual({});
  });
});

describe('a preflight', () => {
  test('of a declared origin lets the openai client in, without a credential and before anything is looked up', async () => {
    for (const origin of [APP, LOCAL]) {
      const answer = await preflight(origin);
      expect([answer.status, await answer.text()]).toEqual([204, '']);
      expect(corsOf(answer.headers)).toEqual({
        'access-control-allow-origin': origin,
        'access-control-allow-methods': 'GET, HEAD, POST, DELETE',
        'access-control-allow-headers': OPENAI_HEADERS.replaceAll(',', ', '),
        'access-control-max-age': '600',
        vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
      });
    }
  });

  test('is answered on every path of the gateway, also for those that it does not serve', async () => {
    for (const path of ['/v1/models', '/v1/models/some/model', '/v1/embeddings', '/v1/files'])
      expect([path, (await preflight(APP, { path })).status]).toEqual([path, 204]);
  });

  test('lets a page name the enclave whose attestation it asks for, and fetch the key to seal for', async () => {
    for (const path of ['/attestation', '/.well-known/hpke-keys']) {
      const asked = await preflight(APP, { path, headers: 'x-tinfoil-enclave-url', extra: { 'access-control-request-method': 'GET' } });
      expect([path, asked.status, asked.headers.get('access-control-allow-headers')]).toEqual([path, 204, 'x-tinfoil-enclave-url']);
      const refused = await fetch(at(path), { method: 'OPTIONS' });
      expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    }
  });

  test("lets Anthropic's client in, whose answers it may read", async () => {
    const headers = 'anthropic-dangerous-direct-browser-access,anthropic-version,content-type,x-api-key,x-stainless-os';
    const preflighted = await preflight(APP, { path: '/v1/messages', headers });
    expect([preflighted.status, preflighted.headers.get('access-control-allow-headers')]).toEqual([204, headers.replaceAll(',', ', ')]);
    const answer = await fetch(at('/v1/messages'), {
      method: 'POST',
      headers: { origin: APP, 'x-api-key': open.key, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'demo-echo', max_tokens: 8, messages: [{ role: 'user', content: 'hello' }] }),
    });
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, APP]);
    expect(answer.headers.get('access-control-expose-headers')).toContain('request-id');
    const list = await fetch(at('/v1/models'), { headers: { origin: APP, 'x-api-key': open.key, 'anthropic-version': '2023-06-01' } });
    expect([list.status, list.headers.get('access-control-allow-origin')]).toEqual([200, APP]);
  });

  test('lets our own headers in, and none that could choose something for another', async () => {
    const asked =
      'X-Castellan-App, X-Tinfoil-Request-Usage-Metrics, Idempotency-Key, OpenAI-Beta, cookie, host, x-forwarded-for, x-evil, x-stainless-';
    const { headers } = await preflight(APP, { headers: asked });
    expect(headers.get('access-control-allow-headers')).toBe(
      'x-castellan-app, x-tinfoil-request-usage-metrics, idempotency-key, openai-beta',
    );
  });

  test('into a private network is allowed to a declared origin', async () => {
    const answer = await preflight(APP, { extra: { 'access-control-request-private-network': 'true' } });
    expect(answer.headers.get('access-control-allow-private-network')).toBe('true');
  });

  test.each([
    'https://evil.example',
    'https://app.example.com.evil.example',
    'https://app.example.com:8443',
    'http://app.example.com',
    'https://APP.example.com',
    'https://app.example.com/',
    'https://sub.app.example.com',
    'null',
    '*',
  ])('of %s is refused', async (origin) => {
    const answer = await preflight(origin);
    expect(answer.status).toBe(405);
    expect(corsOf(answer.headers)).toEqual({ vary: 'Origin' });
  });

  test('without the method that it asks for is none', async () => {
    const answer = await fetch(at('/v1/chat/completions'), { method: 'OPTIONS', headers: { origin: APP } });
    expect(answer.status).toBe(405);
  });
});

describe('an answer to a declared origin', () => {
  const expectReadable = ({ headers }: Response): void => {
    expect(headers.get('access-control-allow-origin')).toBe(APP);
    expect(headers.get('vary')).toBe('Origin');
    expect(headers.get('access-control-allow-credentials')).toBeNull();
    const exposed = (headers.get('access-control-expose-headers') ?? '').split(', ');
    expect(exposed).toEqual(
      expect.arrayContaining(['retry-after', 'x-request-id', 'x-should-retry', 'x-tinfoil-usage-metrics', 'x-castellan-output-limit']),
    );
  };

  test('can be read, whole or as a stream', async () => {
    const whole = await chat(APP);
    expect([whole.status, await whole.json()]).toEqual([200, expect.objectContaining({ object: 'chat.completion' })]);
    expectReadable(whole);
    const stream = await chat(APP, { body: chatBody('hello', { stream: true }) });
    expect([stream.status, (await stream.text()).includes('[DONE]')]).toEqual([200, true]);
    expectReadable(stream);
    expectReadable(await fetch(at('/v1/models'), { headers: { origin: APP, authorization: `Bearer ${open.key}` } }));
  });

  test('can be read where it is an error: 400, 401, 404, 405, 413, 415', async () => {
    const post = (init: RequestInit, path = '/v1/chat/completions') =>
      fetch(at(path), {
        method: 'POST',
        ...init,
        headers: { origin: APP, authorization: `Bearer ${open.key}`, 'content-type': 'application/json', ...(init.headers as object) },
      });
    const answers = [
      await post({ body: '{' }),
      await post({ body: '{}', headers: { authorization: 'Bearer no' } }),
      await post({ body: '{}' }, '/v1/files'),
      await fetch(at('/v1/chat/completions'), { headers: { origin: APP } }),
      await post({ body: `{"x":"${'x'.repeat(33_554_432)}"}` }),
      await post({ body: 'x', headers: { 'content-type': 'text/plain' } }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([400, 401, 404, 405, 413, 415]);
    for (const answer of answers) expectReadable(answer);
  });

  test('can be read where a guard refuses the request before its surface sees it', async () => {
    const headers = ['Host: a', 'Connection: close', `Origin: ${APP}`, 'Authorization: Bearer a', 'Authorization: Bearer b'];
    const answer = await sendRaw(open.running.listeners.runtime.origin, [rawRequest({ method: 'GET', path: '/v1/models', headers })]);
    expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([400, APP]);
  });
});

test('an answer to another origin, or to none, cannot be read by a page, and no cache takes it for one that can', async () => {
  for (const origin of ['https://evil.example', null]) {
    const answer = await chat(origin);
    expect(answer.status).toBe(200);
    expect(corsOf(answer.headers)).toEqual({ vary: 'Origin' });
  }
});

test('what is no path of the gateway is open to nobody', async () => {
  for (const path of ['/health', '/v1/unknown', '/']) {
    const answers = [await fetch(at(path), { headers: { origin: APP } }), await preflight(APP, { path })];
    for (const { headers } of answers) expect(corsOf(headers)).toEqual({});
  }
});

test('the control plane stays closed, the gateway on it too', async () => {
  for (const path of ['/v1/chat/completions', '/v1/models', '/api/keys', '/v1/x-castellan/tenants', '/api/shim/validate-key']) {
    const answers = [await preflight(APP, { path, plane: 'admin' }), await fetch(at(path, 'admin'), { headers: { origin: APP } })];
    for (const answer of answers) {
      expect([path, answer.status]).toEqual([path, 403]);
      expect(corsOf(answer.headers)).toEqual({});
    }
  }
});

test.each([
  ['every origin', '["*"]', 'must be an origin'],
  ['a path', '["https://app.example.com/"]', 'must be an origin'],
  ['no scheme', '["app.example.com"]', 'must be an origin'],
  ['upper case', '["https://App.example.com"]', 'must be an origin'],
  ['the port that browsers leave out', '["https://app.example.com:443"]', 'browsers write it as "https://app.example.com"'],
  ['null', '["null"]', 'must be an origin'],
  ['one twice', `["${APP}", "${APP}"]`, 'for the second time'],
  ['a text', `"${APP}"`, 'must be a list'],
])('a file that declares %s stops the start', async (_what, origins, sentence) => {
  const folder = makeTestFolder();
  await expect(folder.start({ yaml: `gateway: { cors_origins: ${origins} }` })).rejects.toThrow(sentence);
  await folder.dispose();
});
