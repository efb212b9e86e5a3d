import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeManage, refused, type Manage, type Manager } from './manage-harness.ts';

const PATH = '/budgets';
const DAILY = { scope: 'project', period: 'daily', limit_usd: 5 };

let manage: Manage;
let tenantId: string;
let ann: Manager;
let cy: Manager;

beforeAll(async () => void (manage = await makeManage()));
beforeEach(async () => {
  tenantId = await manage.newTenant();
  ann = await manage.manager('ann', tenantId);
  cy = await manage.manager('cy', tenantId);
});
afterAll(() => manage.at.close());

const idsOf = async (asked = ann): Promise<string[]> =>
  ((await asked.ask('GET', PATH)).json as { budgets: { id: string }[] }).budgets.map(({ id }) => id);

describe('budgets of a project', () => {
  test('are made, changed in place, listed to every member and deleted by id, in the body or in the query', async () => {
    expect(await ann.ask('PUT', PATH, DAILY)).toMatchObject({
      status: 200,
      json: {
        id: 'project:daily',
        target: null,
        limit_usd: 5,
        windows: [{ target: 'project', spent_usd: 0, held_usd: 0, remaining_usd: 5 }],
      },
    });
    expect(await ann.ask('PUT', PATH, { ...DAILY, limit_usd: '7.5' })).toMatchObject({ status: 200, json: { limit_usd: 7.5 } });
    await ann.ask('PUT', PATH, { ...DAILY, scope: 'each_user' });
    expect(await idsOf(cy)).toEqual(['project:daily', 'each_user:daily']);
    expect(await ann.ask('DELETE', PATH, { id: 'project:daily' })).toMatchObject({
      status: 200,
      json: { success: true, deleted: 'project:daily' },
    });
    expect(await ann.ask('DELETE', `${PATH}?id=each_user:daily`)).toMatchObject({ status: 200 });
    expect(await idsOf()).toEqual([]);
  });

  test('name a key by its id or by a name that is its only one, and go with the key', async () => {
    await ann.ask('POST', '/api-keys', { name: 'ci' });
    const named = await ann.ask('PUT', PATH, { ...DAILY, scope: 'key', target: 'ci' });
    const { id, target } = named.json as { id: string; target: string };
    expect(id).toBe(`key:${target}:daily`);
    expect(await ann.ask('PUT', PATH, { ...DAILY, scope: 'key', target, limit_usd: 6 })).toMatchObject({ json: { id, limit_usd: 6 } });
    await ann.ask('POST', '/api-keys', { name: 'twin' });
    await cy.ask('POST', '/api-keys', { name: 'twin' });
    expect(await ann.ask('PUT', PATH, { ...DAILY, scope: 'key', target: 'twin' })).toMatchObject(
      refused(400, /^target .*2 keys have this name/),
    );
    await ann.ask('DELETE', '/api-keys', { name: 'ci' });
    expect(await idsOf()).toEqual([]);
  });

  test('are each project’s own', async () => {
    await ann.ask('PUT', PATH, DAILY);
    const other = await manage.manager('ann', await manage.newTenant());
    expect(await idsOf(other)).toEqual([]);
    const key = await manage.at.addKey({ tenantId, memberId: 'ann', kind: 'inference', name: 'theirs' });
    expect(await other.ask('PUT', PATH, { ...DAILY, scope: 'key', target: key.id })).toMatchObject(refused(404, 'API key not found'));
    expect(await other.ask('DELETE', PATH, { id: 'project:daily' })).toMatchObject(refused(404, 'budget not found'));
  });

  test('are changed by admins alone', async () => {
    await ann.ask('PUT', PATH, DAILY);
    expect(await cy.ask('PUT', PATH, { ...DAILY, limit_usd: 500 })).toMatchObject(refused(403, 'only admins'));
    expect(await cy.ask('DELETE', PATH, { id: 'project:daily' })).toMatchObject(refused(403, 'only admins'));
    expect(await cy.ask('POST', `${PATH}/reset`, { id: 'project:daily' })).toMatchObject(refused(403, 'only admins'));
    expect(await idsOf()).toEqual(['project:daily']);
  });

  test('a budget for each is reset for one of them', async () => {
    await ann.ask('PUT', PATH, { ...DAILY, scope: 'each_user' });
    const reset = (body: object) => ann.ask('POST', `${PATH}/reset`, body);
    expect(await reset({ id: 'each_user:daily', target: 'cy' })).toMatchObject({ status: 200, json: { target: 'user:cy', spent_usd: 0 } });
    expect(await reset({ id: 'each_user:daily' })).toMatchObject(refused(400, /^target must name whose/));
    await ann.ask('PUT', PATH, DAILY);
    expect(await reset({ id: 'project:daily', target: 'cy' })).toMatchObject(refused(400, /^target must not be given/));
    expect(await reset({ id: 'project:weekly' })).toMatchObject(refused(404, 'budget not found'));
  });

  test.each<[object, number, RegExp]>([
    [{}, 400, /^scope/],
    [{ ...DAILY, scope: 'galaxy' }, 400, /^scope must be one of/],
    [{ ...DAILY, period: 'hourly' }, 400, /^period must be one of/],
    [{ ...DAILY, limit_usd: -1 }, 400, /^limit_usd/],
    [{ ...DAILY, limit_usd: '1e9.5' }, 400, /^limit_usd/],
    [{ ...DAILY, limit_usd: '1000000000.01' }, 400, /^limit_usd must lie between/],
    [{ ...DAILY, limit_usd: null }, 400, /^limit_usd/],
    [{ ...DAILY, target: 'ann' }, 400, /^target must not be given/],
    [{ ...DAILY, scope: 'user' }, 400, /^target must be the id of a member/],
    [{ ...DAILY, scope: 'user', target: 'nobody' }, 404, /^member nobody not found/],
    [{ ...DAILY, scope: 'key', target: 'nothing' }, 404, /^API key not found/],
    [{ ...DAILY, colour: 'red' }, 400, /^colour is not a known field/],
  ])('%j is refused', async (body, status, words) => {
    expect(await ann.ask('PUT', PATH, body)).toMatchObject(refused(status, words));
    expect(await idsOf()).toEqual([]);
  });
});
