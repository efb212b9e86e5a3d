import { afterEach, expect, test } from 'vitest';
import { rfc3339Nano, signedDelivery } from '../support/report-client.ts';
import { makeTestFolder, type TestFolder } from './in-process.ts';
import type { Running } from '../../src/server/boot.ts';

let folder: TestFolder = makeTestFolder();
afterEach(async () => {
  await folder.dispose();
  folder = makeTestFolder();
});

const file = (reporters: string): string => `
tenants: [{ id: acme }, { id: other }]
${reporters}`;

const ONE = file('usage_reporters: [{ id: model-router, secret: "${REPORTER_SECRET}", tenants: [acme] }]');

const start = (yaml: string, secret = 'first-secret'): Promise<Running> => folder.start({ yaml, env: { REPORTER_SECRET: secret } });

/** Sends an empty report that is signed with `secret`. */
async function statusOf(running: Running, secret: string): Promise<number> {
  const { path, method, headers, body } = signedDelivery({ reporterId: 'model-router', secret, nowMs: Date.now(), events: [] });
  return (await fetch(`${running.listeners.admin.origin}${path}`, { method, headers, body })).status;
}

test('a declared reporter may report from the first start on; its secret is sealed', async () => {
  const running = await start(ONE);
  expect(running.prepared.notices).toEqual([]);
  expect([await statusOf(running, 'first-secret'), await statusOf(running, 'wrong')]).toEqual([200, 401]);
  await running.stop();
  await folder.withStore(async (store) => {
    const reporter = await store.record('usage-reporter', 'model-router');
    expect(reporter).toMatchObject({ id: 'model-router', tenants: ['acme'], previous: null });
    expect(JSON.stringify(reporter)).not.toContain('first-secret');
  });
});

test('a start with an unchanged file changes nothing; a changed secret, tenant or secret before it is the one that counts', async () => {
  const generation = (): Promise<number> => folder.withStore((store) => store.generation());
  await (await start(ONE)).stop();
  const before = await generation();
  await (await start(ONE)).stop();
  expect(await generation()).toBe(before);

  let running = await start(ONE, 'second-secret');
  expect([await statusOf(running, 'first-secret'), await statusOf(running, 'second-secret')]).toEqual([401, 200]);
  await running.stop();

  const both = ONE.replace('tenants: [acme] }]', 'previous_secret: first-secret, tenants: [acme, other] }]');
  running = await start(both, 'second-secret');
  expect([await statusOf(running, 'first-secret'), await statusOf(running, 'second-secret')]).toEqual([200, 200]);
  await running.stop();
  const changed = await generation();
  await (await start(both, 'second-secret')).stop();
  expect(await generation()).toBe(changed);
  await folder.withStore(async (store) => {
    expect(await store.record('usage-reporter', 'model-router')).toMatchObject({ tenants: ['acme', 'other'], previous: { untilMs: null } });
  });

  running = await start(ONE, 'second-secret');
  expect([await statusOf(running, 'first-secret'), await statusOf(running, 'second-secret')]).toEqual([401, 200]);
});

test('the API may not change what the file declares; what leaves the file stays, and is told', async () => {
  const running = await start(ONE);
  const url = `${running.listeners.admin.origin}/v1/x-castellan/usage-reporters/model-router`;
  const headers = { 'x-admin-api-key': running.prepared.credentials.operator_key, 'content-type': 'application/json' };
  for (const body of [{ tenants: ['other'] }, { rotate_secret: true }]) {
    expect((await fetch(url, { method: 'PATCH', headers, body: JSON.stringify(body) })).status).toBe(409);
  }
  expect((await fetch(url, { method: 'DELETE', headers: { 'x-admin-api-key': headers['x-admin-api-key'] } })).status).toBe(409);
  await running.stop();

  const later = await start(file(''));
  expect(later.prepared.notices.map((notice) => notice.replaceAll(folder.configPath, 'castellan.yaml'))).toEqual([
    'castellan.yaml no longer names the usage reporter model-router: it stays as it was, and the operator API may now change or remove it.',
  ]);
  expect(await statusOf(later, 'first-secret')).toBe(200);
});

test.each([
  [
    'a tenant that is not declared',
    '[{ id: r, secret: s, tenants: [nobody] }]',
    'usage_reporters[0].tenants[0] names the tenant "nobody", which is not declared; add it under tenants',
  ],
  ['no tenants', '[{ id: r, secret: s }]', 'usage_reporters[0].tenants is missing; it must list the tenants that it reports for'],
  ['a tenant twice', '[{ id: r, secret: s, tenants: [acme, acme] }]', 'usage_reporters[0].tenants[1] is "acme" for the second time'],
  ['no secret', '[{ id: r, tenants: [acme] }]', 'usage_reporters[0].secret is missing'],
  [
    'two of one id',
    '[{ id: r, secret: s, tenants: [acme] }, { id: r, secret: s, tenants: [acme] }]',
    'usage_reporters[1].id is "r" for the second time',
  ],
  ['a misspelt name', '[{ id: r, secret: s, tenant: [acme] }]', 'usage_reporters[0].tenant is not a known name; write tenants'],
  [
    'a secret with a line break',
    '[{ id: r, secret: "a\\nhidden", tenants: [acme] }]',
    'usage_reporters[0].secret must be a secret of 1 to 512',
  ],
])('a file with %s stops the start with a sentence that says so, and shows no secret', async (_what, section, sentence) => {
  const failed = folder.start({ yaml: file(`usage_reporters: ${section}`) });
  await expect(failed).rejects.toThrow(sentence);
  await expect(failed).rejects.not.toThrow(/hidden/);
});

test('the timestamps of the client are read to the nanosecond', () => {
  expect([rfc3339Nano(1_775_649_600_000), rfc3339Nano(1_775_649_600_120)]).toEqual(['2026-04-08T12:00:00Z', '2026-04-08T12:00:00.12Z']);
});
