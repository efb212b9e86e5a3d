import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KEY, startGateway, type Gateway } from '../../support/gateway-harness.ts';

const CALL = { model: 'm1', max_tokens: 10, messages: [{ role: 'user', content: 'hello there' }] };

let gateway: Gateway;

beforeAll(async () => {
  gateway = await startGateway({ maxBodyBytes: 10_000 });
});

afterAll(async () => {
  await gateway.close();
});

interface Answer {
  readonly status: number;
  readonly error: { readonly message: string; readonly type: string; readonly param: string | null; readonly code: string | null };
}

async function refused(answering: Promise<Response>): Promise<Answer> {
  const answer = await answering;
  expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
  const { error } = (await answer.json()) as { error: Answer['error'] };
  expect(Object.keys(error)).toEqual(['message', 'type', 'param', 'code']);
  return { status: answer.status, error };
}

/** Sends bytes as they are and returns the status line and the body. */
function rawRequest(lines: readonly string[], body = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(gateway.port, '127.0.0.1', () => void socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`));
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (/\r\n\r\n[\s\S]*\}$/.test(text)) socket.destroy();
    });
    socket.on('close', () => resolve(text));
    socket.on('error', reject);
  });
}

const expectNothingDone = (): void => {
  expect(gateway.commands).toHaveLength(0);
};

describe('401', () => {
  test.each([
    ['no credential', {}],
    ['an empty one', { authorization: 'Bearer ' }],
    ['another scheme', { authorization: `Basic ${KEY}` }],
    ['a key that nobody has', { authorization: 'Bearer tk_nobody' }],
    ['two keys in one header', { authorization: `Bearer ${KEY} ${KEY}` }],
  ])('%s', async (_name, headers) => {
    const answering = fetch(`${gateway.url}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(CALL),
    });
    const { status, error } = await refused(answering);
    expect({ status, code: error.code }).toEqual({ status: 401, code: 'invalid_api_key' });
    expect(error.message).not.toContain(KEY);
    expectNothingDone();
  });

  test('comes before anything about the body', async () => {
    const answer = await fetch(`${gateway.url}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: 'x'.repeat(20_000),
    });
    expect(answer.status).toBe(401);
  });

  test('the scheme may be written in any case', async () => {
    const answer = await fetch(`${gateway.url}/models`, { headers: { authorization: `BEARER ${KEY}` } });
    expect(answer.status).toBe(200);
  });
});

describe('400', () => {
  test('a doubled credential, also where both are good', async () => {
    const body = JSON.stringify(CALL);
    const text = await rawRequest(
      [
        'POST /v1/chat/completions HTTP/1.1',
        'Host: localhost',
        `Authorization: Bearer ${KEY}`,
        `authorization: Bearer ${KEY}`,
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
      ],
      body,
    );
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(text).toContain('"code":"doubled_header"');
    expectNothingDone();
  });

  test.each([
    ['no body', '', null],
    ['no JSON', '{"model":', null],
    ['text behind the JSON', `${JSON.stringify(CALL)} x`, null],
    ['an array', '[]', null],
    ['a string', '"hello"', null],
    ['null', 'null', null],
    ['a number that JSON cannot hold', '{"model":"m1","max_tokens":1e999}', 'max_tokens'],
    ['__proto__ as a key', '{"__proto__":{"admin":true},"model":"m1"}', null],
    ['__proto__ deep inside', '{"model":"m1","messages":[{"role":"user","content":"x","a":[{"__proto__":1}]}]}', null],
    ['constructor as a key', '{"model":"m1","constructor":{"prototype":{}}}', null],
    ['nesting without end', `{"model":"m1","x":${'['.repeat(2000)}${']'.repeat(2000)}}`, null],
    ['no model', '{"messages":[]}', 'model'],
    ['a model that is no text', '{"model":7}', 'model'],
    ['no messages', '{"model":"m1"}', 'messages'],
    ['messages of another type', '{"model":"m1","messages":"hello"}', 'messages'],
    ['a stream flag that is no flag', '{"model":"m1","stream":"yes","messages":[{"role":"user","content":"x"}]}', 'stream'],
    ['a negative limit', JSON.stringify({ ...CALL, max_tokens: -1 }), 'max_tokens'],
    ['a limit of nothing', JSON.stringify({ ...CALL, max_tokens: 0 }), 'max_tokens'],
    ['a fraction as a limit', JSON.stringify({ ...CALL, max_tokens: 1.5 }), 'max_tokens'],
    ['a text as a limit', JSON.stringify({ ...CALL, max_tokens: '10' }), 'max_tokens'],
    ['a limit past 2^53', '{"model":"m1","max_tokens":9007199254740993,"messages":[{"role":"user","content":"x"}]}', 'max_tokens'],
    ['too many choices', JSON.stringify({ ...CALL, n: 129 }), 'n'],
  ])('%s', async (_name, body, param) => {
    const { status, error } = await refused(gateway.post('/chat/completions', body));
    expect({ status, type: error.type, param: error.param }).toEqual({ status: 400, type: 'invalid_request_error', param });
    expectNothingDone();
  });
});

describe('413', () => {
  test('a body over the limit', async () => {
    const { status, error } = await refused(gateway.post('/chat/completions', { ...CALL, pad: 'x'.repeat(10_000) }));
    expect({ status, code: error.code }).toEqual({ status: 413, code: 'body_too_large' });
    expectNothingDone();
  });

  test('a body over the limit that does not tell its length', async () => {
    const body = new ReadableStream({
      start: (controller) => {
        for (let i = 0; i < 20; i++) controller.enqueue(new TextEncoder().encode('x'.repeat(1000)));
        controller.close();
      },
    });
    const init = { method: 'POST', headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }, body, duplex: 'half' };
    const answer = await fetch(`${gateway.url}/chat/completions`, init as RequestInit);
    expect(answer.status).toBe(413);
    expectNothingDone();
  });
});

describe('415', () => {
  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/json-patch'])(
    '%s',
    async (type) => {
      const { status, error } = await refused(gateway.post('/chat/completions', CALL, { 'content-type': type }));
      expect({ status, code: error.code }).toEqual({ status: 415, code: 'unsupported_media_type' });
      expectNothingDone();
    },
  );

  test('JSON with a charset is JSON', async () => {
    const answer = await gateway.post('/chat/completions', '{', { 'content-type': 'application/json; charset=utf-8' });
    expect(answer.status).toBe(400);
  });
});

describe('404 and 405', () => {
  test.each([
    '/chat',
    '/chat/',
    '/chat/completions/x',
    '/embeddings/x',
    '/responses/r1/other',
    '/completions/x',
    '/audio/translations',
    '/images/edits',
    '/files/f/content',
  ])('POST /v1%s', async (path) => {
    const { status, error } = await refused(gateway.post(path, 'not even JSON', { 'content-type': 'text/plain' }));
    expect({ status, code: error.code }).toEqual({ status: 404, code: 'unknown_url' });
  });

  test.each([
    ['GET', '/chat/completions', 'POST'],
    ['PUT', '/chat/completions', 'POST'],
    ['DELETE', '/embeddings', 'POST'],
    ['GET', '/responses', 'POST'],
    ['GET', '/responses/input_tokens', 'POST'],
    ['POST', '/responses/r1', 'GET, DELETE'],
    ['HEAD', '/responses/r1', 'GET, DELETE'],
    ['GET', '/responses/r1/cancel', 'POST'],
    ['DELETE', '/responses/r1/input_items', 'GET'],
    ['PUT', '/audio/transcriptions', 'POST'],
    ['GET', '/images/generations', 'POST'],
    ['POST', '/models', 'GET, HEAD'],
    ['DELETE', '/models/m1', 'GET, HEAD'],
  ])('%s /v1%s', async (method, path, allow) => {
    const answer = await fetch(`${gateway.url}${path}`, { method });
    expect({ status: answer.status, allow: answer.headers.get('allow') }).toEqual({ status: 405, allow });
    if (method !== 'HEAD') expect(await answer.json()).toMatchObject({ error: { code: 'method_not_allowed' } });
  });
});
