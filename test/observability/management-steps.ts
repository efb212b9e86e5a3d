import type { Ask } from './cycles-steps.ts';

const MOMENTS = { created_at: '2025-09-25T08:29:50.735Z', updated_at: '2025-09-25T08:29:50.735Z' };

/** Asks every operation of the management API at both of its bases, as a management key. */
export async function askManagement(ask: Ask, managementKey: string): Promise<void> {
  const headers = { authorization: `Bearer ${managementKey}` };
  for (const base of ['/manage', '/v1/manage']) {
    const name = `doc${base.replaceAll('/', '-')}`;
    const keys = `${base}/api-keys`;
    await ask(`GET ${keys}`, keys, 200, undefined, headers);
    await ask(`GET ${keys}`, keys, 401, undefined, {});
    await ask(`POST ${keys}`, keys, 201, { name, is_management_key: true }, headers);
    await ask(`POST ${keys}`, keys, 400, { name }, headers);
    await ask(`DELETE ${keys}`, keys, 404, { name: 'nobody' }, headers);
    await ask(`DELETE ${keys}`, `${keys}?name=${name}`, 200, undefined, headers);
    const configs = `${base}/project-configs`;
    await ask(`PUT ${configs}`, configs, 200, { ...MOMENTS, inference_config: { preference: 'cost', allowed_providers: [] } }, headers);
    await ask(`PUT ${configs}`, configs, 200, { ...MOMENTS, inference_config: {} }, headers);
    await ask(`PUT ${configs}`, configs, 400, {}, headers);
    await ask(`GET ${configs}`, configs, 200, undefined, headers);
    const budgets = `${base}/budgets`;
    await ask(`PUT ${budgets}`, budgets, 200, { scope: 'project', period: 'monthly', limit_usd: 1000 }, headers);
    await ask(`PUT ${budgets}`, budgets, 400, { scope: 'project', period: 'hourly', limit_usd: 5 }, headers);
    await ask(`GET ${budgets}`, budgets, 200, undefined, headers);
    await ask(`POST ${budgets}/reset`, `${budgets}/reset`, 200, { id: 'project:monthly' }, headers);
    await ask(`POST ${budgets}/reset`, `${budgets}/reset`, 404, { id: 'project:daily' }, headers);
    await ask(`DELETE ${budgets}`, budgets, 200, { id: 'project:monthly' }, headers);
    await ask(`DELETE ${budgets}`, `${budgets}?id=project:monthly`, 404, undefined, headers);
    await ask(`GET ${base}/users/balance`, `${base}/users/balance`, 200, undefined, headers);
  }
}
