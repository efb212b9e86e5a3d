import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeManage, type Manage, type Manager } from './manage-harness.ts';

const OPERATOR = '/v1/x-castellan';

let manage: Manage;
let ann: Manager;

beforeAll(async () => {
  manage = await makeManage();
  ann = await manage.manager('ann');
});
afterAll(() => manage.at.close());

interface Budgets {
  readonly budgets: readonly { readonly id: string }[];
}
const idsOf = async (): Promise<string[]> => ((await ann.ask('GET', '/budgets')).json as Budgets).budgets.map(({ id }) => id);

test('a key takes its own budgets with it, whichever surface deletes it', async () => {
  const admin = await manage.at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'admin' });
  const remove: readonly ((key: { id: string; name: string; value: string }) => Promise<{ status: number }>)[] = [
    ({ name }) => ann.ask('DELETE', '/api-keys', { name }),
    ({ id }) => manage.at.operator('DELETE', `${OPERATOR}/keys/${id}`),
    ({ value }) => manage.at.as(admin.value)('DELETE', `/api/keys/${value}`),
  ];
  await ann.ask('PUT', '/budgets', { scope: 'each_key', period: 'daily', limit_usd: 1 });
  for (const [index, gone] of remove.entries()) {
    const name = `short ${index}`;
    const { id, value } = await manage.at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name });
    const own = { scope: 'key', target: name, limit_usd: 1 };
    for (const period of ['daily', 'monthly']) expect((await ann.ask('PUT', '/budgets', { ...own, period })).status).toBe(200);
    expect(await idsOf()).toEqual(['each_key:daily', `key:${id}:daily`, `key:${id}:monthly`]);
    expect((await gone({ id, name, value })).status).toBeLessThan(300);
    expect(await idsOf()).toEqual(['each_key:daily']);
  }
});
