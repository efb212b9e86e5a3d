import type { HttpClient } from './http-client.ts';
import type { TestServer } from './server-process.ts';

/** A tenant made on the Cycles control plane, with a key that may do everything its permissions name by default. */
export interface CyclesTenant {
  readonly id: string;
  readonly key: string;
  readonly keyId: string;
}

/** The unit of the budgets that {@link makeCyclesControl} makes. */
export const BUDGET_UNIT = 'USD_MICROCENTS';

/** The control plane of a server, as an operator uses it in tests. Each call throws where it is refused. */
export interface CyclesControl {
  makeTenant(id: string): Promise<CyclesTenant>;
  makeBudget(tenantId: string, scope: string, amount: number): Promise<void>;
}

/** Makes a {@link CyclesControl} of `server`, whose operator key is its own or, where several share a database, the first one's. */
export function makeCyclesControl(server: TestServer, client: HttpClient): CyclesControl {
  const headers = { 'x-admin-api-key': server.credentials().operator_key };
  const post = async <T>(path: string, body: unknown): Promise<T> => {
    const answer = await client.ask(`${server.admin}/v1/admin${path}`, { method: 'POST', headers, body });
    if (answer.status !== 201) throw new Error(`POST ${path}: ${answer.status} ${answer.text}`);
    return answer.json<T>();
  };
  return {
    makeTenant: async (id) => {
      await post('/tenants', { tenant_id: id, name: id });
      const made = await post<{ key_id: string; key_secret: string }>('/api-keys', { tenant_id: id, name: 'test' });
      return { id, key: made.key_secret, keyId: made.key_id };
    },
    makeBudget: async (tenantId, scope, amount) => {
      await post('/budgets', { tenant_id: tenantId, scope, unit: BUDGET_UNIT, allocated: { unit: BUDGET_UNIT, amount } });
    },
  };
}
