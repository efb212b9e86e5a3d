import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { secretRecordId } from '../../src/core/containers/secret-records.ts';
import { sealIdentity } from '../../src/core/records.ts';
import type { Running } from '../../src/server/boot.ts';
import { makeAesSecretBox, masterKeyOf, sealingKeyOf } from '../../src/server/secrets/aes-secret-box.ts';
import { makeDataKeys } from '../../src/server/secrets/data-keys.ts';
import { makeTestFolder } from './in-process.ts';

const folder = makeTestFolder();
afterAll(() => folder.dispose());

const VALUE = 'value-that-stands-nowhere';

async function ask(running: Running, method: string, path: string, body?: unknown): Promise<void> {
  const { admin_key: adminKey, operator_key: operatorKey } = running.prepared.credentials;
  const answer = await fetch(`${running.listeners.admin.origin}${path}`, {
    method,
    headers: {
      ...(path.startsWith('/api') ? { authorization: `Bearer ${adminKey}` } : { 'x-admin-api-key': operatorKey }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  expect([path, answer.ok, await answer.text()]).toEqual([path, true, expect.not.stringContaining(VALUE)]);
}

const masterKey = (): Buffer => Buffer.from(readFileSync(join(folder.dataDir, 'master.key'), 'utf8'), 'base64');

/** The records of the tenant's key and of a secret, as they stand in the store, with the value that they open to. */
async function kept(name: string) {
  return folder.withStore(async (store) => {
    const [key, secret] = await Promise.all([
      store.record('tenant-key', 'default'),
      store.record('secret', secretRecordId('default', name)),
    ]);
    if (key === undefined || secret === undefined) throw new Error(`no ${name}`);
    const dataKeys = makeDataKeys({ secretBox: makeAesSecretBox({ masterKey: masterKey() }) });
    const dataKey = { tenantId: 'default', id: key.keyId, sealed: key.keySealed };
    return { key, secret, value: dataKeys.open(dataKey, secret.valueSealed, sealIdentity('secret', secret.id)) };
  });
}

test('a new master key seals the key of a tenant anew and leaves its secrets as they are; no file of the folder has a value', async () => {
  let running = await folder.start();
  await ask(running, 'POST', '/api/secrets', { name: 'DB', value: VALUE });
  await running.stop();
  const before = await kept('DB');
  const beforeId = masterKeyOf(masterKey()).id;
  expect([before.value, sealingKeyOf(before.key.keySealed), sealingKeyOf(before.secret.valueSealed)]).toEqual([
    VALUE,
    beforeId,
    before.key.keyId,
  ]);

  running = await folder.start();
  await ask(running, 'POST', '/v1/x-castellan/rotate-master-key');
  await ask(running, 'POST', '/api/secrets', { name: 'LATER', value: VALUE });
  await ask(running, 'PUT', '/api/registry-credentials/ghcr', { username: 'ann', token: VALUE });
  await running.stop();
  const after = await kept('DB');
  const afterId = masterKeyOf(masterKey()).id;
  expect(afterId).not.toBe(beforeId);
  expect([after.value, sealingKeyOf(after.key.keySealed), after.key.keyId]).toEqual([VALUE, afterId, before.key.keyId]);
  expect(after.secret).toEqual(before.secret);
  expect((await kept('LATER')).value).toBe(VALUE);
  for (const entry of readdirSync(folder.dataDir, { withFileTypes: true })) {
    const bytes = entry.isFile() ? readFileSync(join(folder.dataDir, entry.name)) : Buffer.alloc(0);
    expect([entry.name, bytes.includes(VALUE)]).toEqual([entry.name, false]);
  }
});
