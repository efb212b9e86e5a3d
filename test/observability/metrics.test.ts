import { readFileSync } from 'node:fs';
import { request as rawRequest } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Running } from '../../src/server/boot.ts';
import { ConfigError } from '../../src/server/config-error.ts';
import { Fault } from '../../src/core/fault.ts';
import { SURFACES } from '../../src/server/surfaces.ts';
import { observeStore } from '../../src/server/telemetry/observe-store.ts';
import { makeUseCounters } from '../../src/server/telemetry/use-counters.ts';
import { familiesOf, makeMetrics } from '../../src/telemetry/metrics/metrics.ts';
import { makeControlPlaneKeys, type CallerKeys } from './caller-keys.ts';
import { messagesAnswer } from '../support/messages-upstream.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';
import { signedDelivery, wireEvent } from '../support/report-client.ts';
import { waitUntil } from '../support/wait-until.ts';
import { usageEvent } from '../support/test-app.ts';
import { chatBody, testConfig, TEST_MODEL, TEST_PRICE } from '../support/test-config.ts';
import { parseExposition, type Scraped } from './exposition.ts';
import { credentialsOf, makeFolders } from './started.ts';

const TOKEN = 'scraper-token-0123456789';
const ROUTE = { surface: 'gateway', method: 'POST', route: '/v1/chat/completions' };
const UNMATCHED = { surface: 'none', method: 'unmatched', route: 'unmatched', status: '4xx' };
const REFUSED = { surface: 'gateway', method: 'other', route: '/v1/embeddings', status: '4xx' };
const folders = makeFolders();
let upstream: OpenAiServer;
beforeAll(async () => {
  upstream = await startOpenAiServer();
});
afterAll(async () => {
  await folders.dispose();
  await upstream.close();
});

interface Started {
  readonly running: Running;
  readonly operatorKey: string;
  readonly keys: CallerKeys;
  readonly scrape: () => Promise<Scraped>;
  readonly chat: (key: string, body?: unknown) => Promise<Response>;
}

async function start(yaml: string, env: NodeJS.ProcessEnv = {}): Promise<Started> {
  const folder = folders.make();
  const running = await folder.start({ yaml: testConfig(upstream.url, yaml), env });
  const { operator_key: operatorKey, admin_key: adminKey } = credentialsOf(folder);
  const { admin, runtime } = running.listeners;
  return {
    running,
    operatorKey,
    keys: makeControlPlaneKeys(admin.origin, { operatorKey, adminKey }),
    scrape: async () => {
      const answer = await fetch(`${admin.origin}/metrics`, { headers: { 'x-admin-api-key': operatorKey } });
      expect(answer.status).toBe(200);
      return parseExposition(await answer.text());
    },
    chat: (key, body = chatBody('one two three')) =>
      fetch(`${runtime.origin}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
  };
}

describe('who may read the metrics', () => {
  let started: Started;
  beforeAll(async () => {
    started = await start(`metrics: { token: "${TOKEN}" }`);
  });
  const ask = (headers: Record<string, string>) => fetch(`${started.running.listeners.admin.origin}/metrics`, { headers });

  test('200: the operator, and whoever has the declared token', async () => {
    for (const headers of [{ 'x-admin-api-key': started.operatorKey }, { authorization: `Bearer ${TOKEN}` }]) {
      const answer = await ask(headers);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
      expect(parseExposition(await answer.text()).value('castellan_ready')).toBe(1);
    }
  });

  test.each([
    ['nobody', {}],
    ['a wrong token', { authorization: `Bearer ${TOKEN}x` }],
    ['the token as an operator key', { 'x-admin-api-key': TOKEN }],
  ])('401: %s', async (_who, headers) => {
    const answer = await ask(headers);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    expect(await answer.json()).toMatchObject({ error: 'UNAUTHORIZED' });
  });

  test('404: on the data plane they are not', async () => {
    const { origin } = started.running.listeners.runtime;
    expect((await fetch(`${origin}/metrics`, { headers: { 'x-admin-api-key': started.operatorKey } })).status).toBe(404);
  });

  test('200: everybody, where the file says so, and nobody but the operator where it says nothing', async () => {
    const open = await start('metrics: { open: true }');
    expect((await fetch(`${open.running.listeners.admin.origin}/metrics`)).status).toBe(200);
    const silent = await start('');
    const bearer = await fetch(`${silent.running.listeners.admin.origin}/metrics`, { headers: { authorization: 'Bearer null' } });
    expect(bearer.status).toBe(401);
    expect((await silent.scrape()).value('castellan_ready')).toBe(1);
  });

  test.each([
    ['metrics: { token: short }', /metrics\.token must be a token of 16 to 512 visible ASCII characters/],
    [`metrics: { token: "${TOKEN}", open: true }`, /metrics\.open is true, which makes the token meaningless/],
    ['metrics: { tenant_label: true }', /tenant_labels/],
  ])('a wrong section stops the start with one sentence that shows no token: %s', async (yaml, sentence) => {
    const error: unknown = await start(yaml).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(sentence);
    expect((error as Error).message).not.toContain(TOKEN);
  });
});

describe('what is counted', () => {
  let started: Started;
  let capped: string;
  let before: Scraped;
  let after: Scraped;
  const usage = { prompt: 0, completion: 0 };

  beforeAll(async () => {
    started = await start('');
    const { keys } = started;
    const caller = await keys.make({ name: 'caller' });
    capped = await keys.make({ name: 'capped', maxTokens: 1 });
    before = await started.scrape();
    for (const stream of [false, true]) {
      const answer = await started.chat(
        caller,
        chatBody('one two three', stream ? { stream, stream_options: { include_usage: true } } : {}),
      );
      const text = await answer.text();
      const found = /"prompt_tokens":(\d+),"completion_tokens":(\d+)/.exec(text);
      usage.prompt += Number(found?.[1]);
      usage.completion += Number(found?.[2]);
    }
    upstream.behaviour.fault = { kind: 'status', status: 503 };
    expect((await started.chat(caller)).status).toBe(502);
    upstream.behaviour.fault = { kind: 'reset_before_headers' };
    expect((await started.chat(caller)).status).toBe(502);
    upstream.behaviour.fault = null;
    upstream.behaviour.reportUsage = false;
    await (await started.chat(caller)).text();
    upstream.behaviour.reportUsage = true;
    expect((await started.chat(capped)).status).toBe(402);
    expect((await started.chat(caller, {})).status).toBe(400);
    expect((await started.chat(caller, chatBody('x', { model: 'nobody' }))).status).toBe(404);
    expect((await started.chat('tk_nobody')).status).toBe(401);
    await fetch(`${started.running.listeners.runtime.origin}/v1/dragons/${capped}`);
    await fetch(`${started.running.listeners.runtime.origin}/v1/embeddings`, { method: 'PUT' });
    // A request counts when its connection is done with it, which may be after its client has the answer.
    await waitUntil(async () => {
      after = await started.scrape();
      const isCounted =
        grown('castellan_http_request_seconds_count', ROUTE) === 9 &&
        grown('castellan_http_requests_total', UNMATCHED) === 1 &&
        grown('castellan_http_requests_total', REFUSED) === 1;
      // A refusal is answered before its batch is flushed, and its batch counted after.
      return isCounted && after.value('castellan_holds_active') === 0 && after.value('castellan_ledger_queue_commands') === 0;
    });
  });

  const grown = (name: string, labels: Readonly<Record<string, string>> = {}): number =>
    (after.value(name, labels) ?? 0) - (before.value(name, labels) ?? 0);

  test('requests by surface, route and class of status, with their time and the time to their first byte', () => {
    const route = ROUTE;
    expect(grown('castellan_http_requests_total', { ...route, status: '2xx' })).toBe(3);
    expect(grown('castellan_http_requests_total', { ...route, status: '4xx' })).toBe(4);
    expect(grown('castellan_http_requests_total', { ...route, status: '5xx' })).toBe(2);
    expect(grown('castellan_http_request_seconds_count', route)).toBe(9);
    expect(after.value('castellan_http_request_seconds_bucket', { ...route, le: '+Inf' })).toBe(
      after.value('castellan_http_request_seconds_count', route),
    );
    expect(grown('castellan_gateway_first_byte_seconds_count', { method: 'POST', route: '/v1/chat/completions' })).toBe(3);
    expect(after.value('castellan_http_requests_in_flight')).toBe(1);
  });

  test('what no route takes under one name, whatever it was called', () => {
    expect(grown('castellan_http_requests_total', UNMATCHED)).toBe(1);
    expect(grown('castellan_http_requests_total', REFUSED)).toBe(1);
  });

  test('tokens and cost, exactly what the answers told, plus the estimate', () => {
    const of = (kind: string): number => grown('castellan_tokens_total', { kind, model: TEST_MODEL });
    const { prompt, completion } = usage;
    expect(prompt).toBeGreaterThan(0);
    // The third call's usage was our own count: at least the prompt of the two before.
    expect(of('prompt')).toBeGreaterThanOrEqual(prompt);
    expect(of('completion')).toBeGreaterThanOrEqual(completion);
    const usd = (of('prompt') * TEST_PRICE.inputPer1m + of('completion') * TEST_PRICE.outputPer1m) / 1e6;
    expect(grown('castellan_cost_usd_total', { model: TEST_MODEL })).toBeCloseTo(usd, 9);
    expect(grown('castellan_calls_booked_total', { model: TEST_MODEL, estimated: 'false' })).toBe(2);
    expect(grown('castellan_calls_booked_total', { model: TEST_MODEL, estimated: 'true' })).toBe(1);
    expect(grown('castellan_gateway_events_total', { event: 'estimated' })).toBe(1);
  });

  test('holds that were made, refused by code, and never too small', () => {
    expect(grown('castellan_holds_total', { purpose: 'call', outcome: 'held' })).toBe(5);
    expect(grown('castellan_holds_total', { purpose: 'call', outcome: 'refused' })).toBe(1);
    expect(grown('castellan_holds_refused_total', { code: 'cap_exceeded' })).toBe(1);
    expect(grown('castellan_hold_seconds_count', { purpose: 'call' })).toBe(6);
    expect(grown('castellan_settle_seconds_count')).toBe(5);
    expect(after.value('castellan_hold_violations_total')).toBe(0);
  });

  test('refusals of the gateway by code', () => {
    for (const [code, count] of [
      ['cap_exceeded', 1],
      ['missing_required_parameter', 1],
      ['model_not_found', 1],
      ['upstream_failed', 2],
    ] as const)
      expect([code, grown('castellan_gateway_refusals_total', { code })]).toEqual([code, count]);
    expect(grown('castellan_gateway_events_total', { event: 'refused' })).toBe(3);
    expect(grown('castellan_gateway_events_total', { event: 'failed' })).toBe(2);
  });

  test('attempts at upstreams by what came back, with the time to their answer', () => {
    expect(grown('castellan_upstream_attempts_total', { upstream: 'own', outcome: '2xx' })).toBe(3);
    expect(grown('castellan_upstream_attempts_total', { upstream: 'own', outcome: '5xx' })).toBe(1);
    expect(grown('castellan_upstream_attempts_total', { upstream: 'own', outcome: 'reset' })).toBe(1);
    expect(grown('castellan_upstream_answer_seconds_count', { upstream: 'own' })).toBe(4);
  });

  test('batches, their size and time, commands by verb, and the queue', () => {
    const batches = grown('castellan_ledger_batches_total', { outcome: 'done' });
    expect(batches).toBeGreaterThan(0);
    expect(grown('castellan_ledger_batch_commands_count')).toBe(batches);
    expect(grown('castellan_ledger_batch_seconds_count')).toBe(batches);
    expect(grown('castellan_ledger_commands_total', { verb: 'reserve', outcome: 'done' })).toBe(5);
    expect(grown('castellan_ledger_commands_total', { verb: 'reserve', outcome: 'refused' })).toBe(1);
    expect(grown('castellan_ledger_commands_total', { verb: 'settle-call', outcome: 'done' })).toBe(5);
    expect(after.value('castellan_ledger_queue_commands')).toBe(0);
  });

  test('warnings and errors of the log, failures of jobs, and what runs here', () => {
    expect(grown('castellan_log_lines_total', { level: 'warn' })).toBeGreaterThan(0);
    expect(after.series('castellan_job_failures_total').map(({ job }) => job)).toContain('expire-reservations');
    expect(after.value('castellan_reservations_quarantined_total')).toBe(0);
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as { version: string };
    expect(after.value('castellan_build_info', { version, node: process.versions.node, store: 'sqlite' })).toBe(1);
    expect(after.value('castellan_nodejs_eventloop_lag_p99_seconds')).toBeLessThan(60);
  });

  test('a client that goes away before its answer, as aborted and no more in flight', async () => {
    upstream.behaviour.gated = true;
    const key = await started.keys.make({ name: 'leaver' });
    const { port } = started.running.listeners.runtime;
    const call = rawRequest({ port, host: '127.0.0.1', method: 'POST', path: '/v1/chat/completions' });
    call.on('error', () => undefined);
    call.setHeader('authorization', `Bearer ${key}`).setHeader('content-type', 'application/json');
    call.end(JSON.stringify(chatBody('bye')));
    await expect.poll(() => upstream.waiting()).toBe(1);
    call.destroy();
    const labels = { ...ROUTE, status: 'aborted' };
    await expect.poll(async () => (await started.scrape()).value('castellan_http_requests_total', labels)).toBe(1);
    upstream.release();
    upstream.behaviour.gated = false;
    // The scrape itself is in flight.
    expect((await started.scrape()).value('castellan_http_requests_in_flight')).toBe(1);
    await expect.poll(async () => (await started.scrape()).value('castellan_gateway_events_total', { event: 'abandoned' })).toBe(1);
  });

  test('nothing by tenant or key', () => {
    for (const name of after.types.keys())
      for (const suffix of ['', '_bucket']) {
        for (const labels of after.series(name + suffix)) {
          expect(Object.keys(labels)).not.toContain('tenant');
          expect(JSON.stringify(labels)).not.toMatch(/key_|tk_|default/);
        }
      }
  });

  test('use by tenant, where the file asks for it', async () => {
    const { keys, chat, scrape } = await start('metrics: { tenant_labels: true }');
    await (await chat(await keys.make({ name: 'caller' }))).text();
    await chat(await keys.make({ name: 'capped', maxTokens: 1 }));
    const scraped = await scrape();
    const tenant = 'default';
    expect(scraped.value('castellan_tokens_total', { kind: 'prompt', model: TEST_MODEL, tenant })).toBeGreaterThan(0);
    expect(scraped.value('castellan_cost_usd_total', { model: TEST_MODEL, tenant })).toBeGreaterThan(0);
    expect(scraped.value('castellan_calls_booked_total', { model: TEST_MODEL, estimated: 'false', tenant })).toBe(1);
    expect(scraped.value('castellan_holds_refused_total', { code: 'cap_exceeded', tenant })).toBe(1);
    expect(scraped.value('castellan_gateway_refusals_total', { code: 'cap_exceeded', tenant })).toBe(1);
  });
});

describe('what other surfaces are counted', () => {
  let started: Started;
  let caller: string;
  beforeAll(async () => {
    started = await start('');
    caller = await started.keys.make({ name: 'caller' });
  });
  const MESSAGES = { surface: 'anthropic', method: 'POST', route: '/v1/messages' };
  const send = (path: string, body: unknown, headers: Readonly<Record<string, string>>): Promise<Response> =>
    fetch(started.running.listeners.admin.origin + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  const operate = async (path: string, body: unknown): Promise<unknown> => {
    const answer = await send(`/v1/x-castellan${path}`, body, { 'x-admin-api-key': started.operatorKey });
    expect([path, answer.status]).toEqual([path, 201]);
    return answer.json();
  };

  test("calls in Anthropic's form: requests, their first byte, refusals, tokens, and what was written into a cache", async () => {
    await operate('/upstreams', { id: 'claude', base_url: upstream.url, speaks: ['anthropic'] });
    await operate('/models', { id: 'm2', upstreams: [{ id: 'claude' }], max_output_tokens: 100 });
    await operate('/prices', { model_id: 'm2', input_per_1m: 1, output_per_1m: 2, cache_write_input_per_1m: 5 });
    const usage = { input_tokens: 10, cache_creation_input_tokens: 6, cache_read_input_tokens: 4, output_tokens: 7 };
    const call = { model: 'm2', max_tokens: 50, messages: [{ role: 'user', content: 'hello there' }] };
    upstream.behaviour.rawPieces = { contentType: 'application/json', pieces: [messagesAnswer(usage)] };
    expect((await send('/v1/messages', call, { 'x-api-key': caller })).status).toBe(200);
    upstream.behaviour.rawPieces = null;
    expect((await send('/v1/messages', { ...call, model: 'nobody' }, { 'x-api-key': caller })).status).toBe(404);
    let scraped: Scraped | undefined;
    await waitUntil(async () => {
      scraped = await started.scrape();
      return scraped.value('castellan_http_request_seconds_count', MESSAGES) === 2;
    });
    const value = (name: string, labels: Readonly<Record<string, string>> = {}) => scraped?.value(name, labels);
    expect(value('castellan_http_requests_total', { ...MESSAGES, status: '2xx' })).toBe(1);
    expect(value('castellan_http_requests_total', { ...MESSAGES, status: '4xx' })).toBe(1);
    expect(value('castellan_gateway_first_byte_seconds_count', { method: 'POST', route: '/v1/messages' })).toBe(1);
    expect(value('castellan_gateway_refusals_total', { code: 'model_not_found' })).toBe(1);
    expect(value('castellan_gateway_events_total', { event: 'call' })).toBe(2);
    const tokens = (kind: string) => value('castellan_tokens_total', { kind, model: 'm2' });
    expect(['prompt', 'cached_prompt', 'cache_write_prompt', 'completion'].map(tokens)).toEqual([20, 4, 6, 7]);
    expect(value('castellan_calls_booked_total', { model: 'm2', estimated: 'false' })).toBe(1);
    // Cached input has no price of its own here.
    expect(value('castellan_cost_usd_total', { model: 'm2' })).toBeCloseTo((14 * 1 + 6 * 5 + 7 * 2) / 1e6, 12);
  });

  test('usage that another proxy reports, when it is booked, under the surface of reports', async () => {
    const { secret } = (await operate('/usage-reporters', { id: 'router', tenants: ['default'] })) as { secret: string };
    await operate('/models', { id: 'm3', upstreams: [{ id: 'own' }] });
    await operate('/prices', { model_id: 'm3', input_per_1m: 1, output_per_1m: 2 });
    const at = { occurredAtMs: Date.now(), model: 'm3' };
    const events = [wireEvent(caller, at, { customer_requests: 2 }), wireEvent(caller, { ...at, model: 'nobody' })];
    const delivery = signedDelivery({ reporterId: 'router', secret, nowMs: at.occurredAtMs, events });
    expect((await send(delivery.path, delivery.body, delivery.headers)).status).toBe(200);
    expect((await send(delivery.path, delivery.body, delivery.headers)).status).toBe(409);
    const scraped = await started.scrape();
    const tokens = (kind: string) => scraped.value('castellan_tokens_total', { kind, model: 'm3' });
    expect(['prompt', 'completion', 'cached_prompt'].map(tokens)).toEqual([11, 7, 4]);
    expect(scraped.value('castellan_calls_booked_total', { model: 'm3', estimated: 'false' })).toBe(2);
    expect(scraped.value('castellan_cost_usd_total', { model: 'm3' })).toBeCloseTo((11 + 7 * 2) / 1e6, 12);
    const reports = { surface: 'usage-reports', method: 'POST', route: delivery.path, status: '2xx' };
    await expect.poll(async () => (await started.scrape()).value('castellan_http_requests_total', reports)).toBe(1);
  });

  test('questions about keys, and what a key asks of itself, each under its surface', async () => {
    expect((await send('/api/shim/validate-key', { api_key: caller }, {})).status).toBe(200);
    const { origin } = started.running.listeners.runtime;
    expect((await fetch(`${origin}/v1/x-castellan/me`, { headers: { authorization: `Bearer ${caller}` } })).status).toBe(200);
    for (const labels of [
      { surface: 'key-checks', method: 'POST', route: '/api/shim/validate-key', status: '2xx' },
      { surface: 'gateway', method: 'GET', route: '/v1/x-castellan/me', status: '2xx' },
    ])
      await expect.poll(async () => (await started.scrape()).value('castellan_http_requests_total', labels)).toBe(1);
  });
});

describe('faults of the ledger', () => {
  const command = { verb: 'reserve' } as never;
  const failing = (error: Error) => ({ lanes: 1, execute: () => Promise.reject(error) });

  test('are counted by command where a store cannot say, and once where one command of a batch is guilty', async () => {
    const metrics = makeMetrics({ tenantLabels: false });
    const gone = new Fault({ code: 'store_unavailable', message: 'gone', publicMessage: 'gone' });
    await expect(observeStore(failing(gone), metrics).execute('b1', [command, command], 0)).rejects.toBe(gone);
    const bug = new Error('bug');
    await expect(observeStore(failing(bug), metrics).execute('b2', [command, command], 0)).rejects.toBe(bug);
    await expect(observeStore(failing(bug), metrics).execute('b3', [command], 0)).rejects.toBe(bug);
    expect(metrics.faults.cell('store_unavailable').value).toBe(2);
    expect(metrics.faults.cell('internal').value).toBe(1);
    expect(metrics.batches.cell('failed').value).toBe(3);
  });
});

describe('the reference', () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8');
  const rows = new Map(
    Array.from(text.matchAll(/^\| `((?:castellan|cycles)_\w+)`( †)? \| (\w+) \|(?: ([^|]*) \|)? ([^|]+) \|$/gm), (row) => [
      row[1] ?? '',
      row,
    ]),
  );

  test('lists every metric with its type, labels and meaning, and no other', async () => {
    const started = await start('');
    const scraped = await started.scrape();
    expect([...rows.keys()].toSorted()).toEqual([...scraped.types.keys()].toSorted());
    for (const [name, type] of scraped.types) expect([name, rows.get(name)?.[3]]).toEqual([name, type]);
    for (const { name, labels, help } of familiesOf(makeMetrics({ tenantLabels: false }))) {
      const shown = labels.map((label) => `\`${label}\``).join(', ');
      expect([name, rows.get(name)?.[4] ?? '', rows.get(name)?.[5]]).toEqual([name, shown, help]);
    }
  });

  test('marks those that may carry a tenant', () => {
    const marked = [...rows].filter(([, row]) => row[2] !== undefined).map(([name]) => name);
    const byTenant = familiesOf(makeMetrics({ tenantLabels: true })).filter(({ labels }) => labels.includes('tenant'));
    expect(marked.toSorted()).toEqual(byTenant.map(({ name }) => name).toSorted());
  });

  test('lists every surface, and every kind of tokens', () => {
    const listOf = (label: string): string => new RegExp(`^\`${label}\` is [^.;]*`, 'm').exec(text)?.[0] ?? '';
    for (const { id } of SURFACES) expect(listOf('surface')).toContain(`\`${id}\``);
    const metrics = makeMetrics({ tenantLabels: false });
    makeUseCounters(metrics, { tenantLabels: false })(usageEvent({ id: 'u1', tenantId: 't1', keyId: 'k1', atMs: 0 }));
    const kinds = metrics.tokens.samples().map(({ labels }) => labels['kind']);
    expect(kinds.length).toBeGreaterThan(4);
    for (const kind of kinds) expect(listOf('kind')).toContain(`\`${kind}\``);
  });

  test('lists every event of the gateway', async () => {
    const scraped = await (await start('')).scrape();
    const events = scraped.series('castellan_gateway_events_total').map(({ event }) => event);
    expect(events.length).toBeGreaterThan(5);
    for (const event of events) expect(text).toContain(`| \`${event}\` |`);
  });
});
