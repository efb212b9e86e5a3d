import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeControlPlane, type ControlPlane } from '../support/control-plane.ts';
import { bearer, makeHttpClient, type Answer, type HttpClient } from '../support/http-client.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';
import { rawRequest, sendRaw } from '../support/raw-http.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import type { TestStore } from '../support/store-reader.ts';
import { chatBody, testConfig, UPSTREAM_KEY } from '../support/test-config.ts';

/** Words that are sent where a credential might stand by mistake; nothing may ever repeat them. */
const PLANTED = [
  'tk_CanaryInPath00000000000000000001',
  'tk_CanaryInQuery0000000000000000002',
  'tk_CanaryInHeader000000000000000003',
  'tk_CanaryInBody00000000000000000004',
  'admin_CanaryAsBearer0000000000000000000000005',
];

/** Defines the canary tests of one store. `dump` gives everything that the store keeps on its disk. */
export function testCanaries(options: {
  readonly makeStore: () => Promise<TestStore>;
  readonly dump: (server: TestServer) => Promise<Buffer>;
}): void {
  let model: OpenAiServer;
  let server: TestServer;
  let client: HttpClient;
  let control: ControlPlane;
  /** Credentials that are real and were used. */
  const real: string[] = [];
  const refusals: string[] = [];

  beforeAll(async () => {
    model = await startOpenAiServer();
    server = await startServer({ store: await options.makeStore(), config: testConfig(model.url), env: { CASTELLAN_LOG_LEVEL: 'debug' } });
    client = makeHttpClient();
    control = makeControlPlane(server, client);
  });

  afterAll(async () => {
    await client.close();
    await server.dispose();
    await model.close();
  });

  test('calls, key changes and refusals go through with keys in every place where one can stand', async () => {
    const tenant = control.firstTenant();
    const key = await control.makeKey(tenant, { name: 'canary', maxTokens: 100_000 });
    const other = await control.makeTenant('other');
    const doomed = await control.makeKey(other, { name: 'doomed' });
    await control.operator('POST', '/upstreams', {
      id: 'spare',
      base_url: 'http://127.0.0.1:9/v1',
      api_key: 'sk-second-upstream-canary-7Hb3Vn',
    });
    const { operator_key, management_key } = server.credentials();
    real.push(
      key.key,
      other.adminKey,
      doomed.key,
      tenant.adminKey,
      operator_key,
      management_key,
      UPSTREAM_KEY,
      'sk-second-upstream-canary-7Hb3Vn',
    );
    await subscribe(operator_key);
    await keepForContainers(tenant.adminKey);
    const call = (stream: boolean): Promise<unknown> =>
      client.ask(`${server.runtime}/v1/chat/completions`, {
        method: 'POST',
        headers: bearer(key.key),
        body: chatBody('hello', { stream }),
      });
    await call(false);
    await call(true);
    await control.asAdmin(other, 'POST', '/api/keys/update', { key: doomed.key, name: 'renamed' });
    await control.asAdmin(other, 'POST', '/api/billing/usage/key', { key: doomed.key });
    await control.asAdmin(other, 'DELETE', `/api/keys/${doomed.key}`);
    // The upstream fails and repeats its credential in its error; then it is gone.
    model.behaviour.fault = { kind: 'status', status: 400 };
    await keep(
      await client.ask(`${server.runtime}/v1/chat/completions`, { method: 'POST', headers: bearer(key.key), body: chatBody('hello') }),
    );
    model.behaviour.fault = { kind: 'reset_before_headers' };
    await keep(
      await client.ask(`${server.runtime}/v1/chat/completions`, { method: 'POST', headers: bearer(key.key), body: chatBody('hello') }),
    );
    model.behaviour.fault = null;

    for (const plane of ['admin', 'runtime'] as const) {
      for (const credential of [...PLANTED, key.key, tenant.adminKey, operator_key]) await plant(plane, credential);
    }
    expect(refusals.length).toBeGreaterThan(100);
  });

  /** A webhook that nobody takes, with a secret and a header of its own; then one that is refused. */
  async function subscribe(operatorKey: string): Promise<void> {
    const ask = (method: string, path: string, body: object): Promise<Answer> =>
      client.ask(`${server.admin}/v1/admin${path}`, { method, headers: { 'x-admin-api-key': operatorKey }, body });
    const [secret, token] = ['whsec_7Hb3Vn-signs-the-canary', 'tok_7Hb3Vn-heads-the-canary'];
    const webhook = {
      url: 'http://127.0.0.1:9/hook',
      event_types: ['api_key.created'],
      signing_secret: secret,
      headers: { 'x-token': token },
    };
    expect((await ask('PUT', '/config/webhook-security', { allow_http: true, blocked_cidr_ranges: [] })).status).toBe(200);
    const made = await ask('POST', '/webhooks', webhook);
    const { subscription_id: id } = made.json<{ subscription: { subscription_id: string } }>().subscription;
    expect((await ask('POST', `/webhooks/${id}/test`, {})).json()).toMatchObject({ success: false });
    await keep(await ask('PATCH', `/webhooks/${id}`, { ...webhook, headers: { host: token } }));
    await keep(await ask('POST', '/webhooks', { ...webhook, url: `no address ${secret}` }));
    expect(refusals.length).toBe(2);
    real.push(secret, token);
  }

  /** A secret and credentials of registries; then some that are refused. */
  async function keepForContainers(adminKey: string): Promise<void> {
    const [value, token, pem] = ['val_7Hb3Vn-of-the-canary', 'ghp_7Hb3Vn-pulls-the-canary', 'pem_7Hb3Vn-of-the-canary'];
    const ask = (method: string, path: string, body: object): Promise<Answer> =>
      client.ask(`${server.admin}/api${path}`, { method, headers: bearer(adminKey), body });
    const key = JSON.stringify({ type: 'service_account', client_email: 'canary@example.com', private_key: pem });
    expect((await ask('POST', '/secrets', { name: 'CANARY', value: 'before' })).status).toBe(201);
    expect((await ask('PUT', '/secrets/CANARY', { value })).status).toBe(200);
    expect((await ask('PUT', '/registry-credentials/ghcr', { username: 'canary', token })).status).toBe(200);
    expect((await ask('PUT', '/registry-credentials/gcr', { key })).status).toBe(200);
    await keep(await ask('POST', '/secrets', { name: 'CANARY', value }));
    await keep(await ask('POST', '/secrets', { name: 'Canary', value }));
    await keep(await ask('PUT', '/secrets/CANARY', { value: [value] }));
    await keep(await ask('PUT', '/registry-credentials/ghcr', { username: 'canary:', token, key }));
    await keep(await ask('PUT', '/registry-credentials/gcr', { key: `${key}x` }));
    expect(refusals.length).toBe(7);
    real.push(value, token, pem);
  }

  const keep = (answer: { readonly status: number; readonly text: string }): Promise<void> => {
    if (answer.status >= 400) refusals.push(answer.text);
    return Promise.resolve();
  };

  /** Sends one word in every place of a request, to addresses that exist and to some that do not. */
  async function plant(plane: 'admin' | 'runtime', word: string): Promise<void> {
    const json = 'Content-Type: application/json';
    const requests: readonly Parameters<typeof rawRequest>[0][] = [
      { method: 'GET', path: `/${word}`, headers: [] },
      { method: 'GET', path: `/api/keys/${word}`, headers: [] },
      { method: 'GET', path: `/v1/models/${word}`, headers: [] },
      { method: 'DELETE', path: `/api/unknown/${word}/more`, headers: [`Authorization: Bearer ${word}x`] },
      { method: 'GET', path: `/api/keys/%zz${word}`, headers: [] },
      { method: 'GET', path: `/v1/unknown?key=${word}&api_key=${word}`, headers: [] },
      { method: 'GET', path: `/api/billing/usage?time=${word}`, headers: [] },
      { method: 'GET', path: `/api/billing/usage?key=${word}`, headers: [] },
      { method: 'GET', path: '/v1/x-castellan/keys', headers: [`X-Admin-API-Key: ${word}x`] },
      { method: 'GET', path: '/api/keys', headers: [`Authorization: Bearer ${word}x`, `Cookie: session=${word}`, `X-Api-Key: ${word}`] },
      {
        method: 'POST',
        path: '/v1/chat/completions',
        headers: [json, `Authorization: Bearer ${word}`, `X-Cycles-API-Key: ${word}`],
        body: `{"model":"${word}","messages":[{"role":"${word}","content":1}]}`,
      },
      { method: 'POST', path: '/api/keys', headers: [json, `Authorization: Bearer ${word}x`], body: `{"name":"${word}"}` },
      { method: 'POST', path: '/api/keys/update', headers: [json], body: `{"key":"${word}","name":1` },
      { method: 'POST', path: '/api/shim/validate-key', headers: [json], body: `{"api_key":"${word}x","path":["${word}"]}` },
      { method: 'POST', path: '/api/shim/route-context', headers: [json], body: `{"api_key":"${word}x"}` },
      { method: 'POST', path: '/api/internal/usage-reports', headers: [json, `X-Tinfoil-Reporter-Id: ${word}`], body: `{"${word}":1}` },
      { method: word, path: '/', headers: [] },
      { method: 'GET', path: '/health', headers: [`Host: ${word}`] },
    ];
    for (const request of requests) {
      const answer = await sendRaw(server[plane], [rawRequest(request)]);
      if (answer.status >= 400) refusals.push(answer.body);
    }
  }

  const everySecret = (): string[] => [...PLANTED, ...real];
  /** A word counts as told where even a part of it stands that is too long to be a mask. */
  const found = (text: string): string[] =>
    everySecret().filter((secret) => text.includes(secret.slice(0, 14)) || text.includes(secret.slice(-14)));

  test('no refusal repeats one', () => {
    for (const body of refusals) expect(found(body)).toEqual([]);
  });

  test('no log line and nothing printed holds one', async () => {
    await server.stop();
    expect(server.stderr().split('"msg":"request"').length).toBeGreaterThan(100);
    expect(found(server.stderr())).toEqual([]);
    expect(found(server.stdout())).toEqual([]);
  });

  test('no file or dump of the database holds one', async () => {
    const dump = await options.dump(server);
    // The dump is one of this database: it has what may be seen.
    expect(dump.includes('canary')).toBe(true);
    expect(found(dump.toString('latin1'))).toEqual([]);
    for (const secret of everySecret()) expect(dump.includes(Buffer.from(secret).toString('base64').slice(0, 16))).toBe(false);
  });
}
