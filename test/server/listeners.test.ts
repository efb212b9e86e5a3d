import { once } from 'node:events';
import { createServer, connect, type AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Running } from '../../src/server/boot.ts';
import { ConfigError } from '../../src/server/config-error.ts';
import { VARIABLES } from '../../src/server/config.ts';
import { makeTestFolder, recordingLog } from './in-process.ts';

const folder = makeTestFolder();
const log = recordingLog();
let running: Running;

beforeAll(async () => {
  const clientTimeouts = { requestMs: 400, headersMs: 200, checkMs: 20, keepAliveMs: 72_000 };
  running = await folder.start({
    overrides: { log, clientTimeouts },
    env: { CASTELLAN_ALLOWED_HOSTS: 'keys.example', CASTELLAN_ALLOWED_ORIGINS: 'http://localhost:8080' },
  });
});
afterAll(() => folder.dispose());

/** Sends bytes over a connection and gives all that came back until it was closed. */
async function exchange(port: number, ...pieces: string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.setEncoding('utf8');
  let answer = '';
  socket.on('data', (text: string) => (answer += text));
  const closed = once(socket, 'close');
  for (const piece of pieces) socket.write(piece);
  await closed;
  return answer;
}

const bodyOf = (answer: string): unknown => JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4));

describe('a request that does not arrive', () => {
  test.each(['runtime', 'admin'] as const)('as a whole in time is cut off on the %s listener, with 408 in its form', async (name) => {
    const answer = await exchange(
      running.listeners[name].port,
      'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    const message = 'the request did not arrive in time';
    const form = { runtime: { error: { message, code: 'request_timeout' } }, admin: { error: message, code: 'REQUEST_TIMEOUT' } };
    expect(bodyOf(answer)).toMatchObject(form[name]);
  });

  test('with its body in time is cut off and changes nothing', async () => {
    const { admin_key: key } = running.prepared.credentials;
    const head = `POST /api/keys HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n`;
    const answer = await exchange(running.listeners.admin.port, head, '{"name":"slow');
    expect(answer).not.toMatch(/^HTTP\/1\.1 2/);
    const keys = (await (
      await fetch(`${running.listeners.admin.origin}/api/keys`, { headers: { authorization: `Bearer ${key}` } })
    ).json()) as object[];
    expect(keys).toHaveLength(1);
  });

  test('as HTTP at all is answered 400 and closed', async () => {
    const answer = await exchange(running.listeners.runtime.port, 'tk_this is no request\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(bodyOf(answer)).toMatchObject({ error: { code: 'bad_request' } });
    expect(answer).not.toContain('tk_this');
  });
});

describe('health', () => {
  test.each(['/health', '/actuator/health', '/actuator/health/liveness', '/actuator/health/readiness'])(
    '%s says UP and no more, on both listeners',
    async (path) => {
      for (const { origin } of [running.listeners.runtime, running.listeners.admin]) {
        const answer = await fetch(`${origin}${path}`);
        expect([answer.status, await answer.text()]).toEqual([200, '{"status":"UP"}']);
      }
    },
  );
});

test.each([
  ['PUT', '/v1/admin/tenants', 405],
  ['PUT', '/v1/admin/nothing', 404],
  ['DELETE', '/api/keys/none/none', 404],
])('%s %s with a content type and no body, or a broken one, is %i all the same', async (method, path, status) => {
  for (const body of [undefined, '{']) {
    const options = { method, headers: { 'content-type': 'application/json' }, ...(body === undefined ? {} : { body }) };
    const answer = await fetch(`${running.listeners.admin.origin}${path}`, options);
    expect(answer.status).toBe(status);
  }
});

describe("Anthropic's API on both listeners", () => {
  const ask = async (listener: 'runtime' | 'admin', path: string, headers: Record<string, string> = {}): Promise<[number, unknown]> => {
    const body = JSON.stringify({ model: 'demo-echo', max_tokens: 5, messages: [{ role: 'user', content: 'hello' }] });
    const answer = await fetch(`${running.listeners[listener].origin}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
    return [answer.status, await answer.json()];
  };

  test.each(['runtime', 'admin'] as const)('%s: the demo model answers it', async (listener) => {
    const { management_key: key = '' } = running.prepared.credentials;
    const answered = { type: 'message', usage: { output_tokens: 4 } };
    expect(await ask(listener, '/v1/messages?beta=true', { 'x-api-key': key })).toMatchObject([200, answered]);
    expect(await ask(listener, '/v1/messages', { authorization: `Bearer ${key}` })).toMatchObject([200, answered]);
    expect(await ask(listener, '/v1/messages/count_tokens', { 'x-api-key': key })).toEqual([200, { input_tokens: 8 }]);
  });

  test.each(['runtime', 'admin'] as const)('%s: whatever is refused below its path is refused in its form', async (listener) => {
    const form = (type: string, code: string): object => ({ type: 'error', error: { type, code } });
    expect(await ask(listener, '/v1/messages')).toMatchObject([401, form('authentication_error', 'unauthorized')]);
    expect(await ask(listener, '/v1/messages/batches')).toMatchObject([404, form('not_found_error', 'route_not_found')]);
    expect(await ask(listener, '/v1/messages/%zz')).toMatchObject([400, form('invalid_request_error', 'bad_url')]);
    expect(await ask(listener, '/v1/messages', { 'content-encoding': 'gzip' })).toMatchObject([401, {}]);
  });

  test('a foreign page is refused in its form too, on the control plane', async () => {
    expect(await ask('admin', '/v1/messages', { origin: 'http://evil.example' })).toMatchObject([
      403,
      { type: 'error', error: { type: 'permission_error', code: 'foreign_origin' } },
    ]);
  });
});

describe('the control plane', () => {
  const statusFor = async (headers: Record<string, string>): Promise<string> => {
    const lines = Object.entries({ Connection: 'close', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    return (await exchange(running.listeners.admin.port, `GET /health HTTP/1.1\r\n${lines.join('')}\r\n`)).slice(9, 12);
  };

  test('answers for loopback names and for the names that it was given, and for no other', async () => {
    const port = running.listeners.admin.port;
    for (const host of ['localhost', `127.0.0.1:${port}`, '[::1]', 'keys.example', 'KEYS.EXAMPLE:443'])
      expect([host, await statusFor({ Host: host })]).toEqual([host, '200']);
    for (const host of ['evil.example', 'keys.example.evil.example', ''])
      expect([host, await statusFor({ Host: host })]).toEqual([host, '421']);
  });

  test('refuses pages from elsewhere', async () => {
    expect(await statusFor({ Host: 'localhost', Origin: 'https://evil.example' })).toBe('403');
    expect(await statusFor({ Host: 'localhost', Origin: 'http://localhost' })).toBe('200');
    expect(await statusFor({ Host: 'localhost', Origin: 'http://localhost:8081' })).toBe('403');
  });

  test('takes requests of the pages that it was told of, and tells no browser that they may read answers from elsewhere', async () => {
    const origin = 'http://localhost:8080';
    expect(await statusFor({ Host: 'localhost', Origin: origin })).toBe('200');
    expect(await statusFor({ Host: 'evil.example', Origin: origin })).toBe('421');
    const answer = await fetch(`${running.listeners.admin.origin}/health`, { headers: { origin } });
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
  });

  test('is the only listener with management paths', async () => {
    for (const [path, headers] of [
      ['/api/keys', { authorization: `Bearer ${running.prepared.credentials.admin_key}` }],
      ['/v1/x-castellan/tenants', { 'x-admin-api-key': running.prepared.credentials.operator_key }],
    ] as const) {
      expect([path, (await fetch(`${running.listeners.runtime.origin}${path}`, { headers })).status]).toEqual([path, 404]);
      expect([path, (await fetch(`${running.listeners.admin.origin}${path}`, { headers })).status]).toEqual([path, 200]);
    }
  });
});

test('each request leaves a line with id, pattern, status, time and key, and never its address', async () => {
  const { admin_key: key } = running.prepared.credentials;
  const answer = await fetch(`${running.listeners.admin.origin}/api/keys/tk_canary0000000000000000000000000000?x=canary`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${key}` },
  });
  expect(answer.status).toBe(404);
  const requestId = answer.headers.get('x-request-id');
  const lines = log.lines.filter(({ fields }) => fields['requestId'] === requestId);
  expect(lines.map(({ fields }) => fields)).toEqual([
    {
      listener: 'admin',
      requestId,
      method: 'DELETE',
      route: '/api/keys/:key',
      status: 404,
      durationMs: expect.any(Number) as number,
      tenantId: 'default',
      keyId: expect.stringMatching(/^key_/) as string,
    },
  ]);
  expect(JSON.stringify(log.lines)).not.toContain('canary');
});

test('a port in use stops the start with one sentence, and what was opened is closed again', async () => {
  const blocker = createServer().listen(0, '127.0.0.1');
  await once(blocker, 'listening');
  const { port } = blocker.address() as AddressInfo;
  const other = makeTestFolder();
  try {
    const error: unknown = await other.start({ env: { CASTELLAN_RUNTIME_PORT: String(port) } }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toBe(
      `Port ${port} on 127.0.0.1 is in use: stop the program that uses it, or set CASTELLAN_RUNTIME_PORT to another port.`,
    );
    // The folder is free again, and the first start is done.
    expect((await other.start()).prepared.isFirstStart).toBe(false);
  } finally {
    blocker.close();
    await other.dispose();
  }
});

test('the configuration reference names every variable', () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/configuration.md'), 'utf8');
  for (const variable of VARIABLES) expect(text).toContain(`\`${variable}\``);
});
