import { randomBytes } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'vitest';
import type { WebhookSender } from '../../../src/ports/webhook-sender.ts';
import { makeHttpSender } from '../../../src/webhooks/http-sender.ts';
import { makeSqliteStore } from '../../contract/sqlite-store.ts';
import { makeAesSecretBox, MASTER_KEY_BYTES } from '../../../src/server/secrets/aes-secret-box.ts';
import { makeManualClock, type ManualClock } from '../../support/fakes.ts';
import { makeGovernanceClient, type GovernanceClient, type Governed } from '../../support/governance-client.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { makeTestApp, TEST_START_MS, type TestApp } from '../../support/test-app.ts';

/** What a receiver was sent. */
export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A receiver on loopback, which answers `status` until that is changed. */
export interface Receiver {
  readonly url: string;
  readonly received: Received[];
  status: number;
  /** Runs before each answer. */
  before: () => Promise<unknown>;
  close(): Promise<void>;
}

async function openReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(parts).toString() });
      void receiver.before().then(() => response.writeHead(receiver.status).end());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    status: 204,
    before: () => Promise.resolve(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return receiver;
}

const OUTSIDE = '93.184.215.14';

/** Where names lead in these tests; nobody can resolve any other. */
const HOSTS: Readonly<Record<string, readonly string[]>> = {
  'hooks.example.com': [OUTSIDE],
  'a.hooks.example.com': [OUTSIDE],
  'inside.example.com': ['10.1.2.3'],
  'mixed.example.com': [OUTSIDE, '169.254.169.254'],
};

/** An address that anybody may be sent to. */
export const URL_OUTSIDE = 'https://hooks.example.com/in';

type Body = Readonly<Record<string, unknown>>;

/** The surface over SQLite, with subscriptions as its tests use them; every answer is held against the closed schemas. */
export interface Hooks {
  readonly at: TestApp;
  readonly clock: ManualClock;
  readonly operator: GovernanceClient;
  /** Two tenants' keys that may do everything with webhooks and events. */
  readonly acme: GovernanceClient;
  readonly other: GovernanceClient;
  readonly receiver: Receiver;
  keyOf(tenantId: string, parts?: Body): Promise<GovernanceClient>;
  makeTenant(id: string): Promise<void>;
  /** Adds a subscription as the operator, of a tenant where one is named, and gives what was answered. */
  subscribe(parts?: Body, tenantId?: string): Promise<{ readonly id: string; readonly secret: string; readonly body: Body }>;
  /** Changes a subscription as the operator. */
  patch(id: string, body: Body): Promise<Governed<Body>>;
  show(id: string): Promise<Body>;
  /** The events that answer a query of the operator, newest first. */
  events(query: string): Promise<readonly Body[]>;
  /** Lets webhooks be sent to loopback. */
  allowLoopback(): Promise<void>;
  /** Makes deliveries of what has happened, and sends what is due, until nothing is. */
  deliver(): Promise<void>;
  /** Changes rows behind the program's back. */
  raw(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  close(): Promise<void>;
}

const CONFIG = '/v1/admin/config/webhook-security';

/** The permissions of the keys of {@link Hooks}. */
const PERMISSIONS = [
  'webhooks:read',
  'webhooks:write',
  'events:read',
  'budgets:read',
  'budgets:write',
  'reservations:create',
  'reservations:commit',
];

/** Makes the surface with the tenants `acme` and `other`. */
export async function makeHooks(): Promise<Hooks> {
  const clock = makeManualClock(TEST_START_MS);
  const database = await makeSqliteStore({ clock });
  const receiver = await openReceiver();
  const http = makeHttpSender({
    resolve: (hostname) => {
      const found = HOSTS[hostname];
      return found === undefined ? Promise.reject(new Error('ENOTFOUND')) : Promise.resolve(found);
    },
    userAgent: 'cycles-server-events/test',
    elapsedMs: () => performance.now(),
  });
  // Names that lead outside are resolved, and nothing is sent there.
  const sender: WebhookSender = {
    ...http,
    send: async (request, security) =>
      HOSTS[new URL(request.url).hostname]?.[0] === OUTSIDE
        ? { kind: 'failed', error: 'nothing leaves a test', responseTimeMs: null }
        : http.send(request, security),
  };
  const secretBox = makeAesSecretBox({ masterKey: randomBytes(MASTER_KEY_BYTES) });
  const at = await makeTestApp({ store: database.store, clock, sender, secretBox });
  const operator = makeGovernanceClient(at);
  const makeTenant = async (id: string): Promise<void> => {
    const made = await operator.ask('createTenant', 'POST', '/v1/admin/tenants', { tenant_id: id, name: id });
    expect(made.status).toBe(201);
  };
  for (const id of ['acme', 'other']) await makeTenant(id);
  const keyOf = async (tenantId: string, parts: Body = {}): Promise<GovernanceClient> => {
    const body = { tenant_id: tenantId, name: 'a key', permissions: PERMISSIONS, ...parts };
    const made = await operator.ask('createApiKey', 'POST', '/v1/admin/api-keys', body);
    expect(made.status).toBe(201);
    return makeGovernanceClient(at, String(made.body['key_secret']));
  };
  return {
    at,
    clock,
    operator,
    acme: await keyOf('acme'),
    other: await keyOf('other'),
    receiver,
    keyOf,
    makeTenant,
    subscribe: async (parts = {}, tenantId) => {
      const url = `/v1/admin/webhooks${tenantId === undefined ? '' : `?tenant_id=${tenantId}`}`;
      const given = { url: URL_OUTSIDE, event_types: ['budget.created'], ...parts };
      const made = await operator.ask<{ subscription: Body; signing_secret: string }>('createWebhookSubscription', 'POST', url, given);
      expect(made).toMatchObject({ status: 201 });
      return { id: String(made.body.subscription['subscription_id']), secret: made.body.signing_secret, body: made.body.subscription };
    },
    patch: (id, body) => operator.ask('updateWebhookSubscription', 'PATCH', `/v1/admin/webhooks/${id}`, body),
    show: async (id) => (await operator.ask('getWebhookSubscription', 'GET', `/v1/admin/webhooks/${id}`)).body,
    events: async (query) => {
      const { status, body } = await operator.ask<{ events: Body[] }>('listEvents', 'GET', `/v1/admin/events?${query}`);
      expect(status).toBe(200);
      return body.events;
    },
    allowLoopback: async () => {
      const body = { blocked_cidr_ranges: [], allow_http: true };
      expect((await operator.ask('updateWebhookSecurityConfig', 'PUT', CONFIG, body)).status).toBe(200);
    },
    deliver: async () => {
      while ((await at.events.handOut()).more);
      await waitUntil(async () => {
        await at.events.dispatcher.run();
        return (await database.raw(`SELECT 1 FROM deliveries WHERE due_at_ms <= ${clock.nowMs()}`)).length === 0;
      });
      while ((await at.events.tellFailures()).more);
    },
    raw: (sql) => database.raw(sql),
    close: async () => {
      await at.close();
      await http.close();
      await receiver.close();
      await database.destroy();
    },
  };
}
