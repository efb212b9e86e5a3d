import { beforeAll, describe, expect, test } from 'vitest';
import type { MadeKey, MadeTenant } from '../support/control-plane.ts';
import { bearer, operator, type HttpClient } from '../support/http-client.ts';
import { rawRequest, sendRaw } from '../support/raw-http.ts';
import type { TestServer } from '../support/server-process.ts';
import { expectRefused, FORMS, SLOW_MS, useHostileTarget, type Form } from './hostile-target.ts';

let server: TestServer;
let client: HttpClient;
let tenant: MadeTenant;
let key: MadeKey;
const target = useHostileTarget();

beforeAll(() => {
  ({ server, client, tenant, key } = target.get());
});

/** A call that would be answered. */
const CHAT = '{"model":"demo-echo","messages":[{"role":"user","content":"hi"}],"max_tokens":16}';

describe('a credential that comes twice', () => {
  const expectRefusedTwice = async (form: Form, plane: 'admin' | 'runtime', path: string, headers: readonly string[]): Promise<void> => {
    const body = path.startsWith('/v1/x-castellan') ? '{"id":"twice","name":"twice"}' : path.startsWith('/v1') ? CHAT : '{"name":"twice"}';
    const answer = await sendRaw(server[plane], [
      rawRequest({ method: 'POST', path, headers: ['Content-Type: application/json', ...headers], body }),
    ]);
    expect({ path, headers: headers.length, status: answer.status }).toEqual({ path, headers: headers.length, status: 400 });
    FORMS[form](JSON.parse(answer.body));
  };

  test('is a 400 before any look-up, on every surface', async () => {
    const bearerLine = (value: string): string => `Authorization: Bearer ${value}`;
    const operatorLine = `X-Admin-API-Key: ${server.credentials().operator_key}`;
    await expectRefusedTwice('tinfoil', 'admin', '/api/keys', [bearerLine(tenant.adminKey), bearerLine(tenant.adminKey)]);
    await expectRefusedTwice('tinfoil', 'admin', '/api/keys', [bearerLine(tenant.adminKey), bearerLine(key.key)]);
    await expectRefusedTwice('openai', 'runtime', '/v1/chat/completions', [bearerLine(key.key), bearerLine(key.key)]);
    await expectRefusedTwice('openai', 'admin', '/v1/chat/completions', [bearerLine('x'), bearerLine(key.key)]);
    await expectRefusedTwice('cycles', 'admin', '/v1/x-castellan/tenants', [operatorLine, operatorLine]);
  });
});

describe('what could be read in two ways', () => {
  const ADMIN_HOST = (): string => new URL(server.admin).host;
  const send = (plane: 'admin' | 'runtime', text: string): ReturnType<typeof sendRaw> => sendRaw(server[plane], [text]);
  const get = (target: string, headers: readonly string[], method = 'GET'): string =>
    `${method} ${target} HTTP/1.1\r\n${[...headers, 'Connection: close'].join('\r\n')}\r\n\r\n`;

  test('a doubled credential is 400 also where no route looks at it', async () => {
    for (const plane of ['admin', 'runtime'] as const) {
      for (const path of ['/v1/foo', '/health', '/v1/chat/anything', '/v1/embeddings']) {
        const twice = ['Authorization: Bearer a', 'Authorization: Bearer b'];
        const answer = await send(plane, get(path, [`Host: ${new URL(server[plane]).host}`, ...twice]));
        expect({ plane, path, status: answer.status }).toEqual({ plane, path, status: 400 });
        expect(answer.body).toContain('authorization came more than once');
      }
    }
  });

  test.each(['Host: 127.0.0.1', 'Host: evil.example'])('two hosts are 400: %s', async (second) => {
    for (const plane of ['admin', 'runtime'] as const) {
      const answer = await send(plane, get('/health', ['Host: 127.0.0.1', second]));
      expect(answer.status).toBe(400);
      expect(answer.body).toContain('host came more than once');
    }
  });

  test.each([
    'http://evil.example/api/keys',
    'HTTP://evil.example/api/keys',
    'http://127.0.0.1@evil.example/api/keys',
    'http://evil.example:7979/health',
  ])('the control plane judges %s by the host that it names', async (address) => {
    const answer = await send('admin', get(address, [`Host: ${ADMIN_HOST()}`, `Authorization: Bearer ${tenant.adminKey}`]));
    expect(answer.status).toBe(421);
    JSON.parse(answer.body);
  });

  test('an absolute address of its own is answered as its path is', async () => {
    const own = await send('admin', get(`${server.admin}/api/keys`, [`Host: ${ADMIN_HOST()}`, `Authorization: Bearer ${tenant.adminKey}`]));
    expect(own.status).toBe(200);
    const wrong = await send('admin', get(`${server.admin}/api/nothing`, [`Host: ${ADMIN_HOST()}`]));
    expect(wrong.status).toBe(404);
    FORMS.tinfoil(JSON.parse(wrong.body));
  });

  test('Allow names what is served, whatever was tried', async () => {
    for (const method of ['TRACE', 'PROPFIND', 'GET']) {
      const answer = await send('runtime', get('/v1/chat/completions', ['Host: 127.0.0.1'], method));
      expect([method, answer.status, answer.headers['allow']]).toEqual([method, 405, 'POST']);
      expect([method, (await send('runtime', get('/v1/chat/anything', ['Host: 127.0.0.1'], method))).status]).toEqual([method, 404]);
    }
  });

  test.each([
    ['no Host', 400, 'GET /health HTTP/1.1\r\nConnection: close\r\n\r\n', 'Host'],
    ['an Expect that nobody knows', 417, 'GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: bogus\r\n\r\n', 'Expect'],
    ['too many headers', 431, `GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Large: ${'x'.repeat(20_000)}\r\n\r\n`, 'headers'],
    ['no HTTP behind an answer', 400, 'GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n', 'HTTP'],
  ])('%s is answered with a sentence in JSON', async (what, status, text, says) => {
    for (const plane of ['admin', 'runtime'] as const) {
      const late = what.startsWith('no HTTP') ? [200, 'hello\r\n\r\n'] : [];
      const answer = await sendRaw(server[plane], [text, ...late]);
      const body = late.length === 0 ? answer.body : (answer.body.split('\r\n\r\n').at(-1) ?? '');
      if (late.length === 0) expect(answer.status).toBe(status);
      else expect(answer.body).toContain(`HTTP/1.1 ${status}`);
      expect(JSON.stringify(JSON.parse(body))).toContain(says);
    }
  });

  test.each([
    ['Content-Encoding: gzip', 'Content-Type: application/json', 415],
    ['Content-Type: application/json; charset=latin1', 'Accept: */*', 415],
    ['Content-Type: application/json', 'Content-Type: text/plain', 400],
  ])('a body with %s and %s is %d on every surface', async (first, second, status) => {
    const body = CHAT;
    const operatorLine = `X-Admin-API-Key: ${server.credentials().operator_key}`;
    for (const [plane, path, credential] of [
      ['runtime', '/v1/chat/completions', `Authorization: Bearer ${key.key}`],
      ['admin', '/api/keys', `Authorization: Bearer ${tenant.adminKey}`],
      ['admin', '/v1/x-castellan/tenants', operatorLine],
    ] as const) {
      const answer = await sendRaw(server[plane], [rawRequest({ method: 'POST', path, headers: [credential, first, second], body })]);
      expect([path, answer.status]).toEqual([path, status]);
      JSON.parse(answer.body);
    }
  });
});

describe('slow clients are cut off', () => {
  const head = (path: string, credential: string, length: number): string =>
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAuthorization: Bearer ${credential}\r\nContent-Length: ${length}\r\n\r\n`;

  test.each(['admin', 'runtime'] as const)('that do not finish their headers, on the %s listener', async (plane) => {
    const answer = await sendRaw(server[plane], [
      'POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n',
      ...Array.from({ length: 50 }, () => [100, 'X-Slow: 1\r\n']).flat(),
    ]);
    expect([0, 408]).toContain(answer.status);
    expect(answer.tookMs).toBeLessThan(SLOW_MS * 10);
  });

  test('that do not finish their body', async () => {
    const slowly = Array.from({ length: 50 }, () => [100, ' ']).flat();
    const [gateway, admin] = await Promise.all([
      sendRaw(server.runtime, [head('/v1/chat/completions', key.key, 10_000), '{', ...slowly]),
      sendRaw(server.admin, [head('/api/keys', tenant.adminKey, 10_000), '{"name":"slow"', ...slowly]),
    ]);
    for (const answer of [gateway, admin]) {
      expect([0, 408]).toContain(answer.status);
      expect(answer.tookMs).toBeLessThan(SLOW_MS * 15);
    }
  });

  test('that promise more than they may send are refused before they send it', async () => {
    const answer = await sendRaw(server.runtime, [head('/v1/chat/completions', key.key, 1_000_000_000)]);
    expect(answer.status).toBe(413);
  });
});

describe('requests that are no proper HTTP', () => {
  test.each([
    ['no HTTP at all', 'hello\r\n\r\n'],
    ['two lengths', 'POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x'],
    [
      'a length and chunks',
      'POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a header with a NUL', 'GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Bad: a\u0000b\r\n\r\n'],
    ['headers of 100 KB', `GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Large: ${'x'.repeat(100_000)}\r\n\r\n`],
    ['no host', 'GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n'],
  ])('are refused or cut off: %s', async (_what, text) => {
    for (const plane of ['admin', 'runtime'] as const) {
      const answer = await sendRaw(server[plane], [text]);
      expect(answer.status === 0 || (answer.status >= 400 && answer.status < 500)).toBe(true);
      if (answer.body !== '') expect(() => JSON.parse(answer.body) as unknown).not.toThrow();
    }
  });
});

describe('the control plane against browsers', () => {
  const ask = (headers: readonly string[], path = '/api/keys'): ReturnType<typeof sendRaw> =>
    sendRaw(server.admin, [
      rawRequest({
        method: 'POST',
        path,
        headers: ['Content-Type: application/json', `Authorization: Bearer ${tenant.adminKey}`, ...headers],
        body: '{"name":"browser"}',
      }),
    ]);

  test.each([
    'evil.example',
    'evil.example:7979',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    '169.254.169.254',
    '[::ffff:1.2.3.4]',
    'a b',
  ])('answers 421 to the foreign host %s', async (host) => {
    const answer = await ask([`Host: ${host}`]);
    expect([400, 421]).toContain(answer.status);
    if (host !== 'a b') expect(answer.status).toBe(421);
  });

  test.each(['http://evil.example', 'https://127.0.0.1', 'http://127.0.0.1:1', 'null', 'file://', 'http://localhost.evil.example'])(
    'answers 403 to the foreign origin %s',
    async (origin) => {
      expect((await ask([`Host: ${new URL(server.admin).host}`, `Origin: ${origin}`])).status).toBe(403);
    },
  );

  test('guards the gateway paths that it serves as well', async () => {
    expect((await ask(['Host: evil.example'], '/v1/chat/completions')).status).toBe(421);
    expect((await ask([`Host: ${new URL(server.admin).host}`, 'Origin: http://evil.example'], '/v1/chat/completions')).status).toBe(403);
  });

  test('sets no cookie and allows no other origin', async () => {
    const answer = await client.ask(`${server.admin}/api/keys`, { headers: bearer(tenant.adminKey) });
    expect(answer.status).toBe(200);
    expect(answer.headers['set-cookie']).toBeUndefined();
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
  });
});

describe('addresses and methods that nobody serves', () => {
  const CREDENTIALS: readonly { readonly kind: string; readonly form: Form; readonly headers: () => Readonly<Record<string, string>> }[] = [
    { kind: 'a bearer key', form: 'openai', headers: () => bearer(key.key) },
    { kind: "the operator's key", form: 'cycles', headers: () => operator(server.credentials().operator_key) },
    { kind: 'a Cycles key', form: 'cycles', headers: () => ({ 'x-cycles-api-key': 'cyc_live_nobody' }) },
    { kind: 'none', form: 'cycles', headers: () => ({}) },
  ];
  const UNKNOWN = [
    '/',
    '/nothing',
    '/v2/keys',
    '/admin',
    '/.env',
    '/etc/passwd',
    '/health/../nothing',
    '/nothing%2Fmore',
    '/%2e%2e/nothing',
  ];

  test.each(CREDENTIALS)('are 404 in the form of the credential: $kind', async ({ form, headers }) => {
    for (const plane of ['admin', 'runtime'] as const) {
      for (const path of UNKNOWN) {
        const lines = Object.entries(headers()).map(([name, value]) => `${name}: ${value}`);
        const answer = await sendRaw(server[plane], [rawRequest({ method: 'GET', path, headers: lines })]);
        expect({ plane, path, status: answer.status }).toEqual({ plane, path, status: 404 });
        FORMS[form](JSON.parse(answer.body));
      }
    }
  });

  test('are 404 in the form of the surface that owns the prefix', async () => {
    for (const path of ['/api', '/api/nothing', '/api/keys/a/b', '/api/../v1/x-castellan/tenants', '/api/keys/..%2F..']) {
      const answer = await sendRaw(server.admin, [
        rawRequest({ method: 'GET', path, headers: [`Authorization: Bearer ${tenant.adminKey}`] }),
      ]);
      expect({ path, is4xx: answer.status >= 400 && answer.status < 500 }).toEqual({ path, is4xx: true });
      FORMS.tinfoil(JSON.parse(answer.body));
    }
    await expectRefused(target.get(), 'openai', 'runtime', {
      headers: bearer(key.key),
      what: 'a gateway path',
      path: '/v1/chat/nothing',
      body: {},
      status: 404,
    });
  });

  test('are 405 with Allow where only the method is wrong', async () => {
    const cases: readonly {
      readonly method: string;
      readonly path: string;
      readonly allow: string;
      readonly form: Form;
      readonly headers: Readonly<Record<string, string>>;
    }[] = [
      { method: 'PUT', path: '/api/keys', allow: 'POST', form: 'tinfoil', headers: bearer(tenant.adminKey) },
      { method: 'GET', path: '/api/keys/update', allow: 'POST', form: 'tinfoil', headers: bearer(tenant.adminKey) },
      { method: 'GET', path: '/v1/chat/completions', allow: 'POST', form: 'openai', headers: bearer(key.key) },
      { method: 'DELETE', path: '/v1/models', allow: 'GET', form: 'openai', headers: bearer(key.key) },
      {
        method: 'DELETE',
        path: '/v1/x-castellan/tenants',
        allow: 'POST',
        form: 'cycles',
        headers: operator(server.credentials().operator_key),
      },
    ];
    for (const { method, path, allow, form, headers } of cases) {
      const answer = await client.ask(`${server.admin}${path}`, { method, headers });
      expect({ path, status: answer.status }).toEqual({ path, status: 405 });
      expect(answer.headers['allow']).toContain(allow);
      FORMS[form](answer.json());
    }
  });
});
