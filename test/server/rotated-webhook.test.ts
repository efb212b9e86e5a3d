import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Running } from '../../src/server/boot.ts';
import { masterKeyOf, sealingKeyOf } from '../../src/server/secrets/aes-secret-box.ts';
import { expectAnswer, expectEvent } from '../support/cycles-answers.ts';
import { makeStoreReader } from '../support/store-reader.ts';
import { makeTestFolder } from './in-process.ts';

const folder = makeTestFolder();
const received: { readonly signature: unknown; readonly token: unknown; readonly body: string }[] = [];
const receiver = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const { 'x-cycles-signature': signature, 'x-token': token } = request.headers;
    received.push({ signature, token, body: Buffer.concat(parts).toString() });
    response.writeHead(204).end();
  });
});
afterAll(async () => {
  await folder.dispose();
  receiver.close();
  receiver.closeAllConnections();
});

async function ask<T>(running: Running, operation: string, method: string, path: string, body?: unknown): Promise<T> {
  const answer = await fetch(`${running.listeners.admin.origin}${path}`, {
    method,
    headers: { 'x-admin-api-key': running.prepared.credentials.operator_key ?? '', 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const json = (await answer.json()) as T;
  expectAnswer(operation, answer.status, json, 'governance');
  expect({ status: answer.status, json }).toMatchObject({ status: expect.toBeOneOf([200, 201]) as number });
  return json;
}

/** The names of the master keys that a subscription's secret and headers are sealed with. */
async function sealingKeys(): Promise<(string | null)[]> {
  const [rows = []] = await makeStoreReader({ kind: 'sqlite' }, folder.dataDir).snapshot(['SELECT body FROM webhooks']);
  const text = rows.map(({ body }) => String(body)).join('');
  return [...text.matchAll(/"(?:secretSealed|headersSealed)":"([^"]+)"/g)].map(([, sealed = '']) => sealingKeyOf(sealed));
}

test('secrets and headers of webhooks survive a change of the master key, and are sealed with the new one alone', async () => {
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  let running = await folder.start();
  await ask(running, 'updateWebhookSecurityConfig', 'PUT', '/v1/admin/config/webhook-security', {
    blocked_cidr_ranges: [],
    allow_http: true,
  });
  const made = await ask<{ subscription: { subscription_id: string }; signing_secret: string }>(
    running,
    'createWebhookSubscription',
    'POST',
    '/v1/admin/webhooks',
    { url, event_types: ['budget.created'], headers: { 'X-Token': 'tok_kept' } },
  );
  const keyId = (): string => masterKeyOf(Buffer.from(readFileSync(join(folder.dataDir, 'master.key'), 'utf8'), 'base64')).id;
  expect(await sealingKeys()).toEqual([keyId(), keyId()]);

  const rotated = await fetch(`${running.listeners.admin.origin}/v1/x-castellan/rotate-master-key`, {
    method: 'POST',
    headers: { 'x-admin-api-key': running.prepared.credentials.operator_key ?? '' },
  });
  expect(rotated.status).toBe(200);
  expect(await sealingKeys()).toEqual([keyId(), keyId()]);

  const probe = (): Promise<{ success: boolean }> =>
    ask(running, 'testWebhookSubscription', 'POST', `/v1/admin/webhooks/${made.subscription.subscription_id}/test`, {});
  expect(await probe()).toMatchObject({ success: true });
  await running.stop();
  running = await folder.start();
  expect(await probe()).toMatchObject({ success: true });
  expect(received).toHaveLength(2);
  for (const { signature, token, body } of received) {
    expectEvent(JSON.parse(body));
    expect([signature, token]).toEqual([`sha256=${createHmac('sha256', made.signing_secret).update(body).digest('hex')}`, 'tok_kept']);
  }
});
