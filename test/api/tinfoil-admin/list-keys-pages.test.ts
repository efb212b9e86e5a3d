import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeTestApp, TEST_START_MS, usageEvent, type TestApp } from '../../support/test-app.ts';

let at: TestApp;
let ann: string;
let ids: string[];

beforeEach(async () => {
  at = await makeTestApp();
  ({ ann } = await at.addTenant('acme'));
  ids = [];
  for (let index = 0; index < 7; index++) {
    ids.push(((await at.as(ann)('POST', '/api/keys', { name: `k${index}` })).json as { id: string }).id);
    await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'management' });
  }
});
afterEach(() => at.close());

interface Page {
  readonly ids: string[];
  readonly next: string | null;
}

async function page(url: string): Promise<Page> {
  const { status, headers, json } = await at.as(ann)('GET', url);
  expect(status).toBe(200);
  const link = /^<([^>]+)>; rel="next"$/.exec(String(headers['link'] ?? ''));
  return { ids: (json as { id: string }[]).map(({ id }) => id), next: link?.[1] ?? null };
}

async function walk(url: string): Promise<string[][]> {
  const found: string[][] = [];
  for (let next: string | null = url; next !== null;) {
    const { ids: of, next: following }: Page = await page(next);
    found.push(of);
    next = following;
  }
  return found;
}

describe('200: pages of keys', () => {
  test('without limit and cursor, all of them in one list without a Link', async () => {
    expect(await page('/api/keys')).toEqual({ ids, next: null });
  });

  test.each([1, 2, 3, 6, 7, 1000])('of %i follow one another by their Link, and hold each key once', async (limit) => {
    const pages = await walk(`/api/keys?limit=${limit}`);
    expect(pages.flat()).toEqual(ids);
    expect(pages.length).toBe(Math.ceil(ids.length / limit));
  });

  test('show keys as the whole list does', async () => {
    at.store.addUsage(usageEvent({ id: 'u', tenantId: 'acme', keyId: ids[0] ?? '', atMs: TEST_START_MS, promptTokens: 5 }));
    const whole = (await at.as(ann)('GET', '/api/keys')).json as object[];
    expect((await at.as(ann)('GET', '/api/keys?limit=3')).json).toEqual(whole.slice(0, 3));
    expect(whole[0]).toMatchObject({ tokens_used: 5, is_owner: true });
  });

  test('lose and repeat none of the keys that stay while others are made and deleted', async () => {
    const first = await page('/api/keys?limit=3');
    // The last of the page, the first of the next one, and one already shown go; a new one comes.
    for (const index of [2, 3, 0]) await at.operator('DELETE', `/v1/x-castellan/keys/${ids[index]}`);
    const added = ((await at.as(ann)('POST', '/api/keys', { name: 'late' })).json as { id: string }).id;
    expect((await walk(first.next ?? '')).flat()).toEqual([...ids.slice(4), added]);
  });

  test('a cursor alone goes on with pages of a hundred', async () => {
    const { next } = await page('/api/keys?limit=2');
    const cursor = new URL(next ?? '', 'http://x').searchParams.get('cursor') ?? '';
    expect(await page(`/api/keys?cursor=${cursor}`)).toEqual({ ids: ids.slice(2), next: null });
  });

  test('the Link is relative, and its target asks for a page of the same size', async () => {
    expect((await page('/api/keys?limit=2')).next).toMatch(/^\/api\/keys\?limit=2&cursor=[^&]+$/);
  });

  test('of nothing are empty', async () => {
    const { ann: other } = await at.addTenant('other');
    const { json, headers } = await at.as(other)('GET', '/api/keys?limit=5');
    expect([json, headers['link']]).toEqual([[], undefined]);
  });

  test('read as many keys as they show and one more, and what belongs to them', async () => {
    at.store.reads.clear();
    await page('/api/keys?limit=2');
    expect(['keys', 'accounts', 'keyUsage'].map((name) => at.store.reads.get(name))).toEqual([1, 1, 1]);
  });
});

describe('400', () => {
  test.each([
    'limit=0',
    'limit=1001',
    'limit=x',
    'limit=',
    'limit=1.5',
    'limit=-1',
    'limit=1&limit=2',
    'cursor=',
    'cursor=nope',
    'limit=2&cursor=a.b',
  ])('%s, in the form of the surface', async (query) => {
    const { status, json } = await at.as(ann)('GET', `/api/keys?${query}`);
    expect([status, json]).toMatchObject([400, { code: 'BAD_REQUEST', error: expect.stringMatching(/limit|cursor/) as string }]);
  });

  test('a cursor of another tenant, or of another list', async () => {
    const { next } = await page('/api/keys?limit=2');
    const cursor = new URL(next ?? '', 'http://x').searchParams.get('cursor') ?? '';
    const { ann: other } = await at.addTenant('other');
    expect((await at.as(other)('GET', `/api/keys?cursor=${cursor}`)).status).toBe(400);
    expect((await at.operator('GET', `/v1/x-castellan/keys?tenant_id=acme&cursor=${cursor}`)).status).toBe(400);
  });
});
