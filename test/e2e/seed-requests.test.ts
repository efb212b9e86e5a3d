import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeControlPlane, type ControlPlane } from '../support/control-plane.ts';
import { bearer, makeHttpClient, type HttpClient } from '../support/http-client.ts';
import { AnyNames, Nullable, shapeFaults } from '../support/json-shape.ts';
import {
  OLDEST_LINES,
  SEED_REQUESTS,
  SEED_SERIES,
  SEED_WINDOWS,
  SEED_WORDS,
  type Seed,
  type SeedRequest,
} from '../support/seed-requests.ts';
import { startServer, type TestServer } from '../support/server-process.ts';

const run = promisify(execFile);

const KEY_OBJECT = {
  key: 'tk_',
  name: '',
  disabled: false,
  expires_at: new Nullable(''),
  max_tokens: new Nullable(1),
  metadata: {},
  tokens_used: 0,
  input_tokens_used: 0,
  output_tokens_used: 0,
  request_count: 0,
  is_owner: true,
  created_at: '',
  last_used_at: new Nullable(''),
};
/** Fields of the key object in the earlier document. */
const EARLIER_KEY_OBJECT = {
  key: 'tk_',
  name: '',
  clerk_user_id: '',
  created_at: '',
  expires_at: new Nullable(''),
  max_tokens: new Nullable(1),
  chat: false,
  is_admin: false,
  metadata: {},
};
const USAGE = {
  tokens: 0,
  input_tokens: 0,
  output_tokens: 0,
  requests: 0,
  cost: 0,
  keys: new AnyNames({
    total_tokens: 0,
    total_input_tokens: 0,
    total_output_tokens: 0,
    total_requests: 0,
    cost: 0,
    models: new AnyNames({ tokens: 0, input_tokens: 0, output_tokens: 0, requests: 0, cost: 0 }),
  }),
};
const SERIES_MODELS = new AnyNames({ tokens: 0, input_tokens: 0, output_tokens: 0, requests: 0 });
const TIME_SERIES = {
  data_points: [{ time: '', tokens: 0, input_tokens: 0, output_tokens: 0, requests: 0, models: SERIES_MODELS }],
  interval: '',
};
const USAGE_BY_KEY = { prompt_tokens: 0, completion_tokens: 0, requests: 0, cost: 0 };

/** What each request answers, by the document that it is from. */
const ANSWERS: Readonly<Record<SeedRequest['does'], { readonly status: number; readonly shape: unknown; readonly exactly?: unknown }>> = {
  list: { status: 200, shape: [KEY_OBJECT] },
  create: { status: 200, shape: KEY_OBJECT },
  // Its own example breaks the rule that the same document states: a name has no colon, at sign or brackets.
  'create-for-user': { status: 400, shape: { error: '', code: '', status: '', message: '' } },
  update: { status: 200, shape: {}, exactly: { message: 'API key updated' } },
  rename: { status: 200, shape: {}, exactly: { message: 'API key renamed' } },
  delete: { status: 200, shape: {}, exactly: { message: 'API key deleted' } },
  usage: { status: 200, shape: USAGE },
  'usage-by-key': { status: 200, shape: USAGE_BY_KEY },
  'time-series': { status: 200, shape: TIME_SERIES },
  transactions: { status: 200, shape: {}, exactly: { transactions: [] } },
};

let server: TestServer;
let client: HttpClient;
let control: ControlPlane;

beforeAll(async () => {
  server = await startServer({ store: { kind: 'sqlite' } });
  client = makeHttpClient();
  control = makeControlPlane(server, client);
});

afterAll(async () => {
  await client.close();
  await server.dispose();
});

/** A year after the test began, for the dates that lie in the past. */
const FUTURE = new Date(Date.now() + 365 * 86_400_000).toISOString().replace(/\.\d+Z$/, 'Z');

/** The published command with host, key and dates replaced, run by a shell. */
async function paste(curl: string, key: string): Promise<{ status: number; body: unknown }> {
  let command = curl.replace(SEED_WORDS.origin, server.admin).replace(SEED_WORDS.adminKey, server.credentials().admin_key);
  for (const word of SEED_WORDS.keys) command = command.replace(word, key);
  for (const date of SEED_WORDS.dates) command = command.replace(date, FUTURE);
  const { stdout } = await run('/bin/sh', ['-c', `${command} -sS -w '\\n%{http_code}'`]);
  const lines = stdout.trimEnd().split('\n');
  return { status: Number(lines.pop()), body: JSON.parse(lines.join('\n')) };
}

/** A key that has made one call. */
async function usedKey(name: string): Promise<string> {
  const { key } = await control.makeKey(control.firstTenant(), { name });
  const body = { model: 'demo-echo', messages: [{ role: 'user', content: 'Hello' }], max_tokens: 32 };
  const answer = await client.ask(`${server.runtime}/v1/chat/completions`, { method: 'POST', headers: bearer(key), body });
  expect(answer.status).toBe(200);
  return key;
}

describe.each<Exclude<Seed, 'oldest'>>(['newest', 'earlier'])('the requests of the %s document', (seed) => {
  test('work as written, in order, on a key that has been used', async () => {
    const key = await usedKey(`Seed ${seed}`);
    for (const request of SEED_REQUESTS.filter((each) => each.seed === seed)) {
      const { status, body } = await paste(request.curl, key);
      const expected = ANSWERS[request.does];
      expect({ curl: request.curl, status, faults: shapeFaults(body, expected.shape) }).toEqual({
        curl: request.curl,
        status: expected.status,
        faults: [],
      });
      if (expected.exactly !== undefined) expect(body).toEqual(expected.exactly);
      if (request.does === 'create' && seed === 'earlier') expect(shapeFaults(body, EARLIER_KEY_OBJECT)).toEqual([]);
      if (request.does === 'create-for-user') expect((body as { error: string }).error).toMatch(/name.*(letters|alphanumeric)/i);
    }
  });
});

test('a created key answers with what was asked for, and the key works', async () => {
  const create = SEED_REQUESTS.find(({ does }) => does === 'create')!;
  const { body } = await paste(create.curl, '');
  const made = body as { key: string };
  expect(body).toMatchObject({
    key: expect.stringMatching(/^tk_[0-9A-Za-z]{31}$/) as unknown,
    name: 'Production API Key',
    disabled: false,
    expires_at: FUTURE,
    max_tokens: 1_000_000,
    metadata: { environment: 'production', team: 'backend' },
    tokens_used: 0,
    input_tokens_used: 0,
    output_tokens_used: 0,
    request_count: 0,
    is_owner: true,
    last_used_at: null,
  });
  expect((await client.ask(`${server.runtime}/v1/models`, { headers: bearer(made.key) })).status).toBe(200);
});

describe('the requests of the oldest document', () => {
  test('work, with the fields that it describes in words', async () => {
    const key = await usedKey('Seed oldest');
    const bodies: Readonly<Record<string, unknown>> = {
      'POST /api/keys': { name: 'Oldest Key', expires_at: FUTURE, max_tokens: 1000, metadata: { team: 'backend' } },
      'POST /api/keys/rename': { key, name: 'Renamed.Key_1' },
    };
    const shapes: Readonly<Record<string, unknown>> = {
      'GET /api/keys': [KEY_OBJECT],
      'POST /api/keys': KEY_OBJECT,
      'GET /api/billing/usage': USAGE,
      'GET /api/billing/time-series': TIME_SERIES,
    };
    for (const line of OLDEST_LINES) {
      const [method = '', path = ''] = line.split(' ');
      const answer = await control.asAdmin(control.firstTenant(), method, path.replace(':key', key), bodies[line]);
      expect({ line, status: answer.status, faults: shapeFaults(answer.json(), shapes[line] ?? {}) }).toEqual({
        line,
        status: 200,
        faults: [],
      });
    }
  });

  test.each(SEED_WINDOWS)('usage and series answer for the window %s, the series zero-filled at its fixed interval', async (window) => {
    const tenant = control.firstTenant();
    const usage = await control.asAdmin(tenant, 'GET', `/api/billing/usage?time=${window}`);
    expect(shapeFaults(usage.json(), USAGE)).toEqual([]);
    const series = (await control.asAdmin(tenant, 'GET', `/api/billing/time-series?time=${window}`)).json<{
      data_points: { time: string; requests: number }[];
      interval: string;
    }>();
    expect(series.interval).toBe(SEED_SERIES[window].interval);
    expect(series.data_points).toHaveLength(SEED_SERIES[window].points);
    // A window is exactly what its series shows.
    const requests = series.data_points.reduce((sum, point) => sum + point.requests, 0);
    expect(usage.json<{ requests: number }>().requests).toBe(requests);
  });
});

test('the earlier shape of transactions is a bare array, where it is asked for', async () => {
  const answer = await control.asAdmin(control.firstTenant(), 'GET', '/api/billing/transactions?format=array');
  expect(answer.json()).toEqual([]);
});
