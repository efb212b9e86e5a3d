import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeDomainLookup } from '../../../src/dns/domain-lookup.ts';
import { startTestDns, type TestDns } from '../../support/dns-server.ts';
import { makeTestApp, type TestApp, type TestResponse } from '../../support/test-app.ts';

interface Shown {
  readonly verified: boolean;
  readonly txt_record_host: string;
  readonly txt_record_value: string;
  readonly cname_target: string;
  readonly cname_configured: boolean | null;
  readonly check_error: string | null;
  readonly missing_since: string | null;
}

const DOMAIN = 'api.example.com';
let dns: TestDns;
let at: TestApp;
let ann: string;
let other: string;

beforeAll(async () => {
  dns = await startTestDns();
});
afterAll(() => dns.stop());

beforeEach(async () => {
  dns.mood = 'honest';
  dns.texts.clear();
  dns.aliases.clear();
  at = await makeTestApp({ domains: makeDomainLookup({ servers: [dns.server], timeoutMs: 200 }) });
  ({ ann } = await at.addTenant('acme'));
  ({ ann: other } = await at.addTenant('other'));
});
afterEach(() => at.close());

const create = (domain: unknown = DOMAIN, key = ann): Promise<TestResponse> => at.as(key)('POST', '/api/domains', { domain });
// As the unmodified client asks: without a body, and without a type of one.
const verify = async (key = ann, domain = DOMAIN): Promise<TestResponse> => at.as(key)('POST', `/api/domains/${domain}/verify`);
const shown = (response: TestResponse): Shown => response.json;

/** Sets the record that an answer asks for. */
function prove(response: TestResponse, more: readonly (string | readonly string[])[] = []): void {
  const { txt_record_host: host, txt_record_value: value } = shown(response);
  dns.texts.set(host, [...(dns.texts.get(host) ?? []), value, ...more]);
}

/** Puts entries into the tenant's roster, as containers that use the domain do. */
function useBy(names: readonly string[]): void {
  const before = at.store.tables.records.get('container-roster acme') as object;
  const containers = names.map((name) => ({ id: name, name, customDomains: [DOMAIN] }));
  at.store.tables.records.set('container-roster acme', { ...before, containers } as never);
}

describe('200 and 201', () => {
  test('a domain is added with the records to set, verified once they are there, listed and deleted', async () => {
    const made = await create();
    expect(made.status).toBe(201);
    expect(made.json).toEqual({
      id: expect.stringMatching(/^dom_/) as string,
      domain: DOMAIN,
      verification_nonce: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      cname_hash: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      verified: false,
      verified_at: null,
      created_at: '2026-04-09T00:00:00Z',
      used_by: [],
      txt_record_host: `_tinfoil-challenge.${DOMAIN}`,
      txt_record_value: expect.stringMatching(/^tinfoil-verification=[0-9a-f]{32}$/) as string,
      cname_target: expect.stringMatching(/^[0-9a-f]{32}\.containers\.localhost$/) as string,
      cname_configured: null,
      checked_at: null,
      missing_since: null,
      check_error: null,
    });
    const unproved = await verify();
    expect([unproved.status, shown(unproved).verified, shown(unproved).cname_configured]).toEqual([200, false, false]);
    prove(made, ['v=spf1 -all', 'tinfoil-verification=wrong']);
    dns.aliases.set(DOMAIN, shown(made).cname_target.toUpperCase());
    const proved = await verify();
    expect(proved.json).toMatchObject({ verified: true, cname_configured: true, verified_at: '2026-04-09T00:00:00Z', check_error: null });
    const listed = await at.as(ann)('GET', '/api/domains');
    expect(listed.json).toEqual([{ ...(proved.json as object), cname_configured: null }]);
    expect((await at.as(other)('GET', '/api/domains')).text).toBe('[]');
    const deleted = await at.as(ann)('DELETE', `/api/domains/${DOMAIN}`);
    expect([deleted.status, deleted.json]).toEqual([200, { message: 'Domain deleted' }]);
    expect(at.store.tables.events.map(({ type }) => type).filter((type) => type.startsWith('domain.'))).toEqual([
      'domain.created',
      'domain.verified',
      'domain.deleted',
    ]);
    expect(at.store.tables.audit.filter(({ resourceKind }) => resourceKind === 'domain').map(({ operation }) => operation)).toEqual([
      'create-domain',
      'verify-domain',
      'verify-domain',
      'delete-domain',
    ]);
  });

  test('a record of several strings is joined before it is compared, and only the whole of it counts', async () => {
    const made = await create();
    const { txt_record_host: host, txt_record_value: value } = shown(made);
    dns.texts.set(host, [`${value}0`, ` ${value}`, value.slice(0, -1), value.toUpperCase()]);
    expect(shown(await verify()).verified).toBe(false);
    dns.texts.set(host, [[value.slice(0, 9), value.slice(9)]]);
    expect(shown(await verify()).verified).toBe(true);
  });

  test.each(['silent', 'failing', 'refusing', 'garbled', 'lying'] as const)(
    'a server that is %s changes nothing, and the answer says why',
    async (mood) => {
      const made = await create();
      prove(made);
      dns.mood = mood;
      const asked = await verify();
      expect(asked.status).toBe(200);
      expect(shown(asked)).toMatchObject({
        verified: false,
        cname_configured: null,
        check_error: expect.stringContaining('DNS could not be asked') as string,
      });
      dns.mood = 'honest';
      await verify();
      dns.mood = mood;
      expect(shown(await verify())).toMatchObject({ verified: true, missing_since: null });
    },
  );

  test('the proof of a verified domain may be missing for a while, and is shown to be', async () => {
    const made = await create();
    prove(made);
    await verify();
    dns.texts.clear();
    expect(shown(await verify())).toMatchObject({ verified: true, missing_since: '2026-04-09T00:00:00Z' });
    at.clock.advance(86_400_000);
    expect(shown(await verify())).toMatchObject({ verified: false, missing_since: null });
  });
});

describe('400', () => {
  test.each([
    '',
    'example',
    'EXAMPLE.com',
    'example.com.',
    '.example.com',
    'a..example.com',
    '*.example.com',
    '-a.example.com',
    'a_b.example.com',
    'example.com:443',
    'https://example.com',
    'example.com/x',
    '10.0.0.1',
    '[::1]',
    'bücher.example',
    'exa mple.com',
    'example.com\u0000',
    `${'a'.repeat(64)}.example.com`,
    `${'a.'.repeat(120)}com`,
    'web.acme.containers.localhost',
    'containers.localhost',
    'localhost',
    'printer.local',
    'x.onion',
    '1.0.0.127.in-addr.arpa',
  ])('%j is no domain that somebody may prove', async (domain) => {
    const answer = await create(domain);
    expect([answer.status, answer.text.includes('domain must')]).toEqual([400, true]);
  });

  test.each([undefined, null, 7, {}, ['example.com']])('%j is no text', async (domain) => {
    expect((await at.as(ann)('POST', '/api/domains', { domain })).status).toBe(400);
  });

  test('a name of IDNA is taken as it is written', async () => {
    expect((await create('xn--bcher-kva.example.com')).status).toBe(201);
  });
});

describe('404 and 409', () => {
  test('what is not there is not found, for whoever does not have it either', async () => {
    await create();
    for (const domain of ['none.example.com', '%2e%2e', 'x'.repeat(300), 'EXAMPLE.COM']) {
      expect([(await verify(ann, domain)).status, (await at.as(ann)('DELETE', `/api/domains/${domain}`)).status]).toEqual([404, 404]);
    }
    expect((await verify(other)).status).toBe(404);
    expect((await at.as(other)('DELETE', `/api/domains/${DOMAIN}`)).status).toBe(404);
  });

  test('a domain is added once, and not deleted while containers use it', async () => {
    await create();
    expect((await create()).status).toBe(409);
    useBy(['web', 'api']);
    const refused = await at.as(ann)('DELETE', `/api/domains/${DOMAIN}`);
    expect(refused.status).toBe(409);
    expect(refused.json).toMatchObject({ error: 'Domain is in use by: api, web', containers: ['api', 'web'] });
    expect((await at.as(ann)('GET', '/api/domains')).json).toMatchObject([{ used_by: ['api', 'web'] }]);
  });

  test('a domain that one organization has verified is not taken by another that proves it too, nor by an old proof, a parent or a child', async () => {
    const old = await create(DOMAIN, other);
    prove(old);
    const mine = await create();
    prove(mine);
    expect(shown(await verify()).verified).toBe(true);
    const taken = await verify(other);
    expect([taken.status, taken.text]).toEqual([409, expect.stringContaining('verified by another organization')]);
    for (const domain of ['example.com', `v1.${DOMAIN}`]) {
      prove(await create(domain, other));
      expect(shown(await verify(other, domain)).verified).toBe(true);
    }
    expect(shown(await verify()).verified).toBe(true);
    // Once it is given up, whoever proves it may have it.
    await at.as(ann)('DELETE', `/api/domains/${DOMAIN}`);
    expect(shown(await verify(other)).verified).toBe(true);
  });
});
