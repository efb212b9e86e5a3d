import { randomBytes } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Running } from '../../src/server/boot.ts';
import { ConfigError } from '../../src/server/config-error.ts';
import { readTraceConfig, TRACE_VARIABLES } from '../../src/server/telemetry/read-trace-config.ts';
import { recordingLog } from '../server/in-process.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';
import { chatBody, testConfig, TEST_MODEL, UPSTREAM_KEY } from '../support/test-config.ts';
import { makeControlPlaneKeys } from './caller-keys.ts';
import { startCollector, type Collector, type ReceivedSpan } from './collector.ts';
import { credentialsOf, makeFolders } from './started.ts';

const PARENT_ID = '00f067aa0ba902b7';
/** A trace of its own for each test: spans of the one before may still be on their way. */
let traceId = '';
let traceparent = '';
const PROMPT = 'canary-prompt-words';

const folders = makeFolders();
let upstream: OpenAiServer;
let collector: Collector;
beforeAll(async () => {
  [upstream, collector] = await Promise.all([startOpenAiServer(), startCollector()]);
});
afterAll(async () => {
  await folders.dispose();
  await Promise.all([upstream.close(), collector.close()]);
});
beforeEach(() => {
  traceId = randomBytes(16).toString('hex');
  traceparent = `00-${traceId}-${PARENT_ID}-01`;
  collector.spans.length = 0;
  collector.requests.length = 0;
  collector.status = 200;
  upstream.received.length = 0;
  upstream.behaviour.fault = null;
});

interface Started {
  readonly running: Running;
  readonly key: string;
  readonly log: ReturnType<typeof recordingLog>;
  readonly chat: (headers?: Record<string, string>, extra?: object) => Promise<Response>;
}

/** Starts a program that traces to the collector, or as the variables say. */
async function start(env: NodeJS.ProcessEnv = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.origin }): Promise<Started> {
  const folder = folders.make();
  const log = recordingLog();
  const running = await folder.start({
    yaml: testConfig(upstream.url),
    env: { OTEL_BSP_SCHEDULE_DELAY: '20', ...env },
    overrides: { log },
  });
  const { operator_key: operatorKey, admin_key: adminKey } = credentialsOf(folder);
  const key = await makeControlPlaneKeys(running.listeners.admin.origin, { operatorKey, adminKey }).make({ name: 'traced' });
  return {
    running,
    key,
    log,
    chat: (headers = {}, extra = {}) =>
      fetch(`${running.listeners.runtime.origin}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
        body: JSON.stringify(chatBody(PROMPT, extra)),
      }),
  };
}

/** The spans of one trace, once as many of its requests have come. */
async function spansOf(id: string, count = 1): Promise<ReceivedSpan[]> {
  const inTrace = (): ReceivedSpan[] => collector.spans.filter((span) => span.traceId === id);
  await expect.poll(() => inTrace().filter(({ kind }) => kind === 2).length, { timeout: 10_000 }).toBe(count);
  return inTrace();
}

const named = (spans: readonly ReceivedSpan[], name: string): ReceivedSpan => {
  const found = spans.filter((span) => span.name === name);
  expect([name, found.length]).toEqual([name, 1]);
  return found[0] as ReceivedSpan;
};

describe('a traced call', () => {
  let started: Started;
  beforeAll(async () => {
    started = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.origin, OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=a%20test' });
  });

  test.each([
    ['at once', false],
    ['as a stream', true],
  ])('is one trace of its caller: hold, upstream and settle within the request (%s)', async (_how, stream) => {
    const answer = await started.chat({ traceparent, tracestate: 'vendor=one' }, stream ? { stream } : {});
    expect(answer.status).toBe(200);
    await answer.text();
    const spans = await spansOf(traceId);
    expect(spans).toHaveLength(4);
    const server = named(spans, 'POST /v1/chat/completions');
    expect(server).toMatchObject({ parentSpanId: PARENT_ID, traceState: 'vendor=one', kind: 2, status: 0 });
    expect(server.attributes).toEqual({
      'http.request.method': 'POST',
      'http.route': '/v1/chat/completions',
      'http.response.status_code': 200,
      'castellan.request_id': answer.headers.get('x-request-id'),
    });
    expect(server.resource).toMatchObject({ 'service.name': 'castellan', 'deployment.environment': 'a test' });
    expect(server.resource['service.instance.id']).toMatch(/^start_/);
    const call = answer.headers.get('x-castellan-call-id');
    for (const name of ['hold', 'upstream', 'settle']) expect(named(spans, name).parentSpanId).toBe(server.spanId);
    expect(named(spans, 'hold').attributes).toEqual({ 'castellan.reservation_id': call });
    expect(named(spans, 'upstream')).toMatchObject({
      kind: 3,
      attributes: { 'castellan.upstream': 'own', 'http.response.status_code': 200 },
    });
    const { attributes } = named(spans, 'settle');
    expect(attributes).toMatchObject({
      'castellan.reservation_id': call,
      'gen_ai.request.model': TEST_MODEL,
      'castellan.estimated': false,
    });
    expect(attributes['gen_ai.usage.input_tokens']).toBeGreaterThan(0);
  });

  test('goes on to the upstream as a part of our span for it', async () => {
    await (await started.chat({ traceparent, tracestate: 'vendor=one' })).text();
    const upstreamSpan = named(await spansOf(traceId), 'upstream');
    expect(upstream.received[0]?.headers).toMatchObject({
      traceparent: `00-${traceId}-${upstreamSpan.spanId}-01`,
      tracestate: 'vendor=one',
    });
  });

  test('begins a trace of its own where its caller has none, or none that can be read', async () => {
    for (const headers of [{}, { traceparent: '00-zz-zz-01' }]) {
      collector.spans.length = 0;
      upstream.received.length = 0;
      await (await started.chat(headers)).text();
      const own = /^00-([0-9a-f]{32})-[0-9a-f]{16}-01$/.exec(String(upstream.received[0]?.headers['traceparent']))?.[1] ?? '';
      const spans = await spansOf(own);
      expect(named(spans, 'POST /v1/chat/completions').parentSpanId).toBe('');
      expect(own).not.toBe(traceId);
    }
  });

  test('is not recorded where its caller decided so, and the upstream hears of that', async () => {
    await (await started.chat({ traceparent: `00-${traceId}-${PARENT_ID}-00` })).text();
    expect(upstream.received[0]?.headers['traceparent']).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`));
    // A later one that is recorded shows that nothing of it is still on the way.
    const other = 'f'.repeat(31) + '1';
    await (await started.chat({ traceparent: `00-${other}-${PARENT_ID}-01` })).text();
    await spansOf(other);
    expect(collector.spans.filter((span) => span.traceId === traceId)).toEqual([]);
  });

  test('shows a failed attempt, a refused hold and a bad request for what they are', async () => {
    upstream.behaviour.fault = { kind: 'reset_before_headers' };
    expect((await started.chat({ traceparent })).status).toBe(502);
    const failed = await spansOf(traceId);
    expect(named(failed, 'upstream')).toMatchObject({ status: 2, attributes: { 'error.type': 'reset' } });
    expect(named(failed, 'POST /v1/chat/completions')).toMatchObject({ status: 2, attributes: { 'error.type': '502' } });
    expect(named(failed, 'settle').attributes).not.toHaveProperty('gen_ai.request.model');

    collector.spans.length = 0;
    upstream.behaviour.fault = { kind: 'status', status: 503 };
    expect((await started.chat({ traceparent })).status).toBe(502);
    expect(named(await spansOf(traceId), 'upstream')).toMatchObject({ status: 2, attributes: { 'error.type': '503' } });

    collector.spans.length = 0;
    const refused = await started.chat({ traceparent }, { max_tokens: 99_999_999 });
    expect(refused.status).toBe(400);
    const [only, ...others] = await spansOf(traceId);
    expect(others).toEqual([]);
    expect(only).toMatchObject({ status: 0, attributes: { 'http.response.status_code': 400 } });
  });

  test('carries the refusal of an account', async () => {
    const { admin, runtime } = started.running.listeners;
    const { operator_key: operatorKey, admin_key: adminKey } = started.running.prepared.credentials;
    const keys = makeControlPlaneKeys(admin.origin, { operatorKey, adminKey: adminKey ?? '' });
    const capped = await keys.make({ name: 'capped', maxTokens: 1 });
    const answer = await fetch(`${runtime.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${capped}`, 'content-type': 'application/json', traceparent },
      body: JSON.stringify(chatBody('hi')),
    });
    expect(answer.status).toBe(402);
    expect(named(await spansOf(traceId), 'hold')).toMatchObject({ status: 0, attributes: { 'castellan.refusal': 'cap_exceeded' } });
  });

  test('has its trace in the line of the log', async () => {
    await (await started.chat({ traceparent })).text();
    await expect.poll(() => started.log.lines.filter(({ fields }) => fields['traceId'] === traceId).length).toBeGreaterThan(0);
  });

  test('other surfaces are traced too, by their patterns: no credential, path, prompt or answer leaves', async () => {
    const { admin } = started.running.listeners;
    const { admin_key: adminKey, operator_key: operatorKey } = started.running.prepared.credentials;
    await (await started.chat({ traceparent }, { user: 'canary-user' })).text();
    const headers = { authorization: `Bearer ${adminKey}`, traceparent };
    expect((await fetch(`${admin.origin}/api/keys/${started.key}?canary-query=1`, { method: 'DELETE', headers })).status).toBe(200);
    await fetch(`${admin.origin}/v1/x-castellan/canary-path`, { headers: { 'x-admin-api-key': operatorKey, traceparent } });
    const spans = await spansOf(traceId, 3);
    expect(spans.map(({ name }) => name)).toEqual(expect.arrayContaining(['DELETE /api/keys/:key', 'GET']));
    const sent = Buffer.concat(collector.requests.map(({ body }) => body)).toString('latin1');
    const secrets = [
      started.key,
      adminKey ?? '',
      operatorKey,
      UPSTREAM_KEY,
      PROMPT,
      'canary-user',
      'canary-query',
      'canary-path',
      upstream.url,
    ];
    expect(secrets.filter((secret) => sent.includes(secret))).toEqual([]);
  });
});

describe('the exporter', () => {
  test('sends protobuf with the declared headers, compressed, and the last spans at the stop', async () => {
    const { running, chat } = await start({
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.origin}/custom`,
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20collector-secret',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      OTEL_SERVICE_NAME: 'gate',
      OTEL_BSP_SCHEDULE_DELAY: '600000',
    });
    await (await chat({ traceparent })).text();
    expect(collector.requests).toEqual([]);
    await running.stop();
    expect(collector.requests[0]).toMatchObject({
      path: '/custom',
      headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'gzip', authorization: 'Bearer collector-secret' },
    });
    expect((await spansOf(traceId))[0]?.resource['service.name']).toBe('gate');
  });

  test('a collector that refuses or is away costs spans and no call, and the log says so once without its address', async () => {
    const { running, chat, log } = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://user:collector-secret@127.0.0.1:${new URL(collector.origin).port}`,
    });
    collector.status = 400;
    for (let call = 0; call < 3; call++) {
      const answer = await chat();
      expect(answer.status).toBe(200);
      await answer.text();
    }
    await expect.poll(() => collector.requests.length, { timeout: 10_000 }).toBeGreaterThan(0);
    const complaints = () => log.lines.filter(({ message }) => message.includes('collector'));
    await expect.poll(() => complaints().length).toBe(1);
    expect(JSON.stringify(log.lines)).not.toContain('collector-secret');
    const headers = { 'x-admin-api-key': running.prepared.credentials.operator_key };
    const text = await (await fetch(`${running.listeners.admin.origin}/metrics`, { headers })).text();
    expect(text).toMatch(/^castellan_trace_spans_total\{outcome="failed"\} [1-9]/m);
  });
});

describe('without a wish for traces', () => {
  test("nothing is sent, and the caller's trace goes on to the upstream as it came", async () => {
    // Programs of the tests before still have a collector; this one has another.
    const unused = await startCollector();
    const { running, chat } = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: unused.origin, OTEL_SDK_DISABLED: 'true' });
    await (await chat({ traceparent, tracestate: 'vendor=one', baggage: 'user=ann' })).text();
    expect(upstream.received[0]?.headers).toMatchObject({ traceparent, tracestate: 'vendor=one' });
    expect(upstream.received[0]?.headers).not.toHaveProperty('baggage');
    await running.stop();
    expect(unused.requests).toHaveLength(0);
    await unused.close();
  });

  test.each([
    ['no trace context', { traceparent: 'not-one', tracestate: 'vendor=one' }],
    ['a state without a trace', { tracestate: 'vendor=one' }],
  ])('%s does not go on', async (_what, headers) => {
    const { chat } = await start({});
    await (await chat(headers)).text();
    expect(upstream.received[0]?.headers).not.toHaveProperty('traceparent');
    expect(upstream.received[0]?.headers).not.toHaveProperty('tracestate');
  });

  test('nothing of the libraries is loaded: one file imports them, and it is only loaded when it is used', () => {
    const root = join(import.meta.dirname, '../..');
    const sources = globSync('src/**/*.ts', { cwd: root }).map((path) => [path, readFileSync(join(root, path), 'utf8')] as const);
    const importing = (pattern: RegExp): string[] => sources.filter(([, text]) => pattern.test(text)).map(([path]) => path);
    expect(importing(/from '@opentelemetry\//)).toEqual(['src/telemetry/tracing/otel-tracer.ts']);
    expect(importing(/from '.*otel-tracer\.ts'/)).toEqual([]);
    expect(importing(/import\('.*otel-tracer\.ts'\)/)).toEqual(['src/server/telemetry/telemetry.ts']);
    expect(importing(/^import (?!type).*from 'prom-client'/m)).toEqual([]);
    expect(importing(/import\('prom-client'\)/)).toEqual(['src/telemetry/metrics/render.ts']);
  });
});

describe('the standard variables', () => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318/' };

  test.each([
    ['nothing is set', {}],
    ['only a name is set', { OTEL_SERVICE_NAME: 'x', OTEL_TRACES_SAMPLER: 'dragons' }],
    ['no exporter is wanted', { ...endpoint, OTEL_TRACES_EXPORTER: 'none' }],
    ['everything is switched off', { ...endpoint, OTEL_SDK_DISABLED: 'TRUE' }],
    ['the endpoint is empty', { OTEL_EXPORTER_OTLP_ENDPOINT: '' }],
  ])('ask for no traces where %s', (_what, env) => {
    expect(readTraceConfig(env)).toBeNull();
  });

  test('ask for traces by an endpoint or by an exporter, with the defaults of the standard', () => {
    expect(readTraceConfig(endpoint)).toEqual({
      exporters: ['otlp'],
      url: 'http://127.0.0.1:4318/v1/traces',
      headers: {},
      timeoutMs: 10_000,
      isCompressed: false,
      tls: {},
      resource: { 'service.name': 'castellan' },
      sampler: { kind: 'always_on', ratio: 1, parentBased: true },
      propagates: true,
      batch: { delayMs: 5000, timeoutMs: 30_000, maxQueued: 2048, maxBatch: 512 },
    });
    expect(readTraceConfig({ OTEL_TRACES_EXPORTER: 'otlp, console' })).toMatchObject({
      exporters: ['otlp', 'console'],
      url: 'http://localhost:4318/v1/traces',
    });
  });

  test('say where, how, how much and as whom', () => {
    const config = readTraceConfig({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector.example/base/',
      OTEL_EXPORTER_OTLP_HEADERS: 'a=1',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'x-key=va%3Dlue , b=2',
      OTEL_EXPORTER_OTLP_TIMEOUT: '1',
      OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: '2000',
      OTEL_EXPORTER_OTLP_CERTIFICATE: import.meta.filename,
      OTEL_SERVICE_NAME: 'gate',
      OTEL_RESOURCE_ATTRIBUTES: 'service.name=other,zone=b',
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.25',
      OTEL_PROPAGATORS: 'none',
      OTEL_BSP_MAX_QUEUE_SIZE: '100',
    });
    expect(config).toMatchObject({
      url: 'https://collector.example/base/v1/traces',
      headers: { 'x-key': 'va=lue', b: '2' },
      timeoutMs: 2000,
      resource: { 'service.name': 'gate', zone: 'b' },
      sampler: { kind: 'traceidratio', ratio: 0.25, parentBased: true },
      propagates: false,
      batch: { maxQueued: 100, maxBatch: 100 },
    });
    expect(config?.tls.ca).toContain('the standard variables');
  });

  test.each([
    [{ OTEL_TRACES_EXPORTER: 'zipkin' }, 'OTEL_TRACES_EXPORTER holds "zipkin": set it to otlp, console or none.'],
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, /^OTEL_EXPORTER_OTLP_PROTOCOL is "grpc", which is not supported: set it to http\/protobuf/],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' }, /^OTEL_EXPORTER_OTLP_ENDPOINT is no address/],
    [{ OTEL_EXPORTER_OTLP_HEADERS: 'hush-hush' }, 'OTEL_EXPORTER_OTLP_HEADERS is no list of pairs: write it as name=value,name=value.'],
    [{ OTEL_EXPORTER_OTLP_HEADERS: 'a=%zz' }, 'OTEL_EXPORTER_OTLP_HEADERS is no list of pairs: write it as name=value,name=value.'],
    [{ OTEL_EXPORTER_OTLP_TIMEOUT: '10s' }, /^OTEL_EXPORTER_OTLP_TIMEOUT is "10s"/],
    [{ OTEL_EXPORTER_OTLP_COMPRESSION: 'br' }, /^OTEL_EXPORTER_OTLP_COMPRESSION is "br"/],
    [
      { OTEL_EXPORTER_OTLP_CLIENT_KEY: '/nowhere/key.pem' },
      /^OTEL_EXPORTER_OTLP_CLIENT_KEY names \/nowhere\/key.pem, which cannot be read/,
    ],
    [{ OTEL_TRACES_SAMPLER: 'sometimes' }, /^OTEL_TRACES_SAMPLER is "sometimes"/],
    [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' }, /^OTEL_TRACES_SAMPLER_ARG is "2"/],
    [{ OTEL_PROPAGATORS: 'b3' }, /^OTEL_PROPAGATORS holds "b3"/],
  ])('a wrong value stops the start with one sentence: %j', (env, sentence) => {
    const read = () => readTraceConfig({ ...endpoint, ...env });
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(sentence);
  });

  test('are all in the reference', () => {
    const text = readFileSync(join(import.meta.dirname, '../../docs/observability.md'), 'utf8');
    for (const variable of TRACE_VARIABLES) expect(text).toContain(`\`${variable}\``);
  });
});
