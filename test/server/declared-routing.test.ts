import { writeFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { MODEL_ALIASES, type Upstream } from '../../src/core/records.ts';
import { readConfig } from '../../src/server/config.ts';
import { makeTestFolder, type TestFolder } from './in-process.ts';

let folder: TestFolder = makeTestFolder();
afterEach(async () => {
  await folder.dispose();
  folder = makeTestFolder();
});

const FILE = `
upstreams:
  - { id: one, base_url: "http://127.0.0.1:9/v1", headers: { X-Team: castle, Authorization: "Basic \${SECRET}" } }
  - { id: two, base_url: "http://127.0.0.1:9/v1", api_key: "sk-two" }
models:
  - { id: big, upstreams: [{ id: one, weight: 3 }, { id: two, model: great, weight: 0 }], aliases: [best, large] }
  - { id: small, upstreams: [{ id: two }], aliases: [tiny] }
`;
const ENV = { SECRET: 'castle-canary' };

/** Starts with a file, stops, and gives the notices of that start. */
async function startWith(yaml: string, env: NodeJS.ProcessEnv = ENV): Promise<readonly string[]> {
  const running = await folder.start({ yaml, env });
  await running.stop();
  return running.prepared.notices.map((notice) => notice.replaceAll(folder.configPath, 'castellan.yaml'));
}

const upstream = (id: string): Promise<Upstream | undefined> => folder.withStore((store) => store.record('upstream', id));
const aliasesOf = (id: string): Promise<readonly string[] | undefined> =>
  folder.withStore(async (store) => (await store.record('model', id))?.aliases);

/** The sentence that stops a start with this file. */
async function complaint(yaml: string): Promise<string> {
  writeFileSync(folder.configPath, yaml);
  const error: unknown = await readConfig({ ...ENV, CASTELLAN_CONFIG: folder.configPath }).then(
    () => 'accepted',
    (thrown: unknown) => thrown,
  );
  return (error as Error).message.replaceAll(folder.configPath, 'castellan.yaml');
}

test('the file declares weights, aliases and headers, whose values are sealed', async () => {
  expect(await startWith(FILE)).toEqual([]);
  await folder.withStore(async (store) => {
    expect(await store.record('model', 'big')).toMatchObject({
      upstreams: [
        { id: 'one', model: 'big', weight: 3 },
        { id: 'two', model: 'great', weight: 0 },
      ],
      aliases: ['best', 'large'],
    });
    expect((await store.record('model', 'small'))?.upstreams).toEqual([{ id: 'two', model: 'small' }]);
    expect(await store.record('setting', MODEL_ALIASES)).toMatchObject({ value: { best: 'big', large: 'big', tiny: 'small' } });
  });
  const one = await upstream('one');
  expect(one?.headerNames).toEqual(['X-Team', 'Authorization']);
  expect(JSON.stringify(one)).not.toMatch(/castle/);
  expect((await upstream('two'))?.headerNames).toEqual([]);
});

test('a start with an unchanged file changes nothing', async () => {
  await startWith(FILE);
  const before = await folder.withStore((store) => store.generation());
  await startWith(FILE);
  expect(await folder.withStore((store) => store.generation())).toBe(before);
});

test('changed headers are sealed anew, headers that leave the file stay, and an empty mapping takes them away', async () => {
  await startWith(FILE);
  const first = await upstream('one');
  await startWith(FILE, { SECRET: 'another' });
  const second = await upstream('one');
  expect(second?.headersSealed).not.toBe(first?.headersSealed);
  const without = FILE.replace(/, headers: \{ X-Team.*?\} \}/, ' }');
  expect(await startWith(without)).toEqual([
    'castellan.yaml no longer names headers of the upstream one: it keeps its value, and the operator API may now change it.',
  ]);
  expect((await upstream('one'))?.headersSealed).toBe(second?.headersSealed);
  await startWith(FILE.replace(/headers: \{ X-Team.*?\} \}/, 'headers: {} }'));
  expect(await upstream('one')).toMatchObject({ headerNames: [], headersSealed: null });
});

test('aliases move from model to model as the file says, also crosswise, and may become the id of a new model', async () => {
  await startWith(FILE);
  await startWith(FILE.replace('[best, large]', '[tiny]').replace('[tiny] }\n', '[best, large] }\n'));
  const swapped = FILE.replace('aliases: [best, large]', 'aliases: [tiny]').replace(/aliases: \[tiny\] \}\n$/, 'aliases: [best] }\n');
  await startWith(swapped);
  expect([await aliasesOf('big'), await aliasesOf('small')]).toEqual([['tiny'], ['best']]);
  await startWith(`${swapped}  - { id: large, upstreams: [{ id: two }] }\n`);
  expect(await aliasesOf('large')).toEqual([]);
});

test('an alias that the API gave to a model outside of the file stops the start with a sentence', async () => {
  const running = await folder.start({ yaml: FILE, env: ENV });
  const made = await fetch(`${running.listeners.admin.origin}/v1/x-castellan/models`, {
    method: 'POST',
    headers: { 'x-admin-api-key': running.prepared.credentials.operator_key, 'content-type': 'application/json' },
    body: JSON.stringify({ id: 'other', upstreams: [{ id: 'two' }], aliases: ['mine'] }),
  });
  expect(made.status).toBe(201);
  await running.stop();
  await expect(startWith(FILE.replace('[tiny]', '[tiny, mine]'))).rejects.toThrow('mine is an alias of the model other already');
});

test.each([
  [
    'an alias twice',
    FILE.replace('[tiny]', '[best]'),
    'castellan.yaml:7: models[1].aliases[0] is "best" for the second time; give each one an id of its own.',
  ],
  [
    'an alias that is an id further down',
    FILE.replace('[best, large]', '[small]'),
    'castellan.yaml:6: models[0].aliases[0] is "small" for the second time; give each one an id of its own.',
  ],
  [
    'a weight below 0',
    FILE.replace('weight: 3', 'weight: -3'),
    'castellan.yaml:6: models[0].upstreams[0].weight must be a whole number from 0 to 1000000, but is -3.',
  ],
  [
    'no weight above 0',
    FILE.replace('weight: 3', 'weight: 0'),
    'castellan.yaml:6: models[0].upstreams must give at least one upstream a weight above 0.',
  ],
  [
    'a header of the connection',
    FILE.replace('X-Team: castle', 'Host: castle'),
    'castellan.yaml:3: upstreams[0].headers must not hold host: that header belongs to the connection or to the body.',
  ],
  [
    'a value with a line break, without showing it',
    FILE.replace('X-Team: castle', 'X-Team: "castle\\r\\nX-B: c"'),
    'castellan.yaml:3: upstreams[0].headers must give X-Team a value of 1 to 4096 visible ASCII characters, with blanks inside only.',
  ],
  [
    'authorization beside an api_key',
    FILE.replace('api_key: "sk-two"', 'api_key: "sk-two", headers: { authorization: a }'),
    'castellan.yaml:4: upstreams[1].headers holds authorization beside an api_key, and nobody could tell which one counts; remove one of them.',
  ],
  [
    'a key of which nothing is said',
    'tenants: [{ id: acme, keys: [{ id: key_1 }] }]',
    'castellan.yaml:1: tenants[0].keys[0] says nothing of the key; name output_bound, allowed_models, levels, caller_levels or rate_limits.',
  ],
  [
    'limits of a key that limit nothing',
    'tenants: [{ id: acme, keys: [{ id: key_1, rate_limits: {} }] }]',
    'castellan.yaml:1: tenants[0].keys[0].rate_limits must give requests_per_minute or tokens_per_minute, or be null.',
  ],
  [
    'a limit of 0',
    'upstreams: [{ id: up, kind: demo, rate_limits: { tokens_per_minute: 0 } }]',
    'castellan.yaml:1: upstreams[0].rate_limits.tokens_per_minute must be a whole number from 1 to 1000000000000, but is 0.',
  ],
  [
    'an unknown bound of a key',
    'tenants: [{ id: acme, keys: [{ id: key_1, output_bound: none }] }]',
    'castellan.yaml:1: tenants[0].keys[0].output_bound must be one of hard, soft, but is "none".',
  ],
])('%s stops the start', async (_name, yaml, expected) => {
  expect(await complaint(yaml)).toBe(expected);
});

test('the file sets what a key may call and how its output is bounded, and has the last word on that', async () => {
  const first = await folder.start({ yaml: FILE, env: ENV });
  const { tenant = '', demo_key: demoKey } = first.prepared.credentials;
  await first.stop();
  const [key] = await folder.withStore((store) => store.keys({ tenantId: tenant, kinds: ['inference'] }));
  const keyId = key?.id ?? '';
  const withKey = `${FILE}tenants: [{ id: ${tenant}, keys: [{ id: ${keyId}, output_bound: soft, allowed_models: [small], rate_limits: { requests_per_minute: 9 } }, { id: key_none, output_bound: soft }] }]\n`;

  const running = await folder.start({ yaml: withKey, env: ENV });
  expect(running.prepared.notices).toEqual([
    `${folder.configPath}: there is no key key_none; what the file says of it waits until there is one.`,
  ]);
  const ask = (method: string, body?: object): Promise<Response> =>
    fetch(`${running.listeners.admin.origin}/v1/x-castellan/keys/${keyId}`, {
      method,
      headers: { 'x-admin-api-key': running.prepared.credentials.operator_key, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  expect(await (await ask('GET')).json()).toMatchObject({
    output_bound: 'soft',
    allowed_models: ['small'],
    rate_limits: { requests_per_minute: 9, tokens_per_minute: null },
  });
  const models = await fetch(`${running.listeners.runtime.origin}/v1/models`, { headers: { authorization: `Bearer ${demoKey}` } });
  expect(((await models.json()) as { data: { id: string }[] }).data.map(({ id }) => id)).toEqual(['small', 'tiny']);
  for (const body of [{ output_bound: 'hard' }, { allowed_models: null }, { rate_limits: null }]) {
    const refused = await ask('PATCH', body);
    expect(refused.status).toBe(409);
    expect(await refused.text()).toContain(folder.configPath);
  }
  expect((await ask('PATCH', { disabled: true })).status).toBe(200);
  await running.stop();

  const generation = await folder.withStore((store) => store.generation());
  await startWith(withKey);
  expect(await folder.withStore((store) => store.generation())).toBe(generation);

  const notices = await startWith(withKey.replace('output_bound: soft, allowed_models: [small]', 'output_bound: hard'));
  expect(notices).toContain(
    `castellan.yaml no longer names allowed_models of the key ${keyId}: it keeps its value, and the operator API may now change it.`,
  );
  expect(await folder.withStore((store) => store.record('key', keyId))).toMatchObject({ outputBound: 'hard', allowedModels: ['small'] });
});
