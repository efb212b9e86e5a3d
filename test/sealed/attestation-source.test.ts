import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeHttpAttestations } from '../../src/sealed/http-attestations.ts';

let source: Server;
let answer: RequestListener;
let asked: string[];

beforeEach(async () => {
  asked = [];
  source = createServer((request, response) => {
    asked.push(request.url ?? '');
    answer(request, response);
  });
  await new Promise<void>((resolve) => source.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  source.closeAllConnections();
  await new Promise((resolve) => source.close(resolve));
});

const fetchOnce = () => makeHttpAttestations().fetch(`http://127.0.0.1:${(source.address() as AddressInfo).port}/attestation`);

test.each<[string, RequestListener]>([
  ['a redirect', (_request, response) => void response.writeHead(302, { location: '/elsewhere' }).end()],
  ['an error with a body', (_request, response) => void response.writeHead(500).end('x'.repeat(200_000))],
  ['an error whose body goes on', (_request, response) => void response.writeHead(503).write('x')],
  ['nothing', (_request, response) => void response.destroy()],
  ['more than there may be', (_request, response) => void response.writeHead(200).end(Buffer.alloc(5_000_000))],
  [
    'a bundle that breaks off',
    (_request, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('{');
      setTimeout(() => response.destroy(), 20);
    },
  ],
])('a source that answers with %s is a fault of the upstream, followed nowhere, and ends nothing else', async (_what, given) => {
  answer = given;
  await expect(fetchOnce()).rejects.toMatchObject({ code: 'upstream_failed' });
  // What nobody listens to comes a moment later, and would end the process.
  await delay(50);
  expect(asked).toEqual(['/attestation']);
});

test.each([
  ['max-age=100', 100_000],
  ['public, max-age=7, must-revalidate', 7000],
  ['s-maxage=100', null],
  ['private', null],
  ['no-store', 0],
  ['no-cache, max-age=100', 0],
])('%s is how long a bundle may be kept', async (cacheControl, maxAgeMs) => {
  answer = (_request, response) =>
    void response.writeHead(200, { 'content-type': 'application/json', 'cache-control': cacheControl }).end('{}');
  expect(await fetchOnce()).toMatchObject({ contentType: 'application/json', maxAgeMs });
});
