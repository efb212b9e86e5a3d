import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { NO_CONTAINERS } from '../../src/server/declared/parse-containers.ts';
import { DEFAULT_RETENTION } from '../../src/core/retention/retention.ts';
import { ConfigError } from '../../src/server/config-error.ts';
import { readConfig } from '../../src/server/config.ts';
import { makeDeclaredFields } from '../../src/server/declared/named-fields.ts';

const folder = mkdtempSync(join(tmpdir(), 'castellan-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

const STRONG_KEY = 'vK3p9Qz7LmX2cT5rB8nW1yHdJ6sGfA4uEo0i';

/** The one sentence that stops a start in this environment; a test fails where none does. */
async function complaint(env: NodeJS.ProcessEnv): Promise<string> {
  try {
    await readConfig(env);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error('the configuration was accepted');
}

let files = 0;
function fileOf(yaml: string): string {
  const path = join(folder, `castellan-${files++}.yaml`);
  writeFileSync(path, yaml);
  return path;
}

async function fileComplaint(yaml: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const path = fileOf(yaml);
  return (await complaint({ ...env, CASTELLAN_CONFIG: path })).replace(path, 'castellan.yaml');
}

describe('environment', () => {
  test('an empty one gives the documented defaults', async () => {
    expect(await readConfig({})).toEqual({
      dataDir: join(process.cwd(), 'data'),
      databaseUrl: null,
      operatorKey: null,
      masterKey: null,
      previousMasterKey: null,
      runtime: { host: '127.0.0.1', port: 7878 },
      admin: { host: '127.0.0.1', port: 7979 },
      allowedHosts: [],
      allowedOrigins: [],
      logLevel: 'info',
      gateway: { holdTtlMs: 60_000, holdGraceMs: 5000, upstreamTimeoutMs: 600_000, drainMs: 30_000, maxBodyBytes: 33_554_432 },
      metrics: { token: null, isOpen: false, tenantLabels: false },
      traces: null,
      retention: DEFAULT_RETENTION,
      billing: { issuer: null, publicUrl: null, stripe: null },
      containers: NO_CONTAINERS,
      ingress: { host: '127.0.0.1', port: 8080 },
      ssh: { host: '127.0.0.1', port: 7822 },
      sshGateway: null,
      sealedKeys: { rotateEveryMs: 86_400_000, overlapMs: 3_600_000, recogniseMs: 604_800_000 },
      declared: null,
    });
  });

  test('CASTELLAN_HOST moves all listeners, and each can be moved alone', async () => {
    const config = await readConfig({ CASTELLAN_HOST: '127.0.0.2', CASTELLAN_ADMIN_HOST: 'localhost', CASTELLAN_RUNTIME_PORT: '0' });
    expect(config.runtime).toEqual({ host: '127.0.0.2', port: 0 });
    expect(config.admin).toEqual({ host: 'localhost', port: 7979 });
  });

  test('origins are taken as they are written', async () => {
    const { allowedOrigins } = await readConfig({ CASTELLAN_ALLOWED_ORIGINS: ' http://localhost:8080,https://a.example, ' });
    expect(allowedOrigins).toEqual(['http://localhost:8080', 'https://a.example']);
  });

  test('variables of other programs with our prefix are left alone', async () => {
    const foreign = { CASTELLAN_SERVICE_HOST: '10.0.0.1', CASTELLAN_PORT_7878_TCP_PROTO: 'tcp' };
    expect(await readConfig(foreign)).toEqual(await readConfig({}));
  });

  test.each([
    [
      'a misspelled name',
      { CASTELLAN_RUNTIME_PROT: '1' },
      'CASTELLAN_RUNTIME_PROT is not a variable of Castellan: rename it to CASTELLAN_RUNTIME_PORT, or unset it.',
    ],
    [
      'a port that is a word',
      { CASTELLAN_RUNTIME_PORT: 'http' },
      'CASTELLAN_RUNTIME_PORT is "http", which is no port: set a whole number from 0 to 65535 (0 takes any free port), or unset it for 7878.',
    ],
    [
      'a port out of range',
      { CASTELLAN_ADMIN_PORT: '65536' },
      'CASTELLAN_ADMIN_PORT is "65536", which is no port: set a whole number from 0 to 65535 (0 takes any free port), or unset it for 7979.',
    ],
    [
      'a port of a later listener',
      { CASTELLAN_SSH_PORT: '-1' },
      'CASTELLAN_SSH_PORT is "-1", which is no port: set a whole number from 0 to 65535 (0 takes any free port), or unset it for 7822.',
    ],
    [
      'one port for two listeners',
      { CASTELLAN_ADMIN_PORT: '7878' },
      'CASTELLAN_RUNTIME_PORT and CASTELLAN_ADMIN_PORT are both 7878: give each listener a port of its own.',
    ],
    [
      'a host that is none',
      { CASTELLAN_HOST: 'http://x' },
      'CASTELLAN_HOST is "http://x", which is no address: set an IP address or host name to listen on, such as 127.0.0.1 or 0.0.0.0.',
    ],
    [
      'a host name with a port',
      { CASTELLAN_ALLOWED_HOSTS: 'a.example, b.example:80' },
      'CASTELLAN_ALLOWED_HOSTS holds "b.example:80", which is no host name: list the names that clients use, without port, separated by commas.',
    ],
    [
      'an origin with a path',
      { CASTELLAN_ALLOWED_ORIGINS: 'http://localhost:8080, https://a.example/' },
      'CASTELLAN_ALLOWED_ORIGINS holds "https://a.example/", which is no origin: list them as browsers send them, such as http://localhost:8080, separated by commas.',
    ],
    [
      'every origin',
      { CASTELLAN_ALLOWED_ORIGINS: '*' },
      'CASTELLAN_ALLOWED_ORIGINS holds "*", which is no origin: list them as browsers send them, such as http://localhost:8080, separated by commas.',
    ],
    [
      'an unknown log level',
      { CASTELLAN_LOG_LEVEL: 'loud' },
      'CASTELLAN_LOG_LEVEL is "loud": set it to one of silent, error, warn, info, debug.',
    ],
    [
      'an operator key with a space',
      { ADMIN_API_KEY: 'a b' },
      'ADMIN_API_KEY holds spaces, control or non-ASCII characters, or is longer than 512: set a key of 1 to 512 visible ASCII characters.',
    ],
    [
      'a master key that is too short',
      { CASTELLAN_MASTER_KEY: 'c2hvcnQ=' },
      'CASTELLAN_MASTER_KEY is not 32 bytes in base64: set it to the output of `openssl rand -base64 32`.',
    ],
    [
      'a database of another kind',
      { DATABASE_URL: 'mysql://root:hunter2@db' },
      'DATABASE_URL is no PostgreSQL address: set it to one such as postgres://user:password@host:5432/database, or unset it for the embedded database.',
    ],
    [
      'a file that is not there',
      { CASTELLAN_CONFIG: '/nowhere/castellan.yaml' },
      'CASTELLAN_CONFIG names /nowhere/castellan.yaml, which cannot be read (ENOENT): correct the path or unset the variable.',
    ],
  ])('%s stops the start with one sentence', async (_case, env, sentence) => {
    expect(await complaint(env)).toBe(sentence);
  });

  describe('beyond loopback', () => {
    test.each([
      'short',
      'admin-bootstrap-key',
      'changemechangemechangemechangemechangeme',
      'a'.repeat(64),
      'admin-admin-admin-admin-admin-admin',
    ])('the weak operator key %j is refused', async (key) => {
      expect(await complaint({ CASTELLAN_HOST: '0.0.0.0', ADMIN_API_KEY: key })).toMatch(
        /^ADMIN_API_KEY is weak and the listener on 0\.0\.0\.0 can be reached/,
      );
      expect(await complaint({ CASTELLAN_ADMIN_HOST: '::', ADMIN_API_KEY: key })).toMatch(
        /^ADMIN_API_KEY is weak and the listener on :: can be reached/,
      );
    });

    test('a strong operator key is accepted, and on loopback a weak one is as well', async () => {
      expect((await readConfig({ CASTELLAN_HOST: '0.0.0.0', ADMIN_API_KEY: STRONG_KEY })).operatorKey).toBe(STRONG_KEY);
      expect((await readConfig({ CASTELLAN_HOST: '127.0.0.1', ADMIN_API_KEY: 'weak' })).operatorKey).toBe('weak');
    });
  });
});

const UPSTREAM = 'upstreams: [{ id: scw, base_url: "http://127.0.0.1:9001/v1" }]\n';

describe('configuration file', () => {
  test('reads every name of the documented example', async () => {
    const path = fileOf(`
gateway: { hold_ttl_ms: 30000, hold_grace_ms: 1000, upstream_timeout_ms: 1000, drain_ms: 0, max_body_bytes: 4096 }
upstreams:
  - { id: scw, base_url: "http://127.0.0.1:9001/v1/", api_key: "\${SCW_KEY}", provider: scaleway, region: fr, eu_native: true, quantized: false, retention_days: 0 }
  - { id: enclave, api_key: "\${TF_KEY}", provider: tinfoil, sealed: { enclave_urls: ["http://127.0.0.1:9100"], attestation_url: "http://127.0.0.1:9100/attestation", max_output_tokens: 32768 } }
models:
  - id: gpt-oss-120b
    upstreams: [{ id: scw, model: gpt-oss-120b, price: { input_per_1m: 0.15, output_per_1m: 0.60, cached_input_per_1m: 0.075, per_request: 0 } }]
    price: { input_per_1m: 0.15, output_per_1m: 0.60 }
    context_tokens: 131072
    max_output_tokens: 32768
    default_output_tokens: 4096
    output_limit_field: max_tokens
    tokenizer: o200k_base
    prompt_overhead_tokens: 256
    margin_percent: 10
    max_image_tokens: 2048
    tags: [Instruct, Tools]
tenants: [{ id: acme, name: Acme, entitlements: { token_billing: true }, members: [{ id: ann, email: ann@example.com, role: admin }], money_budget_usd: 50 }]
usage_reporters: [{ id: model-router, secret: "\${REPORTER_SECRET}", tenants: [acme] }]
hosts: [{ name: default-host, docker: "unix:///var/run/docker.sock", address: 127.0.0.1, gpus: [], default: true }]
sources: { github: { base_url: "https://api.github.com", token: "\${GITHUB_TOKEN}" }, git: [{ owner: acme, base_url: "file:///srv/git/acme" }] }
registries: { ghcr: ghcr.io, gcr: gcr.io, dockerhub: docker.io, allow: [] }
ingress: { base_domain: containers.localhost }
dns: { servers: [] }
`);
    const env = { CASTELLAN_CONFIG: path, SCW_KEY: 'scw-1', TF_KEY: 'tf-1', REPORTER_SECRET: 'r', GITHUB_TOKEN: 'g' };
    const { declared, gateway } = await readConfig(env);
    expect(gateway).toEqual({ holdTtlMs: 30_000, holdGraceMs: 1000, upstreamTimeoutMs: 1000, drainMs: 0, maxBodyBytes: 4096 });
    expect(declared?.upstreams[0]).toMatchObject({
      id: 'scw',
      kind: 'openai',
      baseUrl: 'http://127.0.0.1:9001/v1',
      apiKey: 'scw-1',
      retentionDays: 0,
      sealed: null,
    });
    expect(declared?.upstreams[1]).toMatchObject({
      id: 'enclave',
      baseUrl: '',
      sealed: {
        enclaveUrls: ['http://127.0.0.1:9100'],
        attestationUrl: 'http://127.0.0.1:9100/attestation',
        maxOutputTokens: 32_768,
      },
    });
    expect(declared?.models[0]).toMatchObject({ id: 'gpt-oss-120b', tokenizer: 'o200k_base', maxImageTokens: 2048, maxAudioTokens: null });
    expect(declared?.models[0]?.prices).toEqual([
      { upstreamId: null, rates: { inputNanos: 150n, outputNanos: 600n, cachedInputNanos: null, requestNanos: 0n } },
      { upstreamId: 'scw', rates: { inputNanos: 150n, outputNanos: 600n, cachedInputNanos: 75n, requestNanos: 0n } },
    ]);
    expect(declared?.tenants[0]).toMatchObject({
      id: 'acme',
      entitlements: { tokenBilling: true },
      moneyBudgetMicrocents: 5_000_000_000n,
      requireBudget: undefined,
    });
    expect(declared?.containers.sources).toEqual({
      github: { baseUrl: 'https://api.github.com', token: 'g', needsAssets: false, app: null },
      git: [{ owner: 'acme', baseUrl: 'file:///srv/git/acme' }],
    });
    expect(declared?.containers.dns).toMatchObject({ checkEveryMs: 3_600_000, lostAfterMs: 86_400_000 });
  });

  test.each([
    ['', { github: { baseUrl: 'https://api.github.com', token: null, needsAssets: false, app: null }, git: [] }],
    ['sources: {}', { github: null, git: [] }],
    ['sources: { github: {} }', { github: { baseUrl: 'https://api.github.com', token: null, needsAssets: false, app: null }, git: [] }],
    ['sources: { git: [{ owner: a, base_url: "ssh://git@h/a" }] }', { github: null, git: [{ owner: 'a', baseUrl: 'ssh://git@h/a' }] }],
  ])('%j says where releases come from', async (text, sources) => {
    const { declared } = await readConfig({ CASTELLAN_CONFIG: fileOf(`${text}\n`) });
    expect(declared?.containers.sources).toEqual(sources);
  });

  test.each([
    ['sources: { git: [{ owner: "../x", base_url: "file:///srv" }] }', 'sources.git[0].owner'],
    ['sources: { git: [{ owner: a, base_url: "file:///srv" }, { owner: A, base_url: "file:///srv" }] }', 'is there twice'],
    ['sources: { git: [{ owner: a, base_url: "ext::sh -c x" }] }', 'file://, https://, http:// or ssh://'],
    ['sources: { git: [{ owner: a, base_url: "--upload-pack=x" }] }', 'file://, https://, http:// or ssh://'],
    ['sources: { github: { base_url: "ftp://x" } }', 'https:// or http://'],
    ['sources: { gitlab: {} }', 'gitlab'],
  ])('%j is refused', async (text, told) => {
    await expect(readConfig({ CASTELLAN_CONFIG: fileOf(`${text}\n`) })).rejects.toThrow(told);
  });

  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  const APP = 'owners: [{ owner: Acme, tenants: [default, other] }], private_key: "${APP_KEY}"';
  const OWNERS = [{ owner: 'Acme', tenants: ['default', 'other'] }];

  test.each([
    [`id: 12, ${APP}`, { id: '12', owners: OWNERS, webhookSecrets: [], pollMs: 60_000 }],
    [`id: "Iv23.x", webhook_secret: sixteen-letters-, ${APP}`, { id: 'Iv23.x', webhookSecrets: ['sixteen-letters-'], pollMs: 900_000 }],
    [`id: 12, webhook_secrets: [sixteen-letters-, sixteen-numbers-], poll_ms: 200, ${APP}`, { pollMs: 200 }],
  ])('the App %j is read, its key in whatever form GitHub and environments have it', async (app, read) => {
    const file = fileOf(`sources: { github: { deployment_assets: required, app: { ${app} } } }\n`);
    for (const key of [privateKey, privateKey.replaceAll('\n', String.raw`\n`)]) {
      const { declared } = await readConfig({ CASTELLAN_CONFIG: file, APP_KEY: key });
      expect(declared?.containers.sources.github).toMatchObject({ needsAssets: true, app: read });
      expect(declared?.containers.sources.github?.app?.privateKey).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    }
  });

  test.each([
    [APP, 'app.id is missing'],
    [`id: 0, ${APP}`, 'app.id must be'],
    [`id: "1 2", ${APP}`, 'app.id must be'],
    ['id: 1, private_key: "${APP_KEY}"', 'app.owners must name an owner'],
    ['id: 1, private_key: "${APP_KEY}", owners: [{ owner: a, tenants: [] }]', 'owners[0].tenants must name a tenant'],
    ['id: 1, private_key: "${APP_KEY}", owners: [{ owner: a, tenants: [b] }, { owner: A, tenants: [c] }]', 'is there twice'],
    ['id: 1, owners: [{ owner: a, tenants: [b] }]', 'app.private_key is missing'],
    ['id: 1, private_key: "hunter2", owners: [{ owner: a, tenants: [b] }]', 'app.private_key must be the private key of the App'],
    ['id: 1, private_key_file: /nowhere/at/all, owners: [{ owner: a, tenants: [b] }]', 'cannot be read (ENOENT)'],
    [`id: 1, private_key_file: /x, ${APP}`, 'stands beside private_key'],
    [`id: 1, webhook_secret: short, ${APP}`, 'a secret of 16 to 256'],
    [`id: 1, webhook_secrets: [${'sixteen-letters-,'.repeat(3)}], ${APP}`, 'must hold one secret or'],
    [`id: 1, webhook_secret: sixteen-letters-, webhook_secrets: [sixteen-letters-], ${APP}`, 'stands beside webhook_secret'],
    [`id: 1, poll_ms: 199, ${APP}`, 'poll_ms'],
  ])('the App %j is refused, and no secret of it shown', async (app, told) => {
    const said = await fileComplaint(`sources: { github: { app: { ${app} } } }\n`, { APP_KEY: privateKey });
    expect(said).toContain(told);
    expect(said).not.toMatch(/hunter2|PRIVATE KEY|"short"/);
  });

  const SSH = { port: null, isForwarding: false, idleMs: 3_600_000, maxConnections: 200, maxPerSource: 20 };
  test.each([
    ['', {}, null, 7822],
    ['ssh:', {}, SSH, 7822],
    ['ssh: {}', { CASTELLAN_SSH_PORT: '2222' }, SSH, 2222],
    ['', { CASTELLAN_SSH_PORT: '2222' }, SSH, 2222],
    ['ssh: { port: 2200 }', {}, { ...SSH, port: 2200 }, 2200],
    ['ssh: { port: 2200 }', { CASTELLAN_SSH_PORT: '2222' }, { ...SSH, port: 2200 }, 2222],
    [
      'ssh: { forwarding: true, idle_ms: 1000, max_connections: 9, max_connections_per_source: 3 }',
      {},
      { port: null, isForwarding: true, idleMs: 1000, maxConnections: 9, maxPerSource: 3 },
      7822,
    ],
  ])('%j with %j says whether and where there are shells', async (text, env, gateway, port) => {
    const config = await readConfig({ CASTELLAN_CONFIG: fileOf(`${text}\n`), ...env });
    expect([config.sshGateway, config.ssh]).toEqual([gateway, { host: '127.0.0.1', port }]);
  });

  test.each([
    ['ssh: { port: 65536 }', 'ssh.port must be'],
    ['ssh: { port: 7878 }', 'CASTELLAN_RUNTIME_PORT and CASTELLAN_SSH_PORT are both 7878'],
    ['ssh: { forwarding: "yes" }', 'ssh.forwarding must be'],
    ['ssh: { idle_ms: 0 }', 'ssh.idle_ms must be'],
    ['ssh: { host: 127.0.0.1 }', 'ssh.host is not a known name'],
    ['ssh: true', 'ssh must be'],
  ])('%j is refused', async (text, told) => {
    await expect(readConfig({ CASTELLAN_CONFIG: fileOf(`${text}\n`) })).rejects.toThrow(told);
  });

  test('an empty file declares nothing', async () => {
    const { declared } = await readConfig({ CASTELLAN_CONFIG: fileOf('# nothing yet\n') });
    expect(declared).toMatchObject({ upstreams: [], models: [], tenants: [] });
  });

  test('${NAME} stands for a variable inside a text, in numbers and in switches, and $$ for a dollar sign', async () => {
    const path = fileOf(`
gateway: { drain_ms: "\${DRAIN}" }
upstreams: [{ id: a, base_url: "http://\${HOST}:9001/v1", eu_native: "\${EU}", provider: "$$5" }]
`);
    const { declared } = await readConfig({ CASTELLAN_CONFIG: path, DRAIN: '250', HOST: 'up.example', EU: 'true' });
    expect(declared?.gateway.drainMs).toBe(250);
    expect(declared?.upstreams[0]).toMatchObject({ baseUrl: 'http://up.example:9001/v1', euNative: true, provider: '$5' });
  });

  test('a variable adds no structure to the file', async () => {
    const path = fileOf('upstreams: [{ id: a, base_url: "http://x/v1", provider: "${P}" }]');
    const { declared } = await readConfig({ CASTELLAN_CONFIG: path, P: 'x", eu_native: true, region: "y' });
    expect(declared?.upstreams[0]).toMatchObject({ provider: 'x", eu_native: true, region: "y', euNative: false, region: null });
  });

  test('tells which fields it declares, and only those', async () => {
    const path = fileOf(
      `${UPSTREAM}models: [{ id: m, upstreams: [{ id: scw, price: { input_per_1m: 1, output_per_1m: 2 } }], tags: [] }]\ntenants: [{ id: acme, entitlements: { max_keys: 5 }, members: [{ id: ann, email: a@b.c }] }]`,
    );
    const { declared } = await readConfig({ CASTELLAN_CONFIG: path });
    const fields = makeDeclaredFields(declared);
    for (const [kind, id, field] of [
      ['upstream', 'scw', 'base_url'],
      ['upstream', 'scw', 'id'],
      ['model', 'm', 'tags'],
      ['price', 'm@scw', 'id'],
      ['tenant', 'acme', 'entitlements.max_keys'],
      ['member', 'acme/ann', 'email'],
    ] as const) {
      expect(fields.isDeclared(kind, id, field), `${kind} ${id} ${field}`).toBe(path);
    }
    for (const [kind, id, field] of [
      ['upstream', 'scw', 'region'],
      ['upstream', 'other', 'base_url'],
      ['price', 'm', 'id'],
      ['tenant', 'acme', 'money_budget_usd'],
      ['tenant', 'acme', 'entitlements.max_gpus'],
      ['member', 'acme/ann', 'role'],
    ] as const) {
      expect(fields.isDeclared(kind, id, field), `${kind} ${id} ${field}`).toBeNull();
    }
    expect(makeDeclaredFields(null).isDeclared('tenant', 'acme', 'id')).toBeNull();
  });

  const model = (fields: string): string => `${UPSTREAM}models: [{ id: m, upstreams: [{ id: scw }], ${fields} }]`;
  test.each([
    ['broken YAML', 'upstreams: [', /^castellan\.yaml:1: the file is not valid YAML \(.+\); correct the line\.$/],
    ['a name twice', 'dns: {}\ndns: {}', 'castellan.yaml:2: the file is not valid YAML (Map keys must be unique); correct the line.'],
    ['a list for the file', '- a', 'castellan.yaml:1: the file must be a mapping of names to values, but is a list.'],
    [
      'an unknown section',
      '\nupstream: []',
      'castellan.yaml:2: upstream is not a known name; write upstreams if you meant that, or remove it.',
    ],
    ['a name like nothing', 'zzzzzz: 1', /^castellan\.yaml:1: zzzzzz is not a known name; known here are gateway, upstreams, /],
    [
      'an unknown field',
      'gateway:\n  hold_ttl: 5',
      'castellan.yaml:2: gateway.hold_ttl is not a known name; write hold_ttl_ms if you meant that, or remove it.',
    ],
    [
      'a number out of range',
      'gateway: { hold_ttl_ms: 5 }',
      'castellan.yaml:1: gateway.hold_ttl_ms must be a whole number from 1000 to 86400000, but is 5.',
    ],
    [
      'a fraction',
      'gateway: { drain_ms: 1.5 }',
      'castellan.yaml:1: gateway.drain_ms must be a whole number from 0 to 3600000, but is 1.5.',
    ],
    [
      'a mapping for a list',
      'upstreams: { id: a }',
      'castellan.yaml:1: upstreams must be a list, but is a mapping; start each item with "- ".',
    ],
    [
      'an upstream without address',
      'upstreams:\n  - id: a',
      'castellan.yaml:2: upstreams[0].base_url is missing; it must be a text of 1 to 1000 characters.',
    ],
    [
      'an address of another kind',
      'upstreams: [{ id: a, base_url: "ftp://u:p@x" }]',
      'castellan.yaml:1: upstreams[0].base_url must be an http:// or https:// address such as "https://api.example.com/v1".',
    ],
    [
      'a password in an address',
      'upstreams: [{ id: a, base_url: "http://u:hunter2@x/v1" }]',
      'castellan.yaml:1: upstreams[0].base_url must not hold a user or password; put the credential into api_key.',
    ],
    [
      'a credential that is a number',
      'upstreams: [{ id: a, base_url: "http://x", api_key: 123456 }]',
      'castellan.yaml:1: upstreams[0].api_key must be a credential of visible ASCII characters; put it in quotes.',
    ],
    [
      'an upstream twice',
      'upstreams:\n  - { id: a, base_url: "http://x" }\n  - { id: a, base_url: "http://y" }',
      'castellan.yaml:3: upstreams[1].id is "a" for the second time; give each one an id of its own.',
    ],
    [
      'a model of an unknown upstream',
      `${UPSTREAM}models:\n  - { id: m, upstreams: [{ id: scv }] }`,
      'castellan.yaml:3: models[0].upstreams[0].id names the upstream "scv", which is not declared; write "scw" if you meant that, or add it under upstreams.',
    ],
    [
      'a model without upstream',
      'models: [{ id: m }]',
      'castellan.yaml:1: models[0].upstreams must list at least one upstream, such as { id: my-upstream }.',
    ],
    [
      'one upstream twice in a model',
      `${UPSTREAM}models: [{ id: m, upstreams: [{ id: scw }, { id: scw }] }]`,
      'castellan.yaml:2: models[0].upstreams[1].id is "scw" for the second time; give each one an id of its own.',
    ],
    [
      'a negative price',
      model('price: { input_per_1m: -1, output_per_1m: 1 }'),
      'castellan.yaml:2: models[0].price.input_per_1m must be a decimal number that is at least 0, in USD.',
    ],
    [
      'half a price',
      model('price: { input_per_1m: 1 }'),
      'castellan.yaml:2: models[0].price.output_per_1m is missing; it must be a price in USD, such as 0.15.',
    ],
    [
      'an unknown tokenizer',
      model('tokenizer: o300k'),
      'castellan.yaml:2: models[0].tokenizer must be one of o200k_base, cl100k_base, but is "o300k".',
    ],
    [
      'a default above the maximum',
      model('max_output_tokens: 10, default_output_tokens: 20'),
      'castellan.yaml:2: models[0].default_output_tokens is 20, more than max_output_tokens (10); lower it or raise max_output_tokens.',
    ],
    [
      'a tenant in capitals',
      'tenants: [{ id: Acme }]',
      'castellan.yaml:1: tenants[0].id must be an id of 1 to 64 lower-case letters, digits and hyphens that starts and ends with a letter or digit, but is "Acme".',
    ],
    [
      'a budget below zero',
      'tenants: [{ id: acme, money_budget_usd: -1 }]',
      'castellan.yaml:1: tenants[0].money_budget_usd must be an amount in USD that is at least 0, such as 50 or "12.50".',
    ],
    [
      'a budget that is too fine',
      'tenants: [{ id: acme, money_budget_usd: 0.123456789 }]',
      'castellan.yaml:1: tenants[0].money_budget_usd must have at most 8 decimals.',
    ],
    [
      'a budget beyond 64 bits',
      'tenants: [{ id: acme, money_budget_usd: 1e12 }]',
      'castellan.yaml:1: tenants[0].money_budget_usd must be at most 92233720368.54775807.',
    ],
    [
      'an entitlement that is a word',
      'tenants: [{ id: acme, entitlements: { token_billing: on please } }]',
      'castellan.yaml:1: tenants[0].entitlements.token_billing must be true or false, but is "on please".',
    ],
    [
      'an unknown role',
      'tenants: [{ id: acme, members: [{ id: a, email: a@b.c, role: owner }] }]',
      'castellan.yaml:1: tenants[0].members[0].role must be one of admin, member, but is "owner".',
    ],
    [
      'a reporter of an unknown tenant',
      'usage_reporters: [{ id: r, secret: s, tenants: [nobody] }]',
      'castellan.yaml:1: usage_reporters[0].tenants[0] names the tenant "nobody", which is not declared; add it under tenants.',
    ],
    [
      'a reference to a variable that is not set',
      'upstreams: [{ id: a, base_url: "http://x", api_key: "${NOT_SET}" }]',
      'castellan.yaml:1: upstreams[0].api_key refers to the environment variable NOT_SET, which is not set; set it or remove the reference.',
    ],
    [
      'a reference without a name',
      'dns: { servers: ["${1 2}"] }',
      'castellan.yaml:1: dns.servers[0] refers to "${1 2}", which is not the name of a variable; write $$ for a dollar sign.',
    ],
    ['a prototype key', 'gateway: { __proto__: 1 }', /^castellan\.yaml:1: gateway\.__proto__ is not a known name; known here are /],
  ])('%s stops the start with one sentence', async (_case, yaml, sentence) => {
    const message = await fileComplaint(yaml);
    if (typeof sentence === 'string') expect(message).toBe(sentence);
    else expect(message).toMatch(sentence);
    expect(message).not.toContain('\n');
    expect(message).not.toContain('hunter2');
  });

  test('what came from the environment is never shown', async () => {
    const message = await fileComplaint('gateway: { drain_ms: "${SECRET}" }', { SECRET: 'hunter2' });
    expect(message).toBe('castellan.yaml:1: gateway.drain_ms must be a whole number from 0 to 3600000, but is what ${SECRET} stands for.');
  });
});
