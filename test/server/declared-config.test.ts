import { writeFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { budgetId, USD_MICROCENTS, type Account } from '../../src/core/ledger/account.ts';
import { DEFAULT_RETENTION } from '../../src/core/retention/retention.ts';
import { readConfig } from '../../src/server/config.ts';
import { makeTestFolder, type TestFolder } from './in-process.ts';

let folder: TestFolder = makeTestFolder();
afterEach(async () => {
  await folder.dispose();
  folder = makeTestFolder();
});

const FILE = `
upstreams:
  - { id: scw, base_url: "http://127.0.0.1:9/v1", api_key: "\${SCW_KEY}", provider: scaleway, region: fr }
models:
  - id: big
    upstreams: [{ id: scw, model: big-one, price: { input_per_1m: 0.15, output_per_1m: 0.60 } }]
    price: { input_per_1m: 1, output_per_1m: 2 }
    max_output_tokens: 100
tenants:
  - id: acme
    name: Acme
    entitlements: { max_keys: 5 }
    members: [{ id: ann, email: ann@example.com, role: admin }]
    money_budget_usd: 50
`;
const ENV = { SCW_KEY: 'scw-secret-1' };

/** Starts with a file, stops, and gives the notices of that start. */
async function startWith(yaml: string, env: NodeJS.ProcessEnv = ENV): Promise<readonly string[]> {
  const running = await folder.start({ yaml, env });
  await running.stop();
  return running.prepared.notices.map((notice) => notice.replaceAll(folder.configPath, 'castellan.yaml'));
}

const BUDGET = budgetId('acme', 'tenant:acme', USD_MICROCENTS);
const budgetOf = (): Promise<Account | undefined> => folder.withStore(async (store) => (await store.accounts([BUDGET])).get(BUDGET));
const auditedChanges = (): Promise<number> => folder.withStore((store) => store.generation());

test('the first start with a file makes what it declares', async () => {
  expect(await startWith(FILE)).toEqual([]);
  await folder.withStore(async (store) => {
    const upstream = await store.record('upstream', 'scw');
    expect(upstream).toMatchObject({
      kind: 'openai',
      baseUrl: 'http://127.0.0.1:9/v1',
      provider: 'scaleway',
      region: 'fr',
      timeoutMs: null,
    });
    expect(upstream?.apiKeySealed).toBeTruthy();
    expect(JSON.stringify(upstream)).not.toContain('scw-secret-1');
    expect(await store.record('model', 'big')).toMatchObject({
      upstreams: [{ id: 'scw', model: 'big-one' }],
      maxOutputTokens: 100,
      defaultOutputTokens: 100,
    });
    const prices = (await store.records('price')).filter(({ modelId }) => modelId === 'big');
    expect(new Map(prices.map(({ upstreamId, inputNanos }) => [upstreamId, inputNanos]))).toEqual(
      new Map([
        [null, 1000],
        ['scw', 150],
      ]),
    );
    expect(await store.record('tenant', 'acme')).toMatchObject({
      name: 'Acme',
      entitlements: { maxKeys: 5, tokenBilling: true, gpuAccess: false },
    });
    expect(await store.record('member', 'acme/ann')).toMatchObject({ role: 'admin', email: 'ann@example.com' });
  });
  expect(await budgetOf()).toMatchObject({ allocated: 5_000_000_000n, spent: 0n });
});

test('a start with an unchanged file changes nothing', async () => {
  await startWith(FILE);
  const before = await auditedChanges();
  await startWith(FILE);
  expect(await auditedChanges()).toBe(before);
});

test('prices of media are declared, kept while they are the same, and taken back with the next version', async () => {
  const spoken = FILE.replace(
    'output_per_1m: 2 }',
    'output_per_1m: 2, per_second: 0.0001, per_1m_characters: 15, per_image: 0.04 }',
  ).replace(
    'max_output_tokens: 100',
    'max_audio_seconds: 60\n    description: Hears and speaks\n    rate_limits: { requests_per_minute: 60 }',
  );
  const media = { secondNanos: 100_000, characterNanos: 15_000, imageNanos: 40_000_000 };
  const versions = (): Promise<object[]> =>
    folder.withStore(async (store) =>
      (await store.records('price')).filter(({ modelId, upstreamId }) => modelId === 'big' && upstreamId === null),
    );
  await startWith(spoken);
  expect(await versions()).toMatchObject([media]);
  await startWith(spoken);
  expect(await versions()).toHaveLength(1);
  await folder.withStore(async (store) =>
    expect(await store.record('model', 'big')).toMatchObject({
      maxAudioSeconds: 60,
      description: 'Hears and speaks',
      rateLimits: { requestsPerMinute: 60, tokensPerMinute: null },
    }),
  );
  await startWith(FILE);
  const later = await versions();
  expect(later).toHaveLength(2);
  expect(later.filter((price) => 'secondNanos' in price)).toHaveLength(1);
});

test('a changed file wins for what it names, and leaves the rest alone', async () => {
  await startWith(FILE);
  await startWith(FILE.replace('region: fr', 'region: nl').replace('name: Acme', 'name: Acme Inc').replace('max_keys: 5', 'max_gpus: 2'), {
    SCW_KEY: 'scw-secret-2',
  });
  await folder.withStore(async (store) => {
    expect(await store.record('upstream', 'scw')).toMatchObject({ region: 'nl' });
    expect(await store.record('tenant', 'acme')).toMatchObject({ name: 'Acme Inc', entitlements: { maxKeys: 5, maxGpus: 2 } });
  });
});

test('what an upstream speaks, and a price for cache writes: made, changed, and left alone', async () => {
  const speaking = FILE.replace('region: fr', 'region: fr, speaks: [anthropic, openai]');
  const priced = speaking.replace('output_per_1m: 2 }', 'output_per_1m: 2, cache_write_input_per_1m: 1.25 }');
  const shared = (): Promise<(number | undefined)[]> =>
    folder.withStore(async (store) =>
      (await store.records('price'))
        .filter(({ modelId, upstreamId }) => modelId === 'big' && upstreamId === null)
        .toSorted((a, b) => a.createdAtMs - b.createdAtMs)
        .map(({ cacheWriteInputNanos }) => cacheWriteInputNanos),
    );
  const spoken = (): Promise<readonly string[] | undefined> =>
    folder.withStore(async (store) => (await store.record('upstream', 'scw'))?.speaks);
  await startWith(FILE);
  expect([await shared(), await spoken()]).toEqual([[undefined], undefined]);
  await startWith(priced);
  expect([await shared(), await spoken()]).toEqual([
    [undefined, 1250],
    ['anthropic', 'openai'],
  ]);
  const before = await auditedChanges();
  await startWith(priced);
  expect(await auditedChanges()).toBe(before);
  // What leaves the file stays, but a price without cache writes is another price.
  await startWith(FILE);
  expect([await shared(), await spoken()]).toEqual([
    [undefined, 1250, undefined],
    ['anthropic', 'openai'],
  ]);
});

test.each([
  ['speaks: [openai, openai]', 'must name each of openai and anthropic at most once'],
  ['speaks: []', 'must name at least one of openai and anthropic'],
  ['speaks: [gopher]', 'must be one of openai, anthropic'],
])('%s stops the start', async (field, rule) => {
  await expect(startWith(FILE.replace('region: fr', field))).rejects.toThrow(rule);
});

test('a changed credential of an upstream is the one that is sealed', async () => {
  await startWith(FILE);
  const sealedOf = (): Promise<string | null | undefined> =>
    folder.withStore(async (store) => (await store.record('upstream', 'scw'))?.apiKeySealed);
  const first = await sealedOf();
  await startWith(FILE);
  expect(await sealedOf()).toBe(first);
  await startWith(FILE, { SCW_KEY: 'scw-secret-2' });
  expect(await sealedOf()).not.toBe(first);
  await startWith(FILE.replace('"${SCW_KEY}"', 'null'));
  expect(await sealedOf()).toBeNull();
});

test('what the API has changed beside the file stays as it is, and a field that leaves the file stays as it was', async () => {
  const running = await folder.start({ yaml: FILE, env: ENV });
  const ask = (method: string, path: string, body: object): Promise<Response> =>
    fetch(`${running.listeners.admin.origin}/v1/x-castellan${path}`, {
      method,
      headers: { 'x-admin-api-key': running.prepared.credentials.operator_key, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  expect((await ask('PATCH', '/upstreams/scw', { quantized: true })).status).toBe(200);
  expect((await ask('PATCH', '/models/big', { margin_percent: 3, default_output_tokens: 50 })).status).toBe(200);
  for (const [path, body] of [
    ['/upstreams/scw', { region: 'nl' }],
    ['/models/big', { max_output_tokens: 9 }],
    ['/tenants/acme', { name: 'Other' }],
    ['/tenants/acme/entitlements', { max_keys: 9 }],
  ] as const) {
    const refused = await ask('PATCH', path, body);
    expect([path, refused.status]).toEqual([path, 409]);
    expect(await refused.text()).toContain(folder.configPath);
  }
  expect((await ask('PUT', '/tenants/acme/money-budget', { money_budget_usd: 1 })).status).toBe(409);
  await running.stop();

  await startWith(
    FILE.replace('provider: scaleway, region: fr', 'provider: other').replace('max_output_tokens: 100', 'max_output_tokens: 40'),
  );
  await folder.withStore(async (store) => {
    expect(await store.record('upstream', 'scw')).toMatchObject({ provider: 'other', region: 'fr', quantized: true });
    expect(await store.record('model', 'big')).toMatchObject({ marginPercent: 3, maxOutputTokens: 40, defaultOutputTokens: 40 });
  });
});

test('fields that leave the file are named at the start, keep their values and are the API’s', async () => {
  await startWith(FILE);
  const without = FILE.replace(', provider: scaleway, region: fr', '')
    .replace('    name: Acme\n', '')
    .replace('email: ann@example.com, role: admin', 'email: ann@example.com')
    .replace('    money_budget_usd: 50\n', '');
  const sentences = [
    'castellan.yaml no longer names provider, region of the upstream scw: they keep their values, and the operator API may now change them.',
    'castellan.yaml no longer names money_budget_usd, name of the tenant acme: they keep their values, and the operator API may now change them.',
    'castellan.yaml no longer names role of the member acme/ann: it keeps its value, and the operator API may now change it.',
  ];
  expect(await startWith(without)).toEqual(sentences);
  await folder.withStore(async (store) => {
    expect(await store.record('upstream', 'scw')).toMatchObject({ provider: 'scaleway', region: 'fr' });
    expect(await store.record('tenant', 'acme')).toMatchObject({ name: 'Acme' });
    expect(await store.record('member', 'acme/ann')).toMatchObject({ role: 'admin' });
  });
  expect(await budgetOf()).toMatchObject({ allocated: 5_000_000_000n });
  expect(await startWith(FILE)).toEqual([]);
});

test('a changed price is added as a new version, and the old one stays', async () => {
  await startWith(FILE);
  await startWith(FILE.replace('input_per_1m: 1,', 'input_per_1m: 3,'));
  await startWith(FILE.replace('input_per_1m: 1,', 'input_per_1m: 3,'));
  const prices = await folder.withStore((store) => store.records('price'));
  const own = prices.filter(({ modelId, upstreamId }) => modelId === 'big' && upstreamId === null);
  expect(own.map(({ inputNanos }) => inputNanos).toSorted((a, b) => a - b)).toEqual([1000, 3000]);
});

test('a changed money budget sets what is allocated and never touches what is spent', async () => {
  await startWith(FILE);
  await folder.withStore(async (store) => {
    const debit = { accounts: [BUDGET], otherUnitAccounts: [], amount: 700n, overagePolicy: 'REJECT' } as const;
    const { outcomes } = await store.execute(
      'bat_test',
      [{ verb: 'debit', id: 'cmd_test', tenantId: 'acme', debitId: 'deb_test', ...debit }],
      0,
    );
    expect(outcomes[0]?.ok).toBe(true);
  });
  await startWith(FILE.replace('money_budget_usd: 50', 'money_budget_usd: 0.000001'));
  expect(await budgetOf()).toMatchObject({ allocated: 100n, spent: 700n, reserved: 0n });
  await startWith(FILE.replace('money_budget_usd: 50', 'money_budget_usd: "12.5"'));
  expect(await budgetOf()).toMatchObject({ allocated: 1_250_000_000n, spent: 700n });
  expect(await folder.withStore(async (store) => (await store.verify()).discrepancies)).toEqual([]);
});

test('what leaves the file stays, and the start says so', async () => {
  await startWith(FILE);
  const notices = await startWith('upstreams: [{ id: scw, base_url: "http://127.0.0.1:9/v1" }]');
  expect([...notices].sort()).toEqual(
    [
      'castellan.yaml no longer names the member acme/ann: it stays as it was, and the operator API may now change or remove it.',
      'castellan.yaml no longer names the model big: it stays as it was, and the operator API may now change or remove it.',
      'castellan.yaml no longer names the tenant acme: it stays as it was, and the operator API may now change or remove it.',
      'castellan.yaml no longer names api_key, provider, region of the upstream scw: they keep their values, and the operator API may now change them.',
    ].sort(),
  );
  expect(await budgetOf()).toMatchObject({ allocated: 5_000_000_000n });
  await folder.withStore(async (store) => expect(await store.record('model', 'big')).toBeDefined());
  expect(await startWith(FILE)).toEqual([]);
});

test('an upstream that takes sealed calls is declared, changed, and made one for plain calls again only by the API', async () => {
  const file = (sealed: string): string => `
upstreams: [{ id: enclave, sealed: ${sealed} }]
models: [{ id: hidden, upstreams: [{ id: enclave }], price: { input_per_1m: 1, output_per_1m: 1 } }]
`;
  const kept = (): Promise<unknown> => folder.withStore((store) => store.record('upstream', 'enclave'));
  expect(await startWith(file('{ enclave_urls: ["http://127.0.0.1:9100/"] }'))).toEqual([]);
  const sealed = { enclaveUrls: ['http://127.0.0.1:9100'], attestationUrl: null, maxOutputTokens: null };
  expect(await kept()).toMatchObject({ baseUrl: '', sealed });
  const more =
    '{ enclave_urls: ["https://a.example", "https://b.example"], attestation_url: "https://a.example/att", max_output_tokens: 9 }';
  await startWith(file(more));
  expect(await kept()).toMatchObject({
    sealed: { enclaveUrls: ['https://a.example', 'https://b.example'], attestationUrl: 'https://a.example/att', maxOutputTokens: 9 },
  });
});

test('a declared model may run on the built-in demo upstream', async () => {
  const running = await folder.start({
    yaml: 'models: [{ id: echo, upstreams: [{ id: demo, model: demo-echo }], price: { input_per_1m: 0, output_per_1m: 0 } }]',
  });
  const { demo_key: key } = running.prepared.credentials;
  const answer = await fetch(`${running.listeners.runtime.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'echo', messages: [{ role: 'user', content: 'hi' }] }),
  });
  expect(answer.status).toBe(200);
});

test('the retention table of the file is what is kept', async () => {
  const running = await folder.start({ yaml: 'retention: { audit_days: 7, idempotency_hours: 2, reservations_days: 3 }' });
  await running.stop();
  const config = await readConfig({ CASTELLAN_CONFIG: folder.configPath });
  const [hourMs, dayMs] = [3_600_000, 86_400_000];
  expect(config.retention).toEqual({
    ...DEFAULT_RETENTION,
    auditMs: 7 * dayMs,
    idempotencyMs: 2 * hourMs,
    reservationsMs: 3 * dayMs,
  });
});

test.each([
  ['audit_days: 0', 'retention.audit_days must be a whole number from 1 to 36500, but is 0'],
  ['reservations_days: 1.5', 'retention.reservations_days must be a whole number from 1 to 36500, but is 1.5'],
  ['event_days: 3', 'retention.event_days is not a known name; write events_days if you meant that'],
])('a retention table with %s is refused', async (field, complaint) => {
  await expect(folder.start({ yaml: `retention: { ${field} }` })).rejects.toThrow(complaint);
});

test('currency and required balance of a tenant: made, changed while nothing is paid in, and kept for what the file no longer names', async () => {
  const rates = 'exchange_rates: [{ currency: SEK, per_usd: "10.5" }, { currency: EUR, per_usd: 0.92 }]';
  const tenant = (terms: string): string => `${rates}\ntenants: [{ id: acme${terms} }]\n`;
  const terms = (): Promise<object | undefined> => folder.withStore((store) => store.record('tenant', 'acme'));
  await startWith(tenant(', currency: SEK, require_balance: true'));
  expect(await terms()).toMatchObject({ currency: 'SEK', requireBalance: true, hasBalance: true });
  const before = await auditedChanges();
  await startWith(tenant(', currency: SEK, require_balance: true'));
  expect(await auditedChanges()).toBe(before);
  await startWith(tenant(', currency: EUR, require_balance: false'));
  expect(await terms()).toMatchObject({ currency: 'EUR', requireBalance: false, hasBalance: true });
  await startWith(tenant(''));
  expect(await terms()).toMatchObject({ currency: 'EUR', requireBalance: false });
  await expect(folder.start({ yaml: 'tenants: [{ id: beta, currency: CHF, require_balance: true }]\n', env: ENV })).rejects.toThrow(
    'currency must have an exchange rate that applies',
  );
});

test('the section billing says where links lead, who issues, and how Stripe is reached', async () => {
  const yaml = `billing:
  public_url: "https://castellan.example.com"
  issuer: { name: Example Ltd, lines: [1 Example Street, Berlin] }
  stripe: { api_key: "\${STRIPE_KEY}", webhook_secret: "\${STRIPE_SECRET}", base_url: "http://127.0.0.1:9", meter: tokens }`;
  writeFileSync(folder.configPath, yaml);
  const env = { CASTELLAN_CONFIG: folder.configPath, STRIPE_KEY: 'sk_test_0123', STRIPE_SECRET: 'whsec_0123' };
  expect((await readConfig(env)).billing).toEqual({
    publicUrl: 'https://castellan.example.com',
    issuer: { name: 'Example Ltd', lines: ['1 Example Street', 'Berlin'] },
    stripe: { apiKey: 'sk_test_0123', webhookSecret: 'whsec_0123', baseUrl: 'http://127.0.0.1:9', meter: 'tokens' },
  });
});

test.each([
  ['public_url: "https://a.example/bills"', 'billing.public_url must be an origin such as https://bills.example.com'],
  ['public_url: "ftp://a.example"', 'billing.public_url must be an origin'],
  ['issuer: { lines: [a] }', 'billing.issuer.name is missing'],
  ['issuer: { name: x, lines: [a, b, c, d, e, f, g, h, i] }', 'billing.issuer.lines must have at most 8 lines'],
  ['stripe: { meter: x }', 'billing.stripe.api_key is missing'],
  ['stripe: { api_key: short }', 'billing.stripe.api_key must be of 8 to 512 visible ASCII characters'],
  ['stripe: { api_key: sk_test_0123, meter: "a b" }', 'billing.stripe.meter must be the name of a meter'],
  ['striped: {}', 'billing.striped is not a known name; write stripe if you meant that'],
])('a section billing with %s is refused, and no secret is shown', async (field, complaint) => {
  const refused = folder.start({ yaml: `billing: { ${field} }` });
  await expect(refused).rejects.toThrow(complaint);
  await expect(refused).rejects.not.toThrow('short');
});
