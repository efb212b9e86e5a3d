import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { accepted } from '../../src/core/rejection.ts';
import { makeAdmit } from '../../src/ingress/admit.ts';
import { makeIsIn, makeSenderOf } from '../../src/ingress/headers.ts';
import { makeInFlight } from '../../src/ingress/in-flight.ts';
import { INGRESS_TIMEOUTS, makeIngress } from '../../src/ingress/ingress.ts';
import { makeProxy, type Proxy } from '../../src/ingress/proxy.ts';
import { registerAsk } from '../../src/server/tls-ask.ts';
import { startCaddy, type TestCaddy } from '../support/caddy.ts';
import { makeMemoryLog } from '../support/fakes.ts';

const HOST = 'api.example.com';
const OTHER = 'web.acme.containers.localhost';
const NAMES = new Set([HOST, OTHER]);
const SHIM = {
  upstreamUnit: 'web',
  upstreamPort: 80,
  paths: [],
  origins: null,
  authenticated: false,
  authenticatedEndpoints: null,
  rateLimit: null,
  rateBurst: null,
};

let caddy: TestCaddy;
let unit: Server;
let ingress: Server;
let proxy: Proxy;
let asks: FastifyInstance;
/** Ends what has become another protocol. */
let cutAll: () => void;
/** Names that Caddy asked about. */
const asked: string[] = [];

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

/** Everything of ours that a restart ends and begins: the ingress, and what is asked. */
async function startOurs(ports: { readonly ingress: number; readonly ask: number }): Promise<void> {
  const inFlight = makeInFlight();
  cutAll = () => inFlight.cutAll();
  const senderOf = makeSenderOf(makeIsIn(['127.0.0.1']));
  proxy = makeProxy({ inFlight, senderOf });
  const target = {
    deploymentId: 'd1',
    address: '127.0.0.1',
    port: portOf(unit),
    tenantId: 'acme',
    containerId: 'c1',
    shim: SHIM,
    fallback: null,
  };
  ingress = makeIngress({
    routes: { find: (host) => (NAMES.has(host) ? target : undefined) },
    admit: makeAdmit({ nowMs: () => performance.now(), checkKey: async () => accepted({ keyId: 'k' }) }),
    proxy,
    inFlight,
    senderOf,
    timeouts: INGRESS_TIMEOUTS,
    onAnswered: () => undefined,
    log: makeMemoryLog(),
  });
  ingress.listen(ports.ingress, '127.0.0.1');
  await once(ingress, 'listening');
  asks = Fastify({ forceCloseConnections: true });
  registerAsk(asks, { isNamed: (host) => asked.push(host) > 0 && NAMES.has(host), mayAsk: () => true });
  await asks.listen({ port: ports.ask, host: '127.0.0.1' });
}

async function stopOurs(): Promise<void> {
  const closed = new Promise((done) => void ingress.close(done));
  cutAll();
  ingress.closeAllConnections();
  await Promise.all([closed, asks.close(), proxy.close()]);
}

beforeAll(async () => {
  unit = createServer((incoming, response) => {
    const { host, 'x-forwarded-proto': proto, 'x-forwarded-for': client, 'x-forwarded-host': named } = incoming.headers;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ host, proto, client, named, url: incoming.url }));
  });
  unit.on('upgrade', (incoming: IncomingMessage, socket: Socket) => {
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${String(incoming.headers['x-forwarded-proto'])};`,
    );
    socket.on('data', (chunk) => socket.write(`<${String(chunk)}>`));
    socket.on('end', () => socket.destroy());
    socket.on('error', () => socket.destroy());
  });
  unit.listen(0, '127.0.0.1');
  await once(unit, 'listening');
  await startOurs({ ingress: 0, ask: 0 });
  const ask = `http://127.0.0.1:${String((asks.server.address() as AddressInfo).port)}/internal/ask`;
  caddy = await startCaddy({ ask, ingress: `127.0.0.1:${String(portOf(ingress))}` });
}, 60_000);

afterAll(async () => {
  await caddy.stop();
  await stopOurs();
  unit.closeAllConnections();
  await new Promise((done) => void unit.close(done));
}, 60_000);

/** A request as a browser sends it: the certificate must be good, for this name. */
const visit = (
  host: string,
  headers: Record<string, string> = {},
): Promise<{ readonly status: number; readonly body: string; readonly names: string }> =>
  new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port: caddy.httpsPort,
        servername: host,
        ca: caddy.ca,
        agent: false,
        headers: { host, ...headers },
        path: '/a?b=c',
      },
      (answer) => {
        const names = (answer.socket as import('node:tls').TLSSocket).getPeerCertificate().subjectaltname ?? '';
        let body = '';
        answer.on('data', (chunk) => (body += String(chunk)));
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body, names }));
      },
    );
    sent.on('error', reject);
    sent.end();
  });

test('a name of ours is served with a certificate of its own, and its container is told how it came', async () => {
  const spoofed = { 'x-forwarded-for': '6.6.6.6', 'x-forwarded-proto': 'http', 'x-forwarded-host': 'evil.example' };
  for (const host of [HOST, OTHER]) {
    const { status, body, names } = await visit(host, spoofed);
    expect([status, names]).toEqual([200, `DNS:${host}`]);
    expect(JSON.parse(body)).toEqual({ host, proto: 'https', client: '127.0.0.1', named: host, url: '/a?b=c' });
  }
});

test.each(['evil.example', `www.${HOST}`, 'example.com', 'containers.localhost'])('%s gets no certificate', async (host) => {
  await expect(visit(host)).rejects.toThrow(/alert internal error/);
  expect(asked).toContain(host);
});

test('HTTP/2 is spoken, many requests on one connection', async () => {
  const session = connectHttp2(`https://${HOST}:${String(caddy.httpsPort)}`, {
    ca: caddy.ca,
    createConnection: () => connectTls({ host: '127.0.0.1', port: caddy.httpsPort, servername: HOST, ca: caddy.ca, ALPNProtocols: ['h2'] }),
  });
  const get = (path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ':path': path, ':authority': HOST });
      let body = '';
      stream.on('data', (chunk) => (body += String(chunk)));
      stream.on('end', () => resolve(body));
      stream.on('error', reject);
    });
  const bodies = await Promise.all(Array.from({ length: 20 }, (_, count) => get(`/${String(count)}`)));
  expect(bodies.map((body) => (JSON.parse(body) as { url: string }).url)).toEqual(
    Array.from({ length: 20 }, (_, count) => `/${String(count)}`),
  );
  expect(session.alpnProtocol).toBe('h2');
  session.close();
});

test('a WebSocket goes through, both ways', async () => {
  const socket = connectTls({ host: '127.0.0.1', port: caddy.httpsPort, servername: HOST, ca: caddy.ca });
  let got = '';
  socket.on('data', (chunk) => (got += String(chunk)));
  socket.write(
    `GET /ws HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}\r\n\r\n`,
  );
  await expect.poll(() => got, { timeout: 10_000 }).toContain('https;');
  socket.write('ping');
  await expect.poll(() => got, { timeout: 10_000 }).toContain('<ping>');
  socket.destroy();
});

test('certificates go on working while this server restarts', async () => {
  const ports = { ingress: portOf(ingress), ask: (asks.server.address() as AddressInfo).port };
  expect((await visit(HOST)).status).toBe(200);
  await stopOurs();
  // The handshake is as before: only what is behind it is away.
  expect(await visit(HOST)).toMatchObject({ status: 502, names: `DNS:${HOST}` });
  await startOurs(ports);
  expect((await visit(HOST)).status).toBe(200);
  expect(await visit(OTHER)).toMatchObject({ status: 200, names: `DNS:${OTHER}` });
});

test('who asks for no name, for several or for too long a one is told so, and who may not ask as well', async () => {
  const ask = async (query: string) => (await asks.inject(`/internal/ask${query}`)).statusCode;
  expect([
    await ask(''),
    await ask('?domain='),
    await ask(`?domain=${HOST}&domain=${HOST}`),
    await ask(`?domain=${'x'.repeat(254)}`),
  ]).toEqual([400, 400, 400, 400]);
  expect([await ask(`?domain=${HOST.toUpperCase()}`), await ask(`?domain=${HOST}`), await ask('?domain=__proto__')]).toEqual([
    200, 200, 404,
  ]);
  const strict = Fastify();
  const isHere = makeIsIn(['127.0.0.0/8', '::1']);
  registerAsk(strict, { isNamed: () => true, mayAsk: ({ socket }) => isHere(socket.remoteAddress ?? '') });
  const from = async (remoteAddress: string) => (await strict.inject({ url: `/internal/ask?domain=${HOST}`, remoteAddress })).statusCode;
  expect([
    await from('127.0.0.1'),
    await from('::ffff:127.0.0.1'),
    await from('::1'),
    await from('10.0.0.9'),
    await from('::ffff:10.0.0.9'),
  ]).toEqual([200, 200, 200, 403, 403]);
});
