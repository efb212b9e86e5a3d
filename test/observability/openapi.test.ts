import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Validator } from '@seriousme/openapi-schema-validator';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeOpenApi, undocumented, type DocumentOperation, type OpenApiDocument } from '../../src/api/_shared/openapi/document.ts';
import type { DocumentedSurface } from '../../src/api/_shared/openapi/operation.ts';
import { CountTokensBody, MessagesBody } from '../../src/api/anthropic-gateway/operations.ts';
import { ChatBody, EmbeddingsBody } from '../../src/api/openai-gateway/operations.ts';
import { ReportedUsage } from '../../src/api/tinfoil-admin/machine-operations.ts';
import { readInferenceRequest } from '../../src/core/bounds/inference-request.ts';
import { readMessagesRequest } from '../../src/core/bounds/messages-request.ts';
import { REJECTIONS } from '../../src/core/rejection.ts';
import { readReportedEvent } from '../../src/core/usage/reported-event.ts';
import type { Running } from '../../src/server/boot.ts';

import { SURFACES } from '../../src/server/surfaces.ts';
import { makeTestFolder } from '../server/in-process.ts';
import { startContainerParts, type ContainerParts } from '../support/container-stage.ts';
import { signedDelivery, wireEvent } from '../support/report-client.ts';
import { askContainers } from './container-steps.ts';
import { askBills, putBill } from './bill-steps.ts';
import { askGovernance, type Ask, type Step } from './cycles-steps.ts';
import { askManagement } from './management-steps.ts';
import { askSecrets } from './secret-steps.ts';
import { askDomains } from './domain-steps.ts';
import { askSshKeys } from './ssh-key-steps.ts';
import { credentialsOf } from './started.ts';
import { disagreements } from './documented.ts';

/** What the Cycles protocol has and this server does not keep: it is told so, in the protocol's form. */
const NEVER_GOOD: ReadonlySet<string> = new Set(['cyclesGetEvidence', 'cyclesGetEvidenceJwks']);
const NEVER_GOOD_ROUTES: ReadonlySet<string> = new Set([
  'GET /v1/evidence/:evidence_id',
  'GET /v1/.well-known/cycles-jwks.json',
  // No payment service is declared here; what it tells where one is, its own tests send.
  'POST /billing/stripe/webhook',
  // Nor is a GitHub App.
  'POST /sources/github/webhook',
]);

const folder = makeTestFolder();
let running: Running;
let document: OpenApiDocument;

let containers: ContainerParts;

beforeAll(async () => {
  containers = await startContainerParts();
  running = await folder.start({
    yaml: `${containers.config}dns: { servers: ['127.0.0.1:9'], timeout_ms: 100 }\n`,
    env: { CASTELLAN_INGRESS_PORT: '0' },
  });
  document = (await (await fetch(`${running.listeners.admin.origin}/openapi.json`)).json()) as OpenApiDocument;
});
afterAll(async () => {
  await folder.dispose();
  await containers.stop();
});

const operations = (): (readonly [string, DocumentOperation])[] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const),
  );

describe('the document', () => {
  test('is valid OpenAPI 3.1', async () => {
    const validator = new Validator();
    const result = await validator.validate(JSON.parse(JSON.stringify(document)) as Record<string, unknown>);
    expect(result).toMatchObject({ valid: true });
    expect(validator.version).toBe('3.1');
  });

  test('describes every mounted route, and nothing else', () => {
    expect(undocumented(running.listeners.routes(), SURFACES)).toEqual([]);
    expect(running.listeners.routes().length).toBeGreaterThan(40);
    expect(operations()).toHaveLength(running.listeners.routes().length);
  });

  test('tells the next developer what to add for a new route, and what to take out for one that is gone', () => {
    const route = { method: 'GET', body: undefined, listeners: ['admin'] };
    const routes = running.listeners.routes();
    expect(undocumented([...routes, { ...route, url: '/v1/x-castellan/dragons' }], SURFACES)).toEqual([
      "'GET /v1/x-castellan/dragons' is mounted and not described: add it to the operations of the surface operator",
    ]);
    expect(undocumented([...routes, { ...route, url: '/elsewhere' }], SURFACES)).toEqual([
      'GET /elsewhere belongs to no surface: add its prefix to one in src/server/surfaces.ts',
    ]);
    expect(
      undocumented(
        routes.filter(({ url }) => url !== '/health'),
        SURFACES,
      ),
    ).toEqual(["'GET /health' is described by the surface health and not mounted: take it out"]);
  });

  test('tells a route whose body is validated by another schema than the one that is described', () => {
    const described = Type.Object({ name: Type.String() });
    const dragons: DocumentedSurface = {
      id: 'dragons',
      title: 'Dragons',
      description: 'Dragons.',
      prefixes: ['/dragons'],
      operations: { 'POST /dragons': { id: 'hatch', summary: 'Hatch a dragon', body: { schema: described }, answers: {} } },
      security: [],
      errors: null,
    };
    const route = (body: unknown) => ({ method: 'POST', url: '/dragons', body, listeners: ['admin'] });
    expect(undocumented([route(described)], [dragons])).toEqual([]);
    expect(undocumented([route(Type.Object({ name: Type.String() }))], [dragons])).toEqual([
      "'POST /dragons' validates its body by another schema than its description: use the same object",
    ]);
  });

  test('sets the ids of a surface apart, and tells limits of paths and parameters that hold several values', () => {
    const dragons: DocumentedSurface = {
      id: 'dragons',
      title: 'Dragons',
      description: 'Dragons.',
      idPrefix: 'cave',
      prefixes: ['/dragons'],
      operations: {
        'GET /dragons/:name': {
          id: 'getDragon',
          summary: 'Show a dragon',
          path: { name: { description: 'Its name.', schema: Type.String({ maxLength: 5 }) } },
          query: { with: { description: 'What to show.', schema: Type.Array(Type.String()), commaSeparated: true } },
          answers: { 204: { description: 'Seen.' } },
        },
      },
      security: ['tenantKey'],
      errors: null,
    };
    const routes = [{ method: 'GET', url: '/dragons/:name', body: undefined, listeners: ['admin'] }];
    const { paths, components } = makeOpenApi({ routes, surfaces: [dragons], version: '1' });
    expect(paths['/dragons/{name}']?.['get']).toMatchObject({
      operationId: 'caveGetDragon',
      security: [{ tenantKey: [] }],
      parameters: [
        { name: 'name', in: 'path', required: true, schema: { type: 'string', maxLength: 5 } },
        { name: 'with', in: 'query', schema: { type: 'array' }, style: 'form', explode: false },
      ],
    });
    expect(components.securitySchemes).toEqual({ tenantKey: expect.objectContaining({ name: 'X-Cycles-API-Key' }) as object });
  });

  test('has a summary, an id of its own, an answer and words for every parameter of each operation', () => {
    const all = operations();
    const lacking = all.filter(
      ([, { operationId, summary, responses, tags, parameters = [] }]) =>
        !/^[A-Z].{3,60}[^.]$/.test(summary) ||
        (!Object.keys(responses).some((status) => Number(status) < 400) && !NEVER_GOOD.has(operationId)) ||
        tags.length !== 1 ||
        parameters.some(({ description }) => description === ''),
    );
    expect(lacking.map(([key]) => key)).toEqual([]);
    const ids = all.map(([, { operationId }]) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('tells which listener serves a route', () => {
    const listeners = (path: string, method: string): unknown => document.paths[path]?.[method]?.['x-listeners'];
    expect(listeners('/v1/chat/completions', 'post')).toEqual(['admin', 'runtime']);
    expect(listeners('/health', 'get')).toEqual(['admin', 'runtime']);
    expect(listeners('/api/keys', 'get')).toEqual(['admin']);
    expect(listeners('/v1/x-castellan/tenants', 'post')).toEqual(['admin']);
    expect(listeners('/metrics', 'get')).toEqual(['admin']);
    expect(listeners('/v1/messages', 'post')).toEqual(['admin', 'runtime']);
    expect(listeners('/v1/x-castellan/me', 'get')).toEqual(['admin', 'runtime']);
    expect(listeners('/api/internal/usage-reports', 'post')).toEqual(['admin']);
  });

  test('names the credential that lets a request in', () => {
    expect(document.paths['/api/keys']?.['get']?.security).toEqual([{ adminKey: [] }]);
    expect(document.paths['/v1/models/{model}']?.['get']?.security).toEqual([{ inferenceKey: [] }]);
    expect(document.paths['/v1/x-castellan/keys/{id}']?.['patch']?.security).toEqual([{ operatorKey: [] }]);
    expect(document.paths['/metrics']?.['get']?.security).toEqual([{ operatorKey: [] }, { metricsToken: [] }]);
    expect(document.paths['/health']?.['get']?.security).toEqual([{}]);
    expect(document.paths['/v1/messages']?.['post']?.security).toEqual([{ inferenceApiKey: [] }, { inferenceKey: [] }]);
    expect(document.paths['/v1/x-castellan/me']?.['get']?.security).toEqual([{ inferenceKey: [] }, { adminKey: [] }]);
    expect(document.paths['/api/internal/usage-reports']?.['post']?.security).toEqual([{ reportSignature: [] }]);
    expect(document.paths['/api/shim/validate-key']?.['post']?.security).toEqual([{}]);
    for (const [path, method] of [
      ['keys', 'get'],
      ['keys/{id}/rotate', 'post'],
      ['events', 'get'],
    ] as const)
      expect(document.paths[`/v1/x-castellan/${path}`]?.[method]?.security).toEqual([{ operatorKey: [] }, { adminKey: [] }]);
    const used = operations().flatMap(([, { security }]) => security.flatMap((each) => Object.keys(each)));
    expect([...new Set(used)].toSorted()).toEqual(Object.keys(document.components.securitySchemes).toSorted());
  });

  test('has the codes of errors that each surface really answers with', () => {
    const codes = new Map(document.tags.map((tag) => [tag.name, tag['x-error-codes'].map(({ status, code }) => `${status} ${code}`)]));
    expect(codes.get('anthropic')).toEqual(expect.arrayContaining(['402 budget_exceeded', '401 unauthorized', '404 route_not_found']));
    expect(codes.get('gateway')).toEqual(expect.arrayContaining(['402 budget_exceeded', '401 invalid_api_key']));
    // Both speak of the same refusals below one prefix, and in different words.
    const meaningOf = (surface: string, code: string): string | undefined =>
      document.tags.find(({ name }) => name === surface)?.['x-error-codes'].find((each) => each.code === code)?.meaning;
    expect(meaningOf('key-checks', 'RATE_LIMITED')).toContain(REJECTIONS.held);
    expect(meaningOf('usage-reports', 'RATE_LIMITED')).not.toContain(REJECTIONS.held);
    expect(meaningOf('usage-reports', 'CONFLICT')).toContain(REJECTIONS.held);
  });
});

describe('the schemas that validate', () => {
  const bodyOf = (path: string, method: string): unknown =>
    document.paths[path]?.[method]?.requestBody?.content['application/json']?.schema;

  test('show whole numbers of 64 bits as integer/int64, wherever a check of our own stands behind them', () => {
    expect(bodyOf('/api/keys', 'post')).toMatchObject({
      required: ['name'],
      properties: { max_tokens: { type: ['integer', 'null'], format: 'int64' }, metadata: { type: ['object', 'null'] } },
    });
    expect(bodyOf('/v1/x-castellan/tenants/{id}/money-budget', 'put')).toMatchObject({
      properties: { money_budget_usd: { anyOf: expect.arrayContaining([{ type: 'integer', format: 'int64' }]) as unknown } },
    });
    expect(JSON.stringify(document)).not.toContain('bigint');
  });

  test('are those of the routes: what they refuse, the route refuses, and what they take, it takes', async () => {
    const operatorKey = credentialsOf(folder).operator_key;
    const schema = running.listeners.routes().find(({ method, url }) => method === 'POST' && url === '/v1/x-castellan/tenants')?.body;
    const validator = Compile(schema as never);
    const bodies: [object, number][] = [
      [{ id: 'schema-a' }, 201],
      [{ id: 'schema-b', require_budget: true, entitlements: { max_keys: 3 } }, 201],
      [{}, 400],
      [{ id: 5 }, 400],
      [{ id: 'schema-c', dragons: true }, 400],
      [{ id: 'schema-c', entitlements: { max_keys: -1 } }, 400],
    ];
    for (const [body, status] of bodies) {
      const answer = await fetch(`${running.listeners.admin.origin}/v1/x-castellan/tenants`, {
        method: 'POST',
        headers: { 'x-admin-api-key': operatorKey, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      expect([body, answer.status, validator.Check(body)]).toEqual([body, status, status === 201]);
    }
  });

  const message = { role: 'user', content: 'hi' };
  test.each([
    ['chat', { model: 'm', messages: [message] }],
    ['chat', { model: 'm', messages: [{ role: 'user', content: [{ type: 'text', text: 'x' }] }], n: 2, max_tokens: 5 }],
    ['chat', { model: 'm', messages: [{ role: 'assistant' }], max_completion_tokens: null, stream: null, other: { a: 1 } }],
    ['chat', { model: 'm', messages: [message], stream: true, stream_options: { include_usage: true } }],
    ['chat', { messages: [message] }],
    ['chat', { model: '', messages: [message] }],
    ['chat', { model: 'm'.repeat(257), messages: [message] }],
    ['chat', { model: 5, messages: [message] }],
    ['chat', { model: 'm' }],
    ['chat', { model: 'm', messages: [] }],
    ['chat', { model: 'm', messages: ['hi'] }],
    ['chat', { model: 'm', messages: [{ content: 'hi' }] }],
    ['chat', { model: 'm', messages: [{ role: 'user', content: 5 }] }],
    ['chat', { model: 'm', messages: [{ role: 'user', content: [{}] }] }],
    ['chat', { model: 'm', messages: [message], n: 0 }],
    ['chat', { model: 'm', messages: [message], n: 129 }],
    ['chat', { model: 'm', messages: [message], max_tokens: 1.5 }],
    ['chat', { model: 'm', messages: [message], max_tokens: '5' }],
    ['chat', { model: 'm', messages: [message], max_completion_tokens: 2_147_483_648 }],
    ['chat', { model: 'm', messages: [message], stream: 'yes' }],
    ['chat', { model: 'm', messages: [message], stream: true, stream_options: { include_usage: 1 } }],
    ['embeddings', { model: 'm', input: 'hi' }],
    ['embeddings', { model: 'm', input: ['a', 'b'] }],
    ['embeddings', { model: 'm', input: [1, 2] }],
    ['embeddings', { model: 'm', input: [[1], [2]] }],
    ['embeddings', { model: 'm' }],
    ['embeddings', { model: 'm', input: [] }],
    ['embeddings', { model: 'm', input: ['a', 1] }],
    ['embeddings', { model: 'm', input: { text: 'hi' } }],
  ] as const)('agree with what the gateway reads by itself: %s %j', (kind, body) => {
    const validator = Compile(kind === 'chat' ? ChatBody : EmbeddingsBody);
    expect(validator.Check(body)).toBe(readInferenceRequest(kind, body).ok);
  });
});

describe('the schemas of what is judged elsewhere', () => {
  const said = { role: 'user', content: 'hi' };
  const whole = { model: 'm', max_tokens: 5, messages: [said] };
  const saying = (content: unknown): object => ({ ...whole, messages: [{ role: 'user', content }] });
  test.each([
    ['messages', whole],
    ['messages', { ...whole, max_tokens: 0, stream: null, system: null, tools: null, other: { a: 1 } }],
    ['messages', { ...whole, system: [{ type: 'text', text: 'x' }], tools: [{ name: 'f', input_schema: {} }], stream: true }],
    ['messages', saying([{ type: 'text', text: 'x' }, { type: 'image' }, { type: 'web_search_tool_result', content: { error: 1 } }])],
    ['messages', saying([{ type: 'tool_result', content: 'x' }])],
    ['messages', saying([{ type: 'tool_result', content: [{ type: 'text', text: 'x' }] }])],
    ['messages', saying([{ type: 'tool_result', content: null }])],
    ['messages', saying([{ type: 'tool_result', content: 5 }])],
    ['messages', saying([{ type: 'tool_result', content: ['x'] }])],
    ['messages', saying([{}])],
    ['messages', saying(null)],
    ['messages', saying(5)],
    ['messages', { ...whole, messages: [] }],
    ['messages', { ...whole, messages: [{ content: 'hi' }] }],
    ['messages', { ...whole, model: '' }],
    ['messages', { ...whole, model: 'm'.repeat(257) }],
    ['messages', { model: 'm', messages: [said] }],
    ['messages', { ...whole, max_tokens: null }],
    ['messages', { ...whole, max_tokens: -1 }],
    ['messages', { ...whole, max_tokens: 1.5 }],
    ['messages', { ...whole, max_tokens: 2_147_483_648 }],
    ['messages', { ...whole, stream: 'yes' }],
    ['messages', { ...whole, system: 5 }],
    ['messages', { ...whole, system: [5] }],
    ['messages', { ...whole, tools: {} }],
    ['messages', { ...whole, tools: ['f'] }],
    ['messages', { ...whole, tools: [{ model: null }] }],
    ['messages', { ...whole, tools: [{ model: 'n' }] }],
    ['messages', { ...whole, fallbacks: null }],
    ['messages', { ...whole, fallbacks: ['n'] }],
    ['count_tokens', { model: 'm', messages: [said] }],
    ['count_tokens', { model: 'm', messages: [said], max_tokens: 'any' }],
    ['count_tokens', { model: 'm' }],
    ['count_tokens', { model: 'm', messages: [said], fallbacks: [] }],
  ] as const)("agree with what is read of Anthropic's API: %s %j", (kind, body) => {
    const validator = Compile(kind === 'messages' ? MessagesBody : CountTokensBody);
    expect(validator.Check(body)).toBe(readMessagesRequest(kind, body).ok);
  });

  const event = wireEvent('tk_reported', { occurredAtMs: Date.parse('2026-04-09T12:00:00Z'), model: 'm' });
  const meters = (...all: unknown[]): object => ({ ...event, meters: all });
  test.each([
    event,
    { event_id: 'e', api_key: 'k', occurred_at: '2026-04-09T12:00:00.123456789Z' },
    { ...event, operation: null, attributes: null, meters: null, customer_requests: null, request_id: null, more: 1 },
    meters({ name: 'dragons', quantity: 5 }, { name: null, quantity: 1 }),
    { ...event, event_id: '' },
    { ...event, event_id: 'a b' },
    { ...event, event_id: 'e'.repeat(129) },
    { ...event, event_id: undefined },
    { ...event, api_key: '' },
    { ...event, api_key: undefined },
    { ...event, occurred_at: 'yesterday' },
    { ...event, occurred_at: undefined },
    { ...event, request_id: 'r'.repeat(501) },
    { ...event, operation: 'x' },
    { ...event, operation: { name: 5 } },
    { ...event, attributes: { streaming: true } },
    { ...event, customer_requests: -1 },
    { ...event, customer_requests: 1.5 },
    { ...event, customer_requests: 1_000_001 },
    { ...event, meters: {} },
    meters('x'),
    meters({ name: 'input_tokens' }),
    meters({ name: 'input_tokens', quantity: -1 }),
    meters({ name: 'input_tokens', quantity: '1' }),
    meters({ name: 'input_tokens', quantity: 100_000_000_001 }),
    meters(...Array.from({ length: 51 }, (_, index) => ({ name: `m${index}`, quantity: 0 }))),
  ])('agree with what is read of a usage report: event %#', (value) => {
    expect(Compile(ReportedUsage).Check(JSON.parse(JSON.stringify(value)))).toBe(readReportedEvent(value).ok);
  });
});

/** The form of a transcription of a hundred bytes. */
function transcription(fields: Readonly<Record<string, string>> = {}): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries({ model: 'demo-echo', ...fields })) form.append(name, value);
  form.append('file', new Blob([new Uint8Array(100)]), 'sound.wav');
  return form;
}

/** Completions, responses, audio, images and counts. */
async function askEndpoints(ask: Ask, key: Readonly<Record<string, string>>): Promise<void> {
  const model = 'demo-echo';
  const post = (path: string, status: number, body: unknown): Promise<Record<string, unknown>> =>
    ask(`POST ${path}`, path, status, body, key);
  const message = { model, messages: [{ role: 'user', content: 'hi' }] };
  await post('/v1/chat/completions/input_tokens', 200, message);
  await post('/v1/chat/completions/input_tokens', 404, { ...message, model: 'nobody' });
  await post('/v1/completions', 200, { model, prompt: 'hi', max_tokens: 5 });
  await post('/v1/completions', 200, { model, prompt: 'hi', max_tokens: 5, stream: true });
  await post('/v1/completions', 400, { model });
  await post('/v1/responses/input_tokens', 200, { model, input: 'hi' });
  await post('/v1/responses', 200, { model, input: 'hi', stream: true, store: false });
  await post('/v1/responses', 404, { model, input: 'hi', previous_response_id: 'resp_nobody' });
  await post('/v1/audio/speech', 200, { model, input: 'hi', voice: 'a' });
  await post('/v1/audio/speech', 200, { model, input: 'hi', voice: 'a', stream_format: 'sse' });
  await post('/v1/audio/speech', 400, { model });
  await post('/v1/images/generations', 200, { model, prompt: 'a cat' });
  await post('/v1/images/generations', 200, { model, prompt: 'a cat', response_format: 'url' });
  await post('/v1/images/generations', 200, { model, prompt: 'a cat', stream: true });
  await post('/v1/audio/transcriptions', 200, transcription());
  await post('/v1/audio/transcriptions', 200, transcription({ response_format: 'verbose_json' }));
  await post('/v1/audio/transcriptions', 200, transcription({ response_format: 'text' }));
  await post('/v1/audio/transcriptions', 200, transcription({ stream: 'true' }));
  await post('/v1/audio/transcriptions', 415, { model });

  const path = '/v1/responses';
  const { id } = await post(path, 200, { model, input: 'hi' });
  await ask(`GET ${path}/:id`, `${path}/${String(id)}`, 200, undefined, key);
  await ask(`GET ${path}/:id`, `${path}/${String(id)}?stream=true&starting_after=1`, 200, undefined, key);
  await ask(`GET ${path}/:id`, `${path}/${String(id)}?dragons=1`, 400, undefined, key);
  await ask(`GET ${path}/:id/input_items`, `${path}/${String(id)}/input_items?limit=5&order=asc`, 200, undefined, key);
  const { id: later } = await post(path, 200, { model, input: 'hi', background: true });
  await ask(`POST ${path}/:id/cancel`, `${path}/${String(later)}/cancel`, 200, undefined, key);
  await ask(`DELETE ${path}/:id`, `${path}/${String(id)}`, 200, undefined, key);
  await ask(`GET ${path}/:id`, `${path}/${String(id)}`, 404, undefined, key);
}

/** A source of attestations on a free port. */
async function startAttestationSource(): Promise<{ readonly origin: string; readonly close: () => Promise<void> }> {
  const server = createServer((_request, response) => response.setHeader('content-type', 'application/json').end('{"quote":"x"}'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { origin: `http://127.0.0.1:${port}`, close };
}

describe('every operation', () => {
  test('answers what the document says: the status, each field, and no other', async () => {
    const { operator_key: operatorKey, admin_key: adminKey, demo_key: demoKey, tenant } = credentialsOf(folder);
    const { origin } = running.listeners.admin;
    const seen = new Set<string>();
    const faults: string[] = [];
    const bodies = new Map<string, Record<string, unknown>>();
    const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
    const credentialFor = (key: string): Readonly<Record<string, string>> => {
      if (/ \/api\/(?:internal|shim)\//.test(key)) return {};
      if (key.includes(' /api/')) return bearer(adminKey);
      const isOperators = /\/x-castellan\/(?!me$)|\/metrics| \/v1\/(?:admin|auth)\//.test(key);
      return isOperators ? { 'x-admin-api-key': operatorKey } : bearer(demoKey);
    };
    const ask = async ([key, path, status, body, headers = credentialFor(key)]: Step): Promise<Record<string, unknown>> => {
      const response = await fetch(origin + path, {
        method: key.slice(0, key.indexOf(' ')),
        headers: { ...(body === undefined || body instanceof FormData ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body: typeof body === 'string' || body instanceof FormData ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      expect([key, path, response.status, response.status === status ? '' : text]).toEqual([key, path, status, '']);
      faults.push(...disagreements(key, { status, text, type: response.headers.get('content-type') ?? '' }));
      if (status < 400 || NEVER_GOOD_ROUTES.has(key)) seen.add(key);
      const parsed = (text.startsWith('{') ? JSON.parse(text) : {}) as Record<string, unknown>;
      bodies.set(path, parsed);
      return parsed;
    };
    const op = '/v1/x-castellan';
    const upstream = {
      id: 'doc-up',
      base_url: 'http://127.0.0.1:9/v1',
      api_key: 'sk-0123456789',
      headers: { 'X-Org': 'doc' },
      speaks: ['openai', 'anthropic'],
    };
    const model = { id: 'doc-model', upstreams: [{ id: 'doc-up', weight: 2 }], aliases: ['doc-alias'] };
    const price = { model_id: 'doc-model', input_per_1m: '0.15', output_per_1m: 0.6, applies_from: '2999-01-01T00:00:00Z' };
    const media = { per_second: 0.0001, per_1m_characters: 15, per_image: 0.04 };
    const call = { model: 'demo-echo', messages: [{ role: 'user', content: 'hi' }], max_tokens: 16 };
    const steps: Step[] = [
      [`POST ${op}/tenants`, `${op}/tenants`, 201, { id: 'doc', name: 'Doc' }],
      [`POST ${op}/tenants`, `${op}/tenants`, 409, { id: 'doc' }],
      [`POST ${op}/tenants`, `${op}/tenants`, 400, { id: 'doc', dragons: 1 }],
      [`GET ${op}/tenants`, `${op}/tenants`, 200],
      [`GET ${op}/tenants/:id`, `${op}/tenants/doc`, 200],
      [`GET ${op}/tenants/:id`, `${op}/tenants/nobody`, 404],
      [`PATCH ${op}/tenants/:id`, `${op}/tenants/doc`, 200, { hide_amounts: true }],
      [`GET ${op}/tenants/:id/entitlements`, `${op}/tenants/doc/entitlements`, 200],
      [`PATCH ${op}/tenants/:id/entitlements`, `${op}/tenants/doc/entitlements`, 200, { max_keys: 5 }],
      [`GET ${op}/tenants/:id/money-budget`, `${op}/tenants/doc/money-budget`, 200],
      [`PUT ${op}/tenants/:id/money-budget`, `${op}/tenants/doc/money-budget`, 200, { money_budget_usd: 12.5 }],
      [`PUT ${op}/tenants/:id/budgets`, `${op}/tenants/doc/budgets`, 200, { scope: 'each_key', period: 'daily', limit_usd: '2.5' }],
      [`GET ${op}/tenants/:id/budgets`, `${op}/tenants/doc/budgets`, 200],
      [`POST ${op}/tenants/:id/budgets/:budget_id/reset`, `${op}/tenants/doc/budgets/each_key:daily/reset`, 404, { target: 'nobody' }],
      [`PUT ${op}/tenants/:id/budgets`, `${op}/tenants/doc/budgets`, 200, { scope: 'project', period: 'weekly', limit_usd: 2 }],
      [`POST ${op}/tenants/:id/budgets/:budget_id/reset`, `${op}/tenants/doc/budgets/project:weekly/reset`, 200, {}],
      [`DELETE ${op}/tenants/:id/budgets/:budget_id`, `${op}/tenants/doc/budgets/each_key:daily`, 204],
      [`DELETE ${op}/tenants/:id/budgets/:budget_id`, `${op}/tenants/doc/budgets/project:weekly`, 204],
      [`POST ${op}/tenants/:id/members`, `${op}/tenants/doc/members`, 201, { id: 'ann', email: 'ann@example.com', role: 'admin' }],
      [`POST ${op}/tenants/:id/members`, `${op}/tenants/doc/members`, 201, { id: 'bob', email: 'bob@example.com' }],
      [`GET ${op}/tenants/:id/members`, `${op}/tenants/doc/members`, 200],
      [`DELETE ${op}/tenants/:id/members/:memberId`, `${op}/tenants/doc/members/bob`, 204],
      [`POST ${op}/tenants/:id/admin-keys`, `${op}/tenants/doc/admin-keys`, 201, { name: 'a', member_id: 'ann' }],
      [`POST ${op}/tenants/:id/management-keys`, `${op}/tenants/doc/management-keys`, 201, { name: 'm', member_id: 'ann' }],
      [`GET ${op}/keys`, `${op}/keys?tenant_id=doc&limit=1`, 200],
      [`GET ${op}/keys`, `${op}/keys`, 400],
      [`POST ${op}/upstreams`, `${op}/upstreams`, 201, upstream],
      [`GET ${op}/upstreams`, `${op}/upstreams`, 200],
      [`GET ${op}/upstreams/:id`, `${op}/upstreams/doc-up`, 200],
      [`PATCH ${op}/upstreams/:id`, `${op}/upstreams/doc-up`, 200, { region: 'fr', timeout_ms: 1000, retention_days: 3 }],
      [`POST ${op}/models`, `${op}/models`, 201, model],
      [`GET ${op}/models`, `${op}/models`, 200],
      [`GET ${op}/models/:id`, `${op}/models/doc-model`, 200],
      [
        `PATCH ${op}/models/:id`,
        `${op}/models/doc-model`,
        200,
        { max_image_tokens: 100, max_audio_seconds: 60, tokenizer: 'o200k_base', tags: ['x'], rate_limits: { requests_per_minute: 60 } },
      ],
      [`POST ${op}/prices`, `${op}/prices`, 201, { ...price, cached_input_per_1m: 0.1, cache_write_input_per_1m: 0.2 }],
      [`POST ${op}/prices`, `${op}/prices`, 201, { ...price, ...media }],
      [`GET ${op}/prices`, `${op}/prices?model_id=doc-model`, 200],
      [`POST ${op}/exchange-rates`, `${op}/exchange-rates`, 201, { currency: 'EUR', per_usd: '0.92' }],
      [`POST ${op}/exchange-rates`, `${op}/exchange-rates`, 201, { currency: 'SEK', per_usd: 10.5, applies_from: '2999-01-01T00:00:00Z' }],
      [`GET ${op}/tenants/:id/balance`, `${op}/tenants/doc/balance`, 200],
      [`GET ${op}/tenants/:id/balance`, `${op}/tenants/nobody/balance`, 404],
      [`POST ${op}/tenants/:id/credits`, `${op}/tenants/doc/credits`, 201, { amount: '12.5', reason: 'paid', idempotency_key: 'k' }],
      [`POST ${op}/tenants/:id/credits`, `${op}/tenants/doc/credits`, 400, { amount: 0, reason: 'paid' }],
      [`GET ${op}/tenants/:id/credits`, `${op}/tenants/doc/credits?limit=1`, 200],
      [`GET ${op}/exchange-rates`, `${op}/exchange-rates?currency=SEK`, 200],
      [`POST ${op}/tenants/:id/inference-keys`, `${op}/tenants/doc/inference-keys`, 201, { name: 'i', max_tokens: 5 }],
      [`POST ${op}/tenants/:id/inference-keys`, `${op}/tenants/nobody/inference-keys`, 404, { name: 'i' }],
      [`GET ${op}/server`, `${op}/server`, 200],
      [`POST ${op}/rotate-master-key`, `${op}/rotate-master-key`, 200],
      [`GET ${op}/usage`, `${op}/usage?by=tenant&time=24h`, 200],
      [`GET ${op}/usage`, `${op}/usage?by=dragon`, 400],
      [`POST ${op}/verify`, `${op}/verify`, 200],
      ['POST /api/keys', '/api/keys', 200, { name: 'doc', max_tokens: 100_000, metadata: { a: 1 }, expires_at: '2999-01-01T00:00:00Z' }],
      ['POST /api/keys', '/api/keys', 400, { name: 5 }],
      ['POST /v1/chat/completions', '/v1/chat/completions', 200, call],
      ['POST /v1/chat/completions', '/v1/chat/completions', 402, { ...call, max_tokens: 4000 }],
      ['POST /v1/chat/completions', '/v1/chat/completions', 404, { ...call, model: 'nobody' }],
      ['POST /v1/chat/completions', '/v1/chat/completions', 400, {}],
      [`PATCH ${op}/models/:id`, `${op}/models/demo-echo`, 200, { aliases: ['demo'] }],
      [
        `POST ${op}/prices`,
        `${op}/prices`,
        201,
        { ...price, ...media, model_id: 'demo-echo', applies_from: null, cache_write_input_per_1m: 0.2 },
      ],
      [`GET ${op}/usage`, `${op}/usage?by=key`, 200],
      [`GET ${op}/usage`, `${op}/usage?by=model&tenant_id=default`, 200],
      ['GET /v1/models', '/v1/models', 200],
      ['GET /v1/models', '/v1/models?tag=instruct&tag=tools&currency=USD', 200],
      ['GET /v1/models', '/v1/models?currency=none', 400],
      ['GET /v1/models/*', '/v1/models/demo', 200],
      [`GET ${op}/me`, `${op}/me`, 200],
      [`GET ${op}/me`, `${op}/me`, 200, undefined, bearer(adminKey)],
      [`GET ${op}/me`, `${op}/me?x=1`, 400],
      [`GET ${op}/me`, `${op}/me`, 401, undefined, {}],
      [`GET ${op}/keys`, `${op}/keys?limit=1`, 200, undefined, bearer(adminKey)],
      ['GET /api/keys', '/api/keys?limit=1', 200],
      ['GET /v1/models/*', '/v1/models/demo-echo', 200],
      ['GET /v1/models/*', '/v1/models/nobody/at/all', 404],
      ['GET /health', '/health', 200],
      ['GET /actuator/health', '/actuator/health', 200],
      ['GET /actuator/health/liveness', '/actuator/health/liveness', 200],
      ['GET /actuator/health/readiness', '/actuator/health/readiness', 200],
      ['GET /metrics', '/metrics', 200],
      ['GET /.well-known/hpke-keys', '/.well-known/hpke-keys', 200],
      ['GET /attestation', '/attestation', 404],
      ['GET /openapi.json', '/openapi.json', 200],
      ['GET /docs', '/docs', 200],
      ['GET /docs/:page', '/docs/gateway', 200],
      ['GET /docs/:page', '/docs/nobody', 404],
    ];
    for (const step of steps) await ask(step);

    const { keys } = bodies.get(`${op}/keys?tenant_id=doc&limit=1`) as { keys: { id: string }[] };
    const [found] = keys;
    await ask([`GET ${op}/keys/:id`, `${op}/keys/${found?.id}`, 200]);
    await ask([`PATCH ${op}/keys/:id`, `${op}/keys/${found?.id}`, 200, { disabled: true }]);
    await ask([`POST ${op}/keys/:id/rotate`, `${op}/keys/${found?.id}/rotate`, 200, { grace_seconds: 60 }]);
    await ask([`POST ${op}/keys/:id/rotate`, `${op}/keys/${found?.id}/rotate`, 200]);
    await ask([`POST ${op}/keys/:id/rotate`, `${op}/keys/${found?.id}/rotate`, 404, {}, bearer(adminKey)]);
    await ask([`GET ${op}/keys/:id`, `${op}/keys/${found?.id}`, 200]);
    await ask([`DELETE ${op}/keys/:id`, `${op}/keys/${found?.id}`, 204]);
    const added = bodies.get(`${op}/prices?model_id=doc-model`)?.['prices'] as { id: string }[];
    await ask([`DELETE ${op}/prices/:id`, `${op}/prices/${added[0]?.id}`, 204]);
    const rates = bodies.get(`${op}/exchange-rates?currency=SEK`)?.['exchange_rates'] as { id: string }[];
    await ask([`DELETE ${op}/exchange-rates/:id`, `${op}/exchange-rates/${rates[0]?.id}`, 204]);
    await ask([`DELETE ${op}/models/:id`, `${op}/models/doc-model`, 204]);
    await ask([`DELETE ${op}/upstreams/:id`, `${op}/upstreams/doc-up`, 204]);

    const { key, id } = (await ask(['POST /api/keys', '/api/keys', 200, { name: 'caller' }])) as { key: string; id: string };
    await ask([`PATCH ${op}/keys/:id`, `${op}/keys/${id}`, 200, { money_budget_usd: '3.25', allowed_models: ['demo-echo'] }]);
    await ask(['GET /api/keys', '/api/keys', 200]);
    await ask(['POST /api/keys/update', '/api/keys/update', 200, { key, disabled: true, name: null }]);
    await ask(['POST /api/keys/rename', '/api/keys/rename', 200, { key, name: 'renamed' }]);
    await ask(['GET /api/billing/usage', '/api/billing/usage?time=24h', 200]);
    await ask(['GET /api/billing/usage', '/api/billing/usage?time=yesterday', 400]);
    await ask(['POST /api/billing/usage/key', '/api/billing/usage/key', 200, { key }]);
    await ask(['POST /api/billing/usage/key', '/api/billing/usage/key', 404, { key: 'tk_nobody' }]);
    await ask(['GET /api/billing/time-series', '/api/billing/time-series', 200]);
    await ask(['GET /api/billing/transactions', '/api/billing/transactions', 200]);
    await ask(['GET /api/billing/transactions', '/api/billing/transactions?format=array', 200]);
    await ask(['DELETE /api/keys/:key', `/api/keys/${key}`, 200]);
    // The demo key pays one call; what follows needs another one of the tenant's.
    const other = (await ask(['POST /api/keys', '/api/keys', 200, { name: 'other' }])) as { key: string; id: string };
    const apiKey = { 'x-api-key': other.key };
    const message = { model: 'demo-echo', max_tokens: 16, messages: call.messages };
    const later: Step[] = [
      ['POST /v1/embeddings', '/v1/embeddings', 200, { model: 'demo-echo', input: 'hi' }, bearer(other.key)],
      ['POST /v1/messages', '/v1/messages', 200, message, apiKey],
      ['POST /v1/messages', '/v1/messages', 200, { ...message, stream: true }, bearer(other.key)],
      ['POST /v1/messages', '/v1/messages', 400, {}, apiKey],
      ['POST /v1/messages', '/v1/messages', 401, message, {}],
      ['POST /v1/messages', '/v1/messages', 402, { ...message, max_tokens: 4000 }],
      ['POST /v1/messages', '/v1/messages', 404, { ...message, model: 'nobody' }, apiKey],
      ['POST /v1/messages/count_tokens', '/v1/messages/count_tokens', 200, { ...message, max_tokens: undefined }, apiKey],
      ['POST /v1/messages/count_tokens', '/v1/messages/count_tokens', 400, {}, apiKey],
      ['POST /api/shim/validate-key', '/api/shim/validate-key', 200, { api_key: other.key }],
      ['POST /api/shim/validate-key', '/api/shim/validate-key', 400, {}],
      ['POST /api/shim/validate-key', '/api/shim/validate-key', 401, { api_key: 'tk_nobody' }],
      ['POST /api/shim/route-context', '/api/shim/route-context', 200, { api_key: other.key }],
      ['POST /api/shim/route-context', '/api/shim/route-context', 403, { api_key: adminKey }],
    ];
    for (const step of later) await ask(step);

    await askEndpoints((...step) => ask(step), bearer(other.key));
    await askGovernance((...step) => ask(step));
    putBill(folder.dataDir, 'default');
    await askContainers((...step) => ask(step), containers);
    await askBills((...step) => ask(step), 'default');
    await askSecrets((...step) => ask(step));
    await askSshKeys((...step) => ask(step));
    await askDomains((...step) => ask(step));
    await askManagement((...step) => ask(step), running.prepared.credentials.management_key ?? '');

    const capped = (await ask(['POST /api/keys', '/api/keys', 200, { name: 'capped', max_tokens: 20 }])) as { key: string };
    const reporters = `${op}/usage-reporters`;
    const reporterId = 'doc-reporter';
    await ask([`POST ${reporters}`, reporters, 201, { id: reporterId, tenants: ['default'] }]);
    await ask([`POST ${reporters}`, reporters, 409, { id: reporterId, tenants: ['default'] }]);
    const rotated = await ask([`PATCH ${reporters}/:id`, `${reporters}/${reporterId}`, 200, { rotate_secret: true, grace_seconds: 60 }]);
    await ask([`GET ${reporters}`, reporters, 200]);
    await ask([`GET ${reporters}/:id`, `${reporters}/${reporterId}`, 200]);
    await ask([`GET ${reporters}/:id`, `${reporters}/nobody`, 404]);
    const at = { occurredAtMs: Date.now(), model: 'demo-echo' };
    const delivery = signedDelivery({
      reporterId,
      secret: rotated['secret'] as string,
      nowMs: at.occurredAtMs,
      events: [
        wireEvent(capped.key, at),
        wireEvent(capped.key, { ...at, model: 'nobody' }),
        wireEvent(capped.key, at, { meters: 'none' }),
        { event_id: '' },
      ],
    });
    const reports = 'POST /api/internal/usage-reports';
    const { 'x-tinfoil-signature': _signature, ...unsigned } = delivery.headers;
    const receipt = await ask([reports, delivery.path, 200, delivery.body, delivery.headers]);
    expect(receipt).toMatchObject({ accepted: 1, duplicates: 0, quarantined: 3 });
    await ask([reports, delivery.path, 409, delivery.body, delivery.headers]);
    await ask([reports, delivery.path, 401, delivery.body, unsigned]);
    const quarantine = `${reporters}/${reporterId}/quarantine`;
    await ask([`GET ${reporters}/:id/quarantine`, quarantine, 200]);
    expect(bodies.get(quarantine)?.['events']).toHaveLength(2);
    await ask([`GET ${reporters}/:id/quarantine`, `${quarantine}?limit=1`, 200]);
    await ask([`POST ${reporters}/:id/quarantine/retry`, `${quarantine}/retry`, 200]);
    await ask([`DELETE ${reporters}/:id`, `${reporters}/${reporterId}`, 204]);
    await ask([`GET ${op}/events`, `${op}/events?tenant_id=doc`, 200]);
    await ask([`GET ${op}/events`, `${op}/events?limit=1000`, 200, undefined, bearer(adminKey)]);
    await ask([`GET ${op}/events`, `${op}/events?tenant_id=nobody`, 404]);
    const { events } = await ask([`GET ${op}/events`, `${op}/events?type=api_key.threshold_crossed&tenant_id=default&limit=1`, 200]);
    expect(events).toHaveLength(1);

    const { origin: enclave, close } = await startAttestationSource();
    const sealed = { enclave_urls: [enclave], attestation_url: `${enclave}/attestation` };
    await ask([`POST ${op}/upstreams`, `${op}/upstreams`, 201, { id: 'doc-enclave', sealed }]);
    await ask(['GET /attestation', '/attestation', 200]);
    await ask(['GET /attestation', '/attestation', 400, undefined, { 'x-tinfoil-enclave-url': 'https://elsewhere.example' }]);
    await close();

    // An upstream that cannot be reached tells so.
    await ask([`POST ${op}/upstreams`, `${op}/upstreams`, 201, { ...upstream, id: 'doc-gone' }]);
    await ask([`POST ${op}/models`, `${op}/models`, 201, { id: 'doc-gone', upstreams: [{ id: 'doc-gone' }] }]);
    await ask([`POST ${op}/prices`, `${op}/prices`, 201, { ...price, model_id: 'doc-gone', applies_from: null }]);
    await ask(['POST /v1/chat/completions', '/v1/chat/completions', 502, { ...call, model: 'doc-gone' }, bearer(other.key)]);
    await ask(['POST /v1/messages', '/v1/messages', 502, { ...message, model: 'doc-gone' }, apiKey]);
    const { health } = await ask([`GET ${op}/upstreams/:id`, `${op}/upstreams/doc-gone`, 200]);
    expect(health).toMatchObject({ last_failure: { code: expect.any(String) as string } });
    expect(tenant).toBe('default');

    expect(faults).toEqual([]);
    const mounted = running.listeners.routes().map(({ method, url }) => `${method} ${url}`);
    // A route that is missing here gets a step above: what its description says is true only where something checks it.
    expect(mounted.filter((each) => !seen.has(each))).toEqual([]);
  });
});
