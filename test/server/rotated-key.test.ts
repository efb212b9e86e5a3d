import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Running } from '../../src/server/boot.ts';
import { makeManualClock } from '../support/fakes.ts';
import { makeTestFolder, recordingLog } from './in-process.ts';

const folder = makeTestFolder();
const clock = makeManualClock(Date.UTC(2026, 3, 9));
const log = recordingLog();
let running: Running;

beforeAll(async () => {
  running = await folder.start({ overrides: { clock, log } });
});
afterAll(() => folder.dispose());

const adminKey = (): string => running.prepared.credentials.admin_key ?? '';
const LISTENERS = ['runtime', 'admin'] as const;

const ask = (listener: (typeof LISTENERS)[number], path: string, init: { key: string; body?: unknown }): Promise<Response> =>
  fetch(`${running.listeners[listener].origin}${path}`, {
    headers: { authorization: `Bearer ${init.key}`, 'content-type': 'application/json' },
    ...(init.body === undefined ? {} : { method: 'POST', body: JSON.stringify(init.body) }),
  });

const chat = (key: string, listener: (typeof LISTENERS)[number] = 'runtime'): Promise<Response> =>
  ask(listener, '/v1/chat/completions', {
    key,
    body: { model: 'demo-echo', messages: [{ role: 'user', content: 'hello' }], max_tokens: 4 },
  });

interface Own {
  readonly id: string;
  readonly limits: readonly { readonly unit: string; readonly limit: number; readonly spent: number; readonly reserved: number }[];
  readonly usage: { readonly all: { readonly requests: number } };
  readonly rotation: { readonly presented: string };
}
const me = async (key: string, listener: (typeof LISTENERS)[number] = 'runtime'): Promise<Own> =>
  (await (await ask(listener, '/v1/x-castellan/me', { key })).json()) as Own;

/** Makes an inference key with a cap of a thousand tokens. */
async function makeKey(name: string): Promise<{ id: string; key: string }> {
  return (await (await ask('admin', '/api/keys', { key: adminKey(), body: { name, max_tokens: 1000 } })).json()) as {
    id: string;
    key: string;
  };
}

async function rotate(id: string, seconds: number): Promise<string> {
  const answer = await ask('admin', `/v1/x-castellan/keys/${id}/rotate`, { key: adminKey(), body: { grace_seconds: seconds } });
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { key: string }).key;
}

describe('a program that serves', () => {
  test('takes calls by both values of a rotated key, on one cap, until the grace ends', async () => {
    const { id, key: before } = await makeKey('robot');
    expect((await chat(before)).status).toBe(200);
    const { limits } = await me(before);
    const after = await rotate(id, 60);
    expect([(await chat(before)).status, (await chat(after)).status]).toEqual([200, 200]);
    const own = await me(after);
    // Three equal calls of one key, whichever value each came by.
    expect(own).toMatchObject({ id, usage: { all: { requests: 3 } }, rotation: { presented: 'current' } });
    expect(own.limits[0]).toMatchObject({ unit: 'TOKENS', limit: 1000, spent: 3 * (limits[0]?.spent ?? 0), reserved: 0 });
    clock.advance(60_000);
    const [late, good] = [await chat(before), await chat(after)];
    expect([late.status, ((await late.json()) as { error: { code: string } }).error.code, good.status]).toEqual([
      401,
      'invalid_api_key',
      200,
    ]);
  });

  test.each(LISTENERS)('tells a key its own limits on the %s listener, and refuses a bad one in OpenAI’s form', async (listener) => {
    const { id, key } = await makeKey(`of ${listener}`);
    expect((await chat(key, listener)).status).toBe(200);
    const own = await me(key, listener);
    expect(own).toMatchObject({ id, usage: { all: { requests: 1 } } });
    expect(own.limits[0]?.spent).toBeGreaterThan(0);
    const bad = await ask(listener, '/v1/x-castellan/me', { key: 'tk_nobody' });
    expect([bad.status, await bad.json()]).toMatchObject([401, { error: { code: 'invalid_api_key' } }]);
  });

  test('tells of the thresholds that real calls pass, once each', async () => {
    const { id, key } = await makeKey('watched');
    expect((await chat(key)).status).toBe(200);
    const used = (await me(key)).limits[0]?.spent ?? 0;
    const update = await ask('admin', '/api/keys/update', { key: adminKey(), body: { key, max_tokens: used * 2 } });
    expect(update.status).toBe(200);
    const told = async (): Promise<unknown[]> => {
      const answer = await ask('admin', '/v1/x-castellan/events?type=api_key.threshold_crossed', { key: adminKey() });
      const { events } = (await answer.json()) as { events: { data: { key_id: string; threshold_percent: number } }[] };
      return events.filter(({ data }) => data.key_id === id).map(({ data }) => data.threshold_percent);
    };
    expect(await told()).toEqual([50]);
    const raise = await ask('admin', '/api/keys/update', { key: adminKey(), body: { key, max_tokens: used * 20 } });
    expect(raise.status).toBe(200);
    for (let call = 0; call < 10; call++) expect((await chat(key)).status).toBe(200);
    expect(await told()).toEqual([50, 50]);
  });

  test('keeps a rotation over a new start, and prints no value into its log', async () => {
    const { id, key: before } = await makeKey('lasting');
    const after = await rotate(id, 600);
    await running.stop();
    running = await folder.start({ overrides: { clock, log } });
    expect([(await chat(before)).status, (await chat(after)).status]).toEqual([200, 200]);
    const text = JSON.stringify(log.lines);
    expect(text).toContain('castellan is up');
    for (const value of [before, after]) expect(text).not.toContain(value);
  });
});

test('a key of the first start that is rotated stands in credentials.json with its new value, and no other does', async () => {
  const own = makeTestFolder();
  try {
    const program = await own.start();
    const path = join(own.dataDir, 'credentials.json');
    const read = (): Record<string, string> => JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>;
    const before = read();
    const post = async (route: string, key: string, body: object): Promise<{ id: string; key: string }> => {
      const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
      const answer = await fetch(`${program.listeners.admin.origin}${route}`, { method: 'POST', headers, body: JSON.stringify(body) });
      return (await answer.json()) as { id: string; key: string };
    };
    const idOf = async (key: string): Promise<string> => {
      const headers = { authorization: `Bearer ${key}` };
      return ((await (await fetch(`${program.listeners.admin.origin}/v1/x-castellan/me`, { headers })).json()) as { id: string }).id;
    };
    const demoId = await idOf(before['demo_key'] ?? '');
    const rotated = await post(`/v1/x-castellan/keys/${demoId}/rotate`, before['admin_key'] ?? '', { grace_seconds: 60 });
    expect(read()).toEqual({ ...before, demo_key: rotated.key });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const again = await post(`/v1/x-castellan/keys/${demoId}/rotate`, before['admin_key'] ?? '', {});
    expect(read()).toEqual({ ...before, demo_key: again.key });

    const other = await post('/api/keys', before['admin_key'] ?? '', { name: 'other' });
    await post(`/v1/x-castellan/keys/${other.id}/rotate`, before['admin_key'] ?? '', {});
    expect(read()).toEqual({ ...before, demo_key: again.key });
  } finally {
    await own.dispose();
  }
});
