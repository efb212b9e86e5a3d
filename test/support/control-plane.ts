import { bearer, operator, type Answer, type Ask, type HttpClient } from './http-client.ts';
import type { TestServer } from './server-process.ts';

/** A `tk_` key as the Tinfoil surface answers its creation. */
export interface MadeKey {
  readonly id: string;
  readonly key: string;
}

/** A tenant of a test, with an admin key of its own. */
export interface MadeTenant {
  readonly id: string;
  readonly adminKey: string;
}

/** The control plane as tests use it to arrange things. Every method throws where the answer is not 2xx. */
export interface ControlPlane {
  /** Makes a tenant with an admin member and an admin key. */
  makeTenant(id: string): Promise<MadeTenant>;
  /** The tenant of the first start. */
  firstTenant(): MadeTenant;
  makeKey(tenant: MadeTenant, key: { readonly name: string; readonly maxTokens?: number }): Promise<MadeKey>;
  setKeyBudget(keyId: string, microcents: bigint): Promise<void>;
  setTenantBudget(tenantId: string, microcents: bigint): Promise<void>;
  /** Lets a tenant have as many keys as a long run makes. */
  setMaxKeys(tenantId: string, maxKeys: number): Promise<void>;
  operator(method: string, path: string, body?: unknown): Promise<Answer>;
  asAdmin(tenant: MadeTenant, method: string, path: string, body?: unknown): Promise<Answer>;
}

/** Micro-cents as the decimal of whole dollars that the wire takes. */
const usdOf = (microcents: bigint): number => Number(microcents) / 1e8;

/** Makes the control plane of a server; the server may be restarted meanwhile. */
export function makeControlPlane(server: TestServer, client: HttpClient): ControlPlane {
  const ask = async (path: string, options: Ask): Promise<Answer> => {
    const answer = await client.ask(`${server.admin}${path}`, options);
    if (answer.status >= 300) throw new Error(`${options.method} ${path}: ${answer.status} ${answer.text}`);
    return answer;
  };
  const asOperator: ControlPlane['operator'] = (method, path, body) =>
    ask(`/v1/x-castellan${path}`, { method, body, headers: operator(server.credentials().operator_key) });
  return {
    operator: asOperator,
    asAdmin: (tenant, method, path, body) => ask(path, { method, body, headers: bearer(tenant.adminKey) }),
    firstTenant: () => ({ id: server.credentials().tenant, adminKey: server.credentials().admin_key }),
    makeTenant: async (id) => {
      await asOperator('POST', '/tenants', { id, name: id });
      await asOperator('POST', `/tenants/${id}/members`, { id: 'ann', email: `ann@${id}.example`, role: 'admin' });
      const made = await asOperator('POST', `/tenants/${id}/admin-keys`, { name: 'test', member_id: 'ann' });
      return { id, adminKey: made.json<MadeKey>().key };
    },
    makeKey: async (tenant, { name, maxTokens }) => {
      const body = maxTokens === undefined ? { name } : { name, max_tokens: maxTokens };
      const { id, key } = (await ask('/api/keys', { method: 'POST', body, headers: bearer(tenant.adminKey) })).json<MadeKey>();
      return { id, key };
    },
    setKeyBudget: async (keyId, microcents) => void (await asOperator('PATCH', `/keys/${keyId}`, { money_budget_usd: usdOf(microcents) })),
    setTenantBudget: async (tenantId, microcents) =>
      void (await asOperator('PUT', `/tenants/${tenantId}/money-budget`, { money_budget_usd: usdOf(microcents) })),
    setMaxKeys: async (tenantId, maxKeys) => void (await asOperator('PATCH', `/tenants/${tenantId}/entitlements`, { max_keys: maxKeys })),
  };
}
