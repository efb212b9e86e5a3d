import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeSystemClock } from '../../src/server/secrets/system-clock.ts';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { chatBody, testConfig } from '../support/test-config.ts';

let model: OpenAiServer;
let server: TestServer;

beforeEach(async () => {
  model = await startOpenAiServer({ gated: true });
  server = await startServer({ store: { kind: 'sqlite' }, config: testConfig(model.url) });
});
afterEach(async () => {
  await server.dispose();
  await model.close();
});

/** Begins a call; management keys may call models, and theirs has no budget. */
const call = (extra: object = {}): Promise<Response> =>
  fetch(`${server.runtime}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server.credentials().management_key}`, 'content-type': 'application/json' },
    body: JSON.stringify(chatBody('finish what you began', extra)),
  });

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}

const refusesConnections = (): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(Number(new URL(server.runtime).port), '127.0.0.1');
    const done = (refused: boolean) => (): void => {
      socket.destroy();
      resolve(refused);
    };
    socket.on('connect', done(false)).on('error', done(true));
  });

/** What the tenant has used in all, read while no process runs. */
async function usageAfterStop(): Promise<{ requests: number; tokens: number }> {
  const store = await openSqliteStore({ dataDir: server.dataDir, clock: makeSystemClock() });
  try {
    const totals = await store.usageTotals({ tenantId: 'default', fromMs: null, intervalMs: 0 });
    return {
      requests: totals.reduce((sum, { requests }) => sum + requests, 0),
      tokens: totals.reduce((sum, { promptTokens, completionTokens }) => sum + promptTokens + completionTokens, 0),
    };
  } finally {
    await store.close();
  }
}

describe('SIGTERM', () => {
  test('lets the call in flight finish, takes no new one, settles, and ends with code 0', async () => {
    const answer = call();
    await until(() => model.waiting() === 1);
    server.signal('SIGTERM');
    await until(refusesConnections);
    server.signal('SIGTERM');
    server.signal('SIGINT');
    model.release();
    const response = await answer;
    expect(response.status).toBe(200);
    const { usage } = (await response.json()) as { usage: { total_tokens: number } };
    expect(await server.ended()).toEqual({ code: 0, signal: null });

    expect((await server.verify()).discrepancies).toEqual([]);
    expect(await usageAfterStop()).toEqual({ requests: 1, tokens: usage.total_tokens });
  });

  test('lets a stream in flight run to its end', async () => {
    model.behaviour.gated = false;
    model.behaviour.chunkDelayMs = 20;
    const response = await call({ stream: true });
    server.signal('SIGTERM');
    await until(refusesConnections);
    expect(await response.text()).toMatch(/data: \[DONE\]\n\n$/);
    expect(await server.ended()).toEqual({ code: 0, signal: null });
  });

  test('does not wait for idle connections', async () => {
    const sockets = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const socket = connect(Number(new URL(server.admin).port), '127.0.0.1');
        socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
        await once(socket, 'data');
        return socket;
      }),
    );
    const closed = sockets.map((socket) => once(socket, 'close'));
    const startedAtMs = performance.now();
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    // Idle connections are kept for 72 seconds otherwise.
    expect(performance.now() - startedAtMs).toBeLessThan(10_000);
    await Promise.all(closed);
  });
});

test('a call whose caller is gone is settled before the process ends', async () => {
  const abort = new AbortController();
  const answer = fetch(`${server.runtime}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server.credentials().management_key}`, 'content-type': 'application/json' },
    body: JSON.stringify(chatBody('never mind')),
    signal: abort.signal,
  }).catch(() => null);
  await until(() => model.waiting() === 1);
  abort.abort();
  await answer;
  server.signal('SIGTERM');
  model.release();
  expect(await server.ended()).toEqual({ code: 0, signal: null });
  expect(await usageAfterStop()).toMatchObject({ requests: 1 });
  expect((await server.verify()).discrepancies).toEqual([]);
});
