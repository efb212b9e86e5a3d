import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

const URL_OF_KEYS = '/v1/x-castellan/keys';

let at: TestApp;
let ann: string;
let ids: string[];

beforeEach(async () => {
  at = await makeTestApp();
  ({ ann } = await at.addTenant('acme'));
  for (const kind of ['inference', 'management', 'inference'] as const) await at.addKey({ tenantId: 'acme', memberId: 'ann', kind });
  ids = (await at.store.records('key', 'acme')).map(({ id }) => id);
});
afterEach(() => at.close());

interface List {
  readonly keys: readonly { readonly id: string }[];
  readonly has_more: boolean;
  readonly next_cursor: string | null;
}

describe('pages of a tenant’s keys', () => {
  test('200: follow one another by their Link and by their cursor alike', async () => {
    const found: string[] = [];
    for (let next: string | null = `${URL_OF_KEYS}?tenant_id=acme&limit=2`; next !== null;) {
      const { status, headers, json }: Awaited<ReturnType<TestApp['operator']>> = await at.operator('GET', next);
      expect(status).toBe(200);
      const { keys, has_more: hasMore, next_cursor: cursor } = json as List;
      found.push(...keys.map(({ id }) => id));
      expect(hasMore).toBe(cursor !== null);
      const query: string = new URLSearchParams({ tenant_id: 'acme', limit: '2', cursor: cursor ?? '' }).toString();
      expect(headers['link']).toBe(cursor === null ? undefined : `<${URL_OF_KEYS}?${query}>; rel="next"`);
      next = cursor === null ? null : `${URL_OF_KEYS}?${query}`;
    }
    expect(found).toEqual(ids);
  });

  test('200: an admin key sees those of its own tenant, named or not', async () => {
    await at.addTenant('other');
    for (const query of ['', '?tenant_id=acme', '?limit=1000']) {
      const { status, json } = await at.as(ann)('GET', `${URL_OF_KEYS}${query}`);
      expect([status, (json as List).keys.map(({ id }) => id)]).toEqual([200, ids]);
    }
    const first = (await at.as(ann)('GET', `${URL_OF_KEYS}?limit=4`)).json as List;
    const rest = (await at.as(ann)('GET', `${URL_OF_KEYS}?limit=4&cursor=${first.next_cursor}`)).json as List;
    expect([...first.keys, ...rest.keys].map(({ id }) => id)).toEqual(ids);
  });

  test('404: another tenant’s, for an admin key, as if there were none', async () => {
    await at.addTenant('other');
    const answers = await Promise.all(['other', 'none'].map((id) => at.as(ann)('GET', `${URL_OF_KEYS}?tenant_id=${id}`)));
    expect(answers.map(({ status, json }) => [status, (json as { message: string }).message])).toEqual([
      [404, 'tenant other not found'],
      [404, 'tenant none not found'],
    ]);
  });

  test('401: an inference key, no key, a bad one', async () => {
    const inference = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference' });
    for (const credential of [inference.value, null, 'admin_bad']) {
      expect(await at.as(credential)('GET', `${URL_OF_KEYS}?tenant_id=acme`)).toMatchObject({
        status: 401,
        json: { error: 'UNAUTHORIZED' },
      });
    }
  });

  test('401: an admin key for what is the operator’s alone', async () => {
    for (const path of ['tenants', `keys/${ids[0]}`, 'models'])
      expect((await at.as(ann)('GET', `/v1/x-castellan/${path}`)).status).toBe(401);
  });

  test('400: a credential that comes twice, before any look-up', async () => {
    at.store.reads.clear();
    const answer = await at.app.inject({
      method: 'GET',
      url: `${URL_OF_KEYS}?tenant_id=acme`,
      headers: { authorization: [`Bearer ${ann}`, `Bearer ${ann}`] as never },
    });
    expect([answer.statusCode, at.store.reads.get('keyByHash')]).toEqual([400, undefined]);
  });
});
