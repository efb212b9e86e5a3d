import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { WebhookSecurity } from '../core/webhooks/webhook-security.ts';
import { DEFAULT_WEBHOOK_SECURITY } from '../core/webhooks/webhook-security.ts';
import type { WebhookRequest, WebhookSender } from '../ports/webhook-sender.ts';
import { makeHttpSender, signatureOf, type Resolve } from './http-sender.ts';

const OPEN: WebhookSecurity = { blockedCidrRanges: [], allowedUrlPatterns: [], allowHttp: true };
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly httpVersion: string;
  readonly body: string;
  readonly socket: IncomingMessage['socket'];
}

/** A receiver on loopback. */
async function receiver(answer: (response: ServerResponse, received: Received) => void = (response) => void response.writeHead(204).end()) {
  const received: Received[] = [];
  const server: Server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const { method = '', url = '', headers, httpVersion, socket } = request;
      const one = { method, url, headers, httpVersion, body: Buffer.concat(parts).toString(), socket };
      received.push(one);
      answer(response, one);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(
    () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  );
  const { port } = server.address() as AddressInfo;
  return { received, port, url: `http://127.0.0.1:${port}/hook?x=1` };
}

function sender(options: { resolve?: Resolve; limitMs?: number } = {}): WebhookSender {
  const made = makeHttpSender({
    resolve: options.resolve ?? (() => Promise.reject(new Error('nobody resolves here'))),
    userAgent: 'cycles-server-events/test',
    elapsedMs: () => performance.now(),
    ...(options.limitMs === undefined ? {} : { limitMs: options.limitMs }),
  });
  closers.push(() => made.close());
  return made;
}

const request = (url: string, parts: Partial<WebhookRequest> = {}): WebhookRequest => ({
  url,
  body: '{"event_id":"evt_1","amount":9007199254740993,"text":"ä"}',
  secret: 'whsec_test',
  headers: { Authorization: 'Bearer tok', 'X-Cycles-Event-Id': 'forged' },
  eventId: 'evt_1',
  eventType: 'budget.exhausted',
  requestId: 'req_1',
  traceId: 'a'.repeat(32),
  traceFlags: '00',
  ...parts,
});

test('a delivery arrives by HTTP/1.1 with its whole body, signed, traced and with the subscription’s headers', async () => {
  const at = await receiver();
  const sent = request(at.url);
  expect(await sender().send(sent, OPEN)).toMatchObject({ kind: 'answered', status: 204 });
  const [got] = at.received;
  expect(got).toMatchObject({ method: 'POST', url: '/hook?x=1', httpVersion: '1.1', body: sent.body });
  expect(got?.headers).toMatchObject({
    'content-type': 'application/json',
    'user-agent': 'cycles-server-events/test',
    'x-cycles-signature': signatureOf(sent.body, 'whsec_test'),
    'x-cycles-event-id': 'evt_1',
    'x-cycles-event-type': 'budget.exhausted',
    'x-cycles-trace-id': 'a'.repeat(32),
    'x-request-id': 'req_1',
    authorization: 'Bearer tok',
    'content-length': String(Buffer.byteLength(sent.body)),
  });
  expect(got?.headers['traceparent']).toMatch(/^00-a{32}-[0-9a-f]{16}-00$/);
  expect(got?.headers['upgrade']).toBeUndefined();
  expect(got?.headers['http2-settings']).toBeUndefined();
});

test('the signature is HMAC-SHA256 of the raw body, in hexadecimal', () => {
  // Computed with another program: printf 'hello' | openssl dgst -sha256 -hmac key
  expect(signatureOf('hello', 'key')).toBe('sha256=9307b3b915efb5171ff14d8cb55fbcc798c6c0ef1456d66ded1a6aa723a58b7b');
});

test('flags that no request gave are those of a sampled trace, and each attempt has a span of its own', async () => {
  const at = await receiver();
  const one = sender();
  for (let n = 0; n < 2; n++) await one.send(request(at.url, { traceFlags: null }), OPEN);
  const parents = at.received.map(({ headers }) => headers['traceparent'] as string);
  for (const parent of parents) expect(parent).toMatch(/^00-a{32}-[0-9a-f]{16}-01$/);
  expect(new Set(parents).size).toBe(2);
});

test('a redirect is an answer, and is not followed', async () => {
  const target = await receiver();
  const at = await receiver((response) => void response.writeHead(307, { location: target.url }).end());
  expect(await sender().send(request(at.url), OPEN)).toMatchObject({ kind: 'answered', status: 307 });
  expect(target.received).toEqual([]);
});

test('a receiver that does not answer, or never ends, is given up in time', async () => {
  const silent = await receiver(() => undefined);
  const endless = await receiver((response) => {
    response.writeHead(200);
    response.write('.');
  });
  const one = sender({ limitMs: 300 });
  expect(await one.send(request(silent.url), OPEN)).toMatchObject({ kind: 'failed', error: 'no answer within 0.3 seconds' });
  // Its status has come, which is all that counts.
  expect(await one.send(request(endless.url), OPEN)).toMatchObject({ kind: 'answered', status: 200 });
});

test('an answer without end is read no further than needed, and its connection is closed', async () => {
  let isClosed = false;
  const flooding = await receiver((response) => {
    response.writeHead(200);
    response.on('close', () => (isClosed = true));
    const flood = (): void => {
      if (!isClosed) response.write('x'.repeat(65_536), () => setImmediate(flood));
    };
    flood();
  });
  expect(await sender().send(request(flooding.url), OPEN)).toMatchObject({ kind: 'answered', status: 200 });
  await expect.poll(() => isClosed, { timeout: 10_000 }).toBe(true);
});

test('an answer with headers beyond measure has failed, and nothing of it is told', async () => {
  const at = await receiver((response) => void response.writeHead(200, { 'x-secret': 's'.repeat(60_000) }).end());
  const outcome = await sender().send(request(at.url), OPEN);
  expect(outcome).toMatchObject({ kind: 'failed', error: 'the request failed (UND_ERR_HEADERS_OVERFLOW)' });
});

test('a name server that does not answer is given up in time', async () => {
  const one = sender({ limitMs: 200, resolve: () => new Promise(() => undefined) });
  expect(await one.send(request('http://hooks.example.test/'), OPEN)).toMatchObject({
    kind: 'failed',
    error: 'no answer within 0.2 seconds',
  });
  expect(await one.isBlocked('hooks.example.test', DEFAULT_WEBHOOK_SECURITY)).toBe(false);
});

test('a refused connection is told without an address', async () => {
  const at = await receiver();
  await closers.pop()?.();
  const outcome = await sender().send(request(at.url), OPEN);
  expect(outcome).toEqual({ kind: 'failed', error: 'the request failed (ECONNREFUSED)', responseTimeMs: expect.any(Number) as unknown });
});

test('nothing is sent to a blocked address, as an address or by name, nor by http where it is not allowed', async () => {
  const at = await receiver();
  const security = { ...DEFAULT_WEBHOOK_SECURITY, allowHttp: true };
  const one = sender({ resolve: () => Promise.resolve(['127.0.0.1']) });
  expect(await one.send(request(at.url), security)).toMatchObject({ kind: 'failed', error: 'url leads to an address that is blocked' });
  expect(await one.send(request(`http://hooks.example.test:${at.port}/`), security)).toMatchObject({
    kind: 'failed',
    error: 'the host leads to an address that is blocked',
  });
  expect(await one.send(request(at.url), { ...OPEN, allowHttp: false })).toMatchObject({ kind: 'failed' });
  expect(at.received).toEqual([]);
  expect([await one.isBlocked('hooks.example.test', security), await one.isBlocked('hooks.example.test', OPEN)]).toEqual([true, false]);
});

test('an IPv4 address in the clothes of IPv6 is still that address', async () => {
  const at = await receiver();
  for (const address of ['::ffff:127.0.0.1', '::ffff:7f00:1', '64:ff9b::7f00:1', '2002:7f00:1::', '::1', '0.0.0.0', 'fe80::1%eth0']) {
    const one = sender({ resolve: () => Promise.resolve([address]) });
    const url = `http://hooks.example.test:${at.port}/`;
    expect(await one.send(request(url), { ...DEFAULT_WEBHOOK_SECURITY, allowHttp: true })).toMatchObject({
      kind: 'failed',
      error: 'the host leads to an address that is blocked',
    });
  }
  expect(at.received).toEqual([]);
});

test('one blocked address among several is enough', async () => {
  const at = await receiver();
  const one = sender({ resolve: () => Promise.resolve(['127.0.0.1', '169.254.169.254']) });
  const security = { ...OPEN, blockedCidrRanges: ['169.254.0.0/16'] };
  expect(await one.send(request(`http://hooks.example.test:${at.port}/`), security)).toMatchObject({ kind: 'failed' });
  expect(at.received).toEqual([]);
});

test('rebinding does not help: the name is asked once, and the connection goes to the address that was looked at', async () => {
  const at = await receiver();
  const inner = await receiver();
  const asked: string[] = [];
  // Allowed the first time; whoever asked a second time would be led to where nothing may go.
  const one = sender({
    resolve: (hostname) => {
      asked.push(hostname);
      return Promise.resolve([asked.length === 1 ? '127.0.0.1' : '127.0.0.2']);
    },
  });
  const security = { ...OPEN, blockedCidrRanges: ['127.0.0.2/32'] };
  expect(await one.send(request(`http://rebind.example.test:${at.port}/`), security)).toMatchObject({ kind: 'answered', status: 204 });
  expect(asked).toEqual(['rebind.example.test']);
  expect(at.received[0]?.headers.host).toBe(`rebind.example.test:${at.port}`);
  expect(at.received[0]?.socket.localAddress).toBe('127.0.0.1');
  // The next delivery asks again, and is refused, though a connection to the old address is still open.
  expect(await one.send(request(`http://rebind.example.test:${at.port}/`), security)).toMatchObject({
    kind: 'failed',
    error: 'the host leads to an address that is blocked',
  });
  expect(at.received).toHaveLength(1);
  expect(inner.received).toEqual([]);
});

test('a host that nobody resolves fails, and is not taken for blocked', async () => {
  const one = sender();
  expect(await one.send(request('http://nowhere.example.test/'), OPEN)).toEqual({
    kind: 'failed',
    error: 'the host could not be resolved',
    responseTimeMs: null,
  });
  expect(await one.isBlocked('nowhere.example.test', DEFAULT_WEBHOOK_SECURITY)).toBe(false);
});
