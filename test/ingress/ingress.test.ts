import { once } from 'node:events';
import { Agent, createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import { connect, createServer as createRawServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ShimConfig } from '../../src/core/containers/config/container-config.ts';
import { accepted, rejected } from '../../src/core/rejection.ts';
import { makeAdmit } from '../../src/ingress/admit.ts';
import { makeInFlight, type InFlightTable } from '../../src/ingress/in-flight.ts';
import { makeIsIn, makeSenderOf } from '../../src/ingress/headers.ts';
import { hostOf, makeIngress } from '../../src/ingress/ingress.ts';
import { makeProxy, type Proxy } from '../../src/ingress/proxy.ts';
import type { IngressSlot, IngressTarget } from '../../src/ports/ingress-routes.ts';
import { makeMemoryLog } from '../support/fakes.ts';

const SHIM: ShimConfig = {
  upstreamUnit: 'web',
  upstreamPort: 80,
  paths: [],
  origins: null,
  authenticated: false,
  authenticatedEndpoints: null,
  rateLimit: null,
  rateBurst: null,
};
const HOST = 'web.acme.containers.localhost';

let ingress: Server;
let inFlight: InFlightTable;
let proxy: Proxy;
let target: IngressTarget | undefined;
let shim: ShimConfig;
/** Proxies that are believed. */
let trusted: readonly string[];
const servers: Server[] = [];
const agent = new Agent({ keepAlive: true });

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

/** A unit: a server of the test's own. */
async function unit(handle: (request: IncomingMessage, response: import('node:http').ServerResponse) => void): Promise<Server> {
  const server = createServer(handle);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const slotOf = (server: Server, deploymentId: string): IngressSlot => ({ deploymentId, address: '127.0.0.1', port: portOf(server) });

const route = (slot: IngressSlot, fallback: IngressSlot | null = null): void => {
  target = { ...slot, tenantId: 'acme', containerId: 'c1', shim, fallback };
};

beforeEach(async () => {
  inFlight = makeInFlight();
  const senderOf = makeSenderOf((address) => makeIsIn(trusted)(address));
  trusted = [];
  proxy = makeProxy({ inFlight, senderOf });
  shim = SHIM;
  target = undefined;
  ingress = makeIngress({
    routes: { find: (host) => (host === HOST ? target : undefined) },
    admit: makeAdmit({
      nowMs: () => performance.now(),
      checkKey: async (key) =>
        key === 'tk_good' ? accepted({ keyId: 'k1' }) : rejected({ code: 'unauthorized', message: 'invalid API key' }),
    }),
    proxy,
    inFlight,
    senderOf,
    timeouts: { headersMs: 500, idleMs: 200, keepAliveMs: 5000 },
    onAnswered: () => undefined,
    log: makeMemoryLog(),
  });
  ingress.listen(0, '127.0.0.1');
  await once(ingress, 'listening');
});

afterEach(async () => {
  await proxy.close();
  for (const server of [ingress, ...servers.splice(0)]) {
    server.closeAllConnections();
    server.close();
  }
  agent.destroy();
});

interface Got {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

async function get(
  path: string,
  options: { readonly method?: string; readonly headers?: Readonly<Record<string, string>>; readonly body?: string } = {},
): Promise<Got> {
  const { body, headers, ...rest } = options;
  const asked = httpRequest({ port: portOf(ingress), host: '127.0.0.1', path, agent, ...rest, headers: { host: HOST, ...headers } });
  asked.end(body);
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of answer) text += String(chunk);
  return { status: answer.statusCode ?? 0, headers: answer.headers, text };
}

/** Sends bytes as they are, and returns what came back before the connection ended. */
async function raw(text: string): Promise<string> {
  const socket = connect(portOf(ingress), '127.0.0.1');
  let got = '';
  socket.on('data', (chunk) => (got += String(chunk)));
  socket.write(text);
  await once(socket, 'close');
  return got;
}

describe('a request', () => {
  test('goes on as it came, but for who sends it, and its answer comes back as it is', async () => {
    let seen: IncomingMessage | undefined;
    let body = '';
    const web = await unit((request, response) => {
      seen = request;
      request.on('data', (chunk) => (body += String(chunk)));
      request.on('end', () => {
        response.writeHead(201, { 'x-mine': 'yes', 'set-cookie': ['a=1', 'b=2'], connection: 'keep-alive, x-hop', 'x-hop': '1' });
        response.end('made');
      });
    });
    route(slotOf(web, 'd1'));
    const headers = {
      'x-forwarded-for': '6.6.6.6',
      forwarded: 'for=6.6.6.6',
      'x-secret': 'a',
      connection: 'x-secret',
      'content-type': 'text/plain',
    };
    const got = await get('/a%2Fb?c=d&c=e', { method: 'POST', headers, body: 'hello' });
    expect(got).toMatchObject({ status: 201, text: 'made', headers: { 'x-mine': 'yes', 'set-cookie': ['a=1', 'b=2'] } });
    expect(got.headers['x-hop']).toBeUndefined();
    expect(seen).toMatchObject({
      url: '/a%2Fb?c=d&c=e',
      method: 'POST',
      headers: { host: HOST, 'x-forwarded-for': '127.0.0.1', 'x-forwarded-host': HOST, 'x-forwarded-proto': 'http' },
    });
    expect(seen?.headers['x-secret'] ?? seen?.headers['forwarded']).toBeUndefined();
    expect(body).toBe('hello');
    expect(inFlight.total).toBe(0);
  });

  test('whose length is nought, however it is written, waits for no body', async () => {
    const web = await unit((_request, response) => response.end('there'));
    route(slotOf(web, 'd1'));
    const got = await raw(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 00\r\nConnection: close\r\n\r\n`);
    expect(got).toMatch(/^HTTP\/1\.1 200 [^]*there$/);
  });

  test('from a declared proxy is passed on as that took it, and from nobody else', async () => {
    let seen: IncomingMessage['headers'] = {};
    const web = await unit((request, response) => {
      seen = request.headers;
      response.end();
    });
    route(slotOf(web, 'd1'));
    const told = async (networks: readonly string[], headers: Record<string, string>): Promise<unknown[]> => {
      trusted = networks;
      await get('/', { headers: { host: HOST, ...headers } });
      return [seen['x-forwarded-proto'], seen['x-forwarded-for'], seen['x-forwarded-host']];
    };
    const given = { 'x-forwarded-proto': 'https', 'x-forwarded-for': '6.6.6.6, 192.0.2.7', 'x-forwarded-host': 'evil.example' };
    expect(await told(['127.0.0.0/8'], given)).toEqual(['https', '192.0.2.7', HOST]);
    expect(await told(['127.0.0.1', '::1'], { ...given, 'x-forwarded-for': '2001:db8::7' })).toEqual(['https', '2001:db8::7', HOST]);
    expect(await told(['127.0.0.1'], { 'x-forwarded-proto': 'ftp', 'x-forwarded-for': 'unknown' })).toEqual(['http', '127.0.0.1', HOST]);
    expect(await told(['127.0.0.1'], {})).toEqual(['http', '127.0.0.1', HOST]);
    expect(await told(['10.0.0.0/8', '::1'], given)).toEqual(['http', '127.0.0.1', HOST]);
    expect(await told([], given)).toEqual(['http', '127.0.0.1', HOST]);
  });

  test('and its answer stream both ways, however large', async () => {
    const web = await unit((request, response) => request.pipe(response));
    route(slotOf(web, 'd1'));
    const asked = httpRequest({ port: portOf(ingress), host: '127.0.0.1', method: 'POST', headers: { host: HOST } });
    asked.write('one');
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    const [first] = (await once(answer, 'data')) as [Buffer];
    expect(String(first)).toBe('one');
    let bytes = 0;
    answer.on('data', (chunk: Buffer) => (bytes += chunk.length));
    const chunk = Buffer.alloc(256 * 1024, 7);
    for (let index = 0; index < 256; index += 1) if (!asked.write(chunk)) await once(asked, 'drain');
    asked.end();
    await once(answer, 'end');
    expect(bytes).toBe(256 * chunk.length);
  });

  test('whose client does not read waits at the unit, and not in our memory', async () => {
    const chunk = Buffer.alloc(256 * 1024, 7);
    let written = 0;
    const web = await unit((_request, response) => {
      const more = (): void => {
        do written += chunk.length;
        while (written < 1024 * chunk.length && response.write(chunk));
      };
      response.on('drain', more);
      more();
    });
    route(slotOf(web, 'd1'));
    const asked = httpRequest({ port: portOf(ingress), host: '127.0.0.1', headers: { host: HOST } }).end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    answer.pause();
    let last = -1;
    await expect
      .poll(
        () => {
          const isStill = written === last;
          last = written;
          return isStill;
        },
        { interval: 100, timeout: 5000 },
      )
      .toBe(true);
    expect(written).toBeLessThan(64 * 1024 * 1024);
    asked.destroy();
  });

  test('whose client goes away is ended at the unit; one whose unit goes away is cut', async () => {
    let gone = false;
    const web = await unit((request, response) => {
      response.write('part');
      response.on('close', () => (gone = true));
      if (request.url === '/dies') setImmediate(() => response.destroy());
    });
    route(slotOf(web, 'd1'));
    const asked = httpRequest({ port: portOf(ingress), host: '127.0.0.1', headers: { host: HOST } }).end();
    asked.on('error', () => undefined);
    await once(asked, 'response');
    expect(inFlight.count('d1')).toBe(1);
    asked.destroy();
    await expect.poll(() => gone && inFlight.total === 0).toBe(true);
    await expect(get('/dies')).rejects.toThrow('aborted');
    expect(inFlight.total).toBe(0);
  });

  test.each([
    ['GET / HTTP/1.1\r\n\r\n', 400],
    [`GET / HTTP/1.1\r\nHost: ${HOST}\r\nHost: other\r\n\r\n`, 400],
    ['GET / HTTP/1.1\r\nHost: nobody.example\r\nConnection: close\r\n\r\n', 404],
    [`GET http://other.example/ HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`, 400],
    [`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    [`GET / HTTP/1.1\r\nHost: ${HOST}\r\nX: a\r\n b\r\n\r\n`, 400],
    [`GET / HTTP/1.1\r\nHost: ${HOST}:x\r\nConnection: close\r\n\r\n`, 400],
    [`GET / HTTP/1.1\r\nHost: a@${HOST}\r\nConnection: close\r\n\r\n`, 400],
    [`GET /a#b HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`, 400],
    [`OPTIONS * HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`, 400],
  ])('%j is answered %i, and never reaches a unit', async (text, status) => {
    let reached = 0;
    const web = await unit((_request, response) => {
      reached += 1;
      response.end('reached');
    });
    route(slotOf(web, 'd1'));
    expect(
      await Promise.race([
        raw(text.includes('Connection') ? text : text.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')),
        delay(3000),
      ]),
    ).toContain(`HTTP/1.1 ${status} `);
    expect(reached).toBe(0);
  });

  test('that never ends its headers, or its body, is given up', async () => {
    const web = await unit((request) => request.resume());
    route(slotOf(web, 'd1'));
    await raw(`GET / HTTP/1.1\r\nHost: ${HOST}\r\nX-Slow:`);
    await raw(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 100\r\n\r\nabc`);
    await expect.poll(() => inFlight.total).toBe(0);
  });

  test.each([
    ['EXAMPLE.com:8080', 'example.com'],
    ['example.com.', 'example.com'],
    ['[::1]:80', '[::1]'],
    ['[::1]', '[::1]'],
  ])('its host %s is %s', (header, host) => {
    expect(hostOf(header)).toBe(host);
  });
});

describe('a unit that cannot be reached', () => {
  const dead = { deploymentId: 'd2', address: '127.0.0.1', port: 1 };

  test('is answered 502, and an idempotent request goes to the other slot', async () => {
    const web = await unit((_request, response) => response.end('old'));
    route(dead);
    expect(await get('/')).toMatchObject({ status: 502 });
    expect(await get('/', { method: 'POST', body: 'x' })).toMatchObject({ status: 502 });
    route(dead, slotOf(web, 'd1'));
    expect(await get('/')).toMatchObject({ status: 200, text: 'old' });
    expect(await get('/', { method: 'POST', body: 'x' })).toMatchObject({ status: 502 });
    expect(inFlight.total).toBe(0);
  });

  test('between two requests on one connection is no error: the next one goes on a fresh connection', async () => {
    const web = await unit((_request, response) => response.end('fine'));
    route(slotOf(web, 'd1'));
    for (let round = 0; round < 20; round += 1) {
      expect((await get('/')).text).toBe('fine');
      web.closeAllConnections();
    }
  });
});

test.each([
  ['a reason that cannot be sent on', 'HTTP/1.1 200 \u65e5\u672c', 200],
  ['a status that is none', 'HTTP/1.1 000 None', 502],
])('a unit that answers with %s ends nothing but its own request', async (_what, line, status) => {
  const web = createRawServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(`${line}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok`));
  });
  web.listen(0, '127.0.0.1');
  await once(web, 'listening');
  try {
    route({ deploymentId: 'd1', address: '127.0.0.1', port: (web.address() as AddressInfo).port });
    expect(await get('/')).toMatchObject({ status, text: status === 200 ? 'ok' : 'the container does not answer\n' });
    expect(inFlight.total).toBe(0);
  } finally {
    web.close();
  }
});

test('switching fifty times under load refuses and cuts nothing', async () => {
  const make = (index: number): Promise<Server> => unit((_request, response) => void setTimeout(() => response.end(String(index)), 2));
  let current = await make(0);
  route(slotOf(current, 'd0'));
  let isOver = false;
  const failures: unknown[] = [];
  let served = 0;
  const client = async (): Promise<void> => {
    while (!isOver) {
      const got = await get('/').catch((err: unknown) => err);
      if (got instanceof Error || (got as Got).status !== 200) failures.push(got);
      else served += 1;
    }
  };
  const load = Promise.all([client(), client(), client(), client()]);
  for (let index = 1; index <= 50; index += 1) {
    const next = await make(index);
    const old = current;
    const oldId = target?.deploymentId ?? '';
    route(slotOf(next, `d${index}`), slotOf(old, oldId));
    current = next;
    const before = served;
    await expect.poll(() => served, { interval: 1 }).toBeGreaterThan(before + 4);
    await expect.poll(() => inFlight.count(oldId), { interval: 1 }).toBe(0);
    old.closeAllConnections();
    old.close();
  }
  isOver = true;
  await load;
  expect(failures).toEqual([]);
  expect(served).toBeGreaterThan(200);
});

describe('a connection that becomes another protocol', () => {
  test('carries bytes both ways, counts as under way, and is cut with its deployment', async () => {
    const web = await unit(() => undefined);
    web.on('upgrade', (request: IncomingMessage, socket: Socket) => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n${String(request.headers['x-forwarded-host'])}`,
      );
      socket.on('data', (chunk) => socket.write(`<${String(chunk)}>`));
    });
    route(slotOf(web, 'd1'));
    const socket = connect(portOf(ingress), '127.0.0.1');
    let got = '';
    socket.on('data', (chunk) => (got += String(chunk)));
    socket.write(`GET /ws HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`);
    await expect.poll(() => got).toContain(`101 Switching Protocols`);
    socket.write('ping');
    await expect.poll(() => got).toContain(`${HOST}<ping>`);
    expect(inFlight.count('d1')).toBe(1);
    expect(inFlight.cut('d1')).toBe(1);
    await once(socket, 'close');
    await expect.poll(() => inFlight.count('d1')).toBe(0);
  });
});

describe('a wish for another protocol', () => {
  const seen: string[] = [];
  beforeEach(async () => {
    seen.length = 0;
    shim = { ...SHIM, paths: ['/open'] };
    const web = await unit((request, response) => {
      let body = '';
      request.on('data', (chunk) => (body += String(chunk)));
      request.on('end', () => {
        seen.push(`${request.method ?? ''} ${request.url ?? ''} ${body} ${request.headers.upgrade ?? 'none'}`);
        response.end(`of ${request.url ?? ''}`);
      });
    });
    route(slotOf(web, 'd1'));
  });
  const wish = (protocol: string): string => `Host: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n`;

  test('that a unit does not grant is answered, and nothing behind it goes past the rules', async () => {
    const got = await raw(`GET /open HTTP/1.1\r\n${wish('websocket')}\r\nGET /secret HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    expect(got).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*connection: close\r\n[^]*of \/open/i);
    expect(seen).toEqual(['GET /open  websocket']);
    expect(got).not.toContain('/secret');
    await expect.poll(() => inFlight.count('d1')).toBe(0);
  });

  /** Sends requests on one connection, each once the one before is answered; the statuses. */
  async function converse(...requests: readonly string[]): Promise<readonly string[]> {
    const socket = connect(portOf(ingress), '127.0.0.1');
    let got = '';
    socket.on('data', (chunk) => (got += String(chunk)));
    const statuses = (): readonly string[] => got.match(/(?<=HTTP\/1\.1 )\d+/g) ?? [];
    for (const [index, text] of requests.entries()) {
      socket.write(text);
      await expect.poll(() => statuses().length).toBe(index + 1);
    }
    socket.destroy();
    return statuses();
  }
  const plain = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;

  test.each(['h2c', 'HTTP/2.0', 'TLS/1.3', 'websocket, h2c'])('%s, which would carry further requests, is left out', async (protocol) => {
    const statuses = await converse(`GET /open HTTP/1.1\r\n${wish(protocol)}\r\n`, plain('/secret'), plain('/open'));
    expect(statuses).toEqual(['200', '404', '200']);
    expect(seen).toEqual(['GET /open  none', 'GET /open  none']);
  });

  test.each([
    ['a length', 'Content-Length: 5\r\n\r\nhello'],
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
  ])('of a request that brings a body with %s is left out', async (_, body) => {
    expect(await converse(`POST /open HTTP/1.1\r\n${wish('websocket')}${body}`, plain('/open'))).toEqual(['200', '200']);
    expect(seen).toEqual(['POST /open hello none', 'GET /open  none']);
  });

  test('to a unit that cannot be reached is a 502', async () => {
    target = { ...(target as IngressTarget), port: 1 };
    expect(await raw(`GET /open HTTP/1.1\r\n${wish('websocket')}\r\n`)).toContain('HTTP/1.1 502');
    await expect.poll(() => inFlight.count('d1')).toBe(0);
  });
});

describe('the rules of the shim', () => {
  test('are kept: paths, origins, keys and rates', async () => {
    const web = await unit((_request, response) => response.end('ok'));
    shim = {
      ...SHIM,
      paths: ['/v1/*'],
      origins: ['https://a.example'],
      authenticated: true,
      authenticatedEndpoints: ['/v1/chat'],
      rateLimit: null,
    };
    route(slotOf(web, 'd1'));
    expect((await get('/other')).status).toBe(404);
    expect((await get('/v1/../other')).status).toBe(404);
    expect((await get('/v1/x', { headers: { origin: 'https://b.example' } })).status).toBe(403);
    const allowed = await get('/v1/x', { headers: { origin: 'https://a.example' } });
    expect(allowed).toMatchObject({ status: 200, headers: { 'access-control-allow-origin': 'https://a.example' } });
    const preflight = await get('/v1/chat', {
      method: 'OPTIONS',
      headers: { origin: 'https://a.example', 'access-control-request-method': 'POST' },
    });
    expect(preflight).toMatchObject({ status: 204, headers: { 'access-control-allow-methods': 'POST' } });
    expect((await get('/v1/chat')).status).toBe(401);
    expect((await get('/v1/chat', { headers: { authorization: 'Bearer tk_bad' } })).status).toBe(401);
    expect((await get('/v1/chat', { headers: { authorization: 'bearer tk_good' } })).status).toBe(200);
    shim = { ...SHIM, rateLimit: 0.01, rateBurst: 2 };
    route(slotOf(web, 'd1'));
    const statuses = [];
    for (let count = 0; count < 3; count += 1) statuses.push((await get('/', { headers: { authorization: 'Bearer tk_good' } })).status);
    expect(statuses).toEqual([200, 200, 429]);
  });
});
