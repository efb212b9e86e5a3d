import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeHooks, URL_OUTSIDE, type Hooks } from './webhook-harness.ts';

let hooks: Hooks;
beforeAll(async () => {
  hooks = await makeHooks();
});
afterAll(() => hooks.close());

const WEBHOOKS = '/v1/admin/webhooks';
const CONFIG = '/v1/admin/config/webhook-security';
const NEW = { url: URL_OUTSIDE, event_types: ['budget.created'] };

type Body = Record<string, unknown>;
const create = (body: unknown, query = '') => hooks.operator.ask<Body>('createWebhookSubscription', 'POST', `${WEBHOOKS}${query}`, body);
const refused = (field: string): object => ({ error: 'INVALID_REQUEST', message: expect.stringContaining(field) as string });

describe('the configuration of where webhooks may lead', () => {
  const put = (body: unknown) => hooks.operator.ask<Body>('updateWebhookSecurityConfig', 'PUT', CONFIG, body);
  const read = async () => (await hooks.operator.ask<Body>('getWebhookSecurityConfig', 'GET', CONFIG)).body;
  const invalid = { status: 400, body: { error: 'WEBHOOK_URL_INVALID' } };

  test('at first blocks what leads into networks of one’s own, and demands https', async () => {
    await put({});
    const { blocked_cidr_ranges: ranges, ...rest } = await read();
    expect(rest).toEqual({ allowed_url_patterns: [], allow_http: false });
    expect(ranges).toEqual(
      expect.arrayContaining(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '127.0.0.0/8', '169.254.0.0/16', '::1/128', 'fc00::/7']),
    );
  });

  test.each([
    'http://hooks.example.com/',
    'ftp://hooks.example.com/',
    'https://user:pass@hooks.example.com/',
    'https://hooks.example.com/#here',
    '/relative',
    'https:hooks.example.com/',
    'https:///hooks.example.com/',
    ' https://hooks.example.com/',
    'https://hooks.example.com/a b',
    'https://hooks.example.com\\\\@inside.example.com/',
    'https://hooks.example.com:99999/',
    'https://127.0.0.1/',
    'https://127.1/',
    'https://2130706433/',
    'https://0x7f000001/',
    'https://10.0.0.1:8443/x',
    'https://172.31.255.255/',
    'https://192.168.1.1/',
    'https://169.254.169.254/latest/meta-data',
    'https://100.100.100.200/',
    'https://0.0.0.0/',
    'https://224.0.0.1/',
    'https://255.255.255.255/',
    'https://[::1]/',
    'https://[::]/',
    'https://[fd00::1]/',
    'https://[fe80::1]/',
    'https://[ff02::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://[::ffff:7f00:1]/',
    'https://inside.example.com/',
    'https://mixed.example.com/',
  ])('400 on creation and on a change: %s', async (url) => {
    await put({});
    expect(await create({ ...NEW, url })).toMatchObject(invalid);
    const { id } = await hooks.subscribe();
    expect(await hooks.patch(id, { url })).toMatchObject(invalid);
    expect(await hooks.show(id)).toMatchObject({ url: URL_OUTSIDE });
  });

  test('201: a host that nobody can resolve, which may come to be', async () => {
    expect((await create({ ...NEW, url: 'https://not-yet.example.org/' })).status).toBe(201);
  });

  test('allow_http lets http in, and https still', async () => {
    await put({ allow_http: true });
    expect((await create({ ...NEW, url: 'http://hooks.example.com/' })).status).toBe(201);
    expect((await create(NEW)).status).toBe(201);
    expect(await create({ ...NEW, url: 'http://127.0.0.1/' })).toMatchObject(invalid);
    await put({ allow_http: false });
    expect(await create({ ...NEW, url: 'http://hooks.example.com/' })).toMatchObject(invalid);
  });

  test('blocked ranges take the place of those before, but for addresses that are nobody’s', async () => {
    await put({ blocked_cidr_ranges: ['93.184.0.0/16', '2001:db8::/32'] });
    expect(await create(NEW)).toMatchObject(invalid);
    expect(await create({ ...NEW, url: 'https://93.184.215.14/' })).toMatchObject(invalid);
    expect(await create({ ...NEW, url: 'https://[2001:db8::1]/' })).toMatchObject(invalid);
    expect((await create({ ...NEW, url: 'https://10.0.0.1/' })).status).toBe(201);
    expect(await create({ ...NEW, url: 'https://0.0.0.0/' })).toMatchObject(invalid);
  });

  test.each<[string, readonly string[], boolean]>([
    ['https://hooks.example.com/in', ['https://*.example.com/*'], true],
    ['https://a.hooks.example.com/in', ['https://*.example.com/*'], true],
    ['https://hooks.example.com/in', ['https://other.example.com/*', 'https://hooks.example.com/in'], true],
    ['https://hooks.example.com/in?x=1', ['https://hooks.example.com/in'], false],
    ['https://hooks.example.com:8443/in', ['https://hooks.example.com:8443/*'], true],
    ['https://hooks.example.com/in', ['https://example.com/*'], false],
    ['https://evil.example.org/x.example.com/', ['https://*.example.com/*'], false],
    ['https://evil.example.org/?https://a.example.com/', ['https://*.example.com/*'], false],
    ['https://HOOKS.example.com/in', ['https://hooks.example.com/*'], true],
  ])('%s where %j is allowed: %s', async (url, patterns, isAllowed) => {
    expect((await put({ allowed_url_patterns: patterns })).status).toBe(200);
    const answer = await create({ ...NEW, url });
    if (isAllowed) expect(answer.status).toBe(201);
    else expect(answer).toMatchObject(invalid);
    await put({});
  });

  test('is looked at again when something is sent, and leaves what there is untouched', async () => {
    await hooks.allowLoopback();
    const { id } = await hooks.subscribe({ url: hooks.receiver.url });
    const before = hooks.receiver.received.length;
    await put({});
    const { body } = await hooks.operator.ask<Body>('testWebhookSubscription', 'POST', `${WEBHOOKS}/${id}/test`);
    expect(body).toMatchObject({ success: false });
    expect(hooks.receiver.received).toHaveLength(before);
    expect(await hooks.show(id)).toMatchObject({ url: hooks.receiver.url, status: 'ACTIVE' });
    expect(await hooks.patch(id, { name: 'renamed' })).toMatchObject({ status: 200 });
    expect(JSON.stringify(body)).not.toContain('127.0.0.1');
  });

  test.each<[string, Body, string]>([
    ['a range that is none', { blocked_cidr_ranges: ['10.0.0.0/33'] }, 'blocked_cidr_ranges'],
    ['an IPv6 range that is none', { blocked_cidr_ranges: ['::1/129'] }, 'blocked_cidr_ranges'],
    ['a word', { blocked_cidr_ranges: ['dragons'] }, 'blocked_cidr_ranges'],
    ['a pattern without a scheme', { allowed_url_patterns: ['*.example.com'] }, 'allowed_url_patterns'],
    ['1,001 ranges', { blocked_cidr_ranges: Array.from({ length: 1001 }, () => '10.0.0.0/8') }, 'blocked_cidr_ranges'],
    ['no boolean', { allow_http: 'yes' }, 'allow_http'],
    ['an unknown field', { dragons: true }, 'dragons'],
  ])('400: %s, and nothing changes', async (_name, body, field) => {
    const before = await read();
    expect(await put(body)).toMatchObject({ status: 400, body: refused(field) });
    expect(await read()).toEqual(before);
  });

  test('200: ranges at their bounds, 1,000 of them; the change is audited', async () => {
    const ranges = ['10.0.0.0/32', '0.0.0.0/0', '::/0', '::1/128', ...Array.from({ length: 996 }, (_, at) => `10.0.${at % 256}.0/24`)];
    const { status, headers } = await put({ blocked_cidr_ranges: ranges });
    expect(status).toBe(200);
    expect((await read())['blocked_cidr_ranges']).toEqual(ranges);
    const { body } = await hooks.operator.ask<{ logs: Body[] }>(
      'listAuditLogs',
      'GET',
      `/v1/admin/audit/logs?request_id=${String(headers['x-request-id'])}`,
    );
    expect(body.logs).toMatchObject([{ operation: 'updateWebhookSecurityConfig', status: 200 }]);
    await put({});
  });
});
