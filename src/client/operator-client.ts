import { makeAsk, type Ask, type Send } from './request.ts';
import type * as Wire from './wire.ts';

/** The operator API, an operation a method. Each throws an `ApiError` where it is refused, and a `ServerUnreachable` without an answer. */
export interface OperatorClient {
  readonly tenants: {
    /** All tenants, ordered by id. */
    list(): Promise<readonly Wire.Tenant[]>;
    get(id: string): Promise<Wire.Tenant>;
    create(tenant: Wire.NewTenant): Promise<Wire.Tenant>;
    update(id: string, changes: Wire.TenantChanges): Promise<Wire.Tenant>;
    setEntitlements(id: string, changes: Partial<Wire.Entitlements>): Promise<Wire.Entitlements>;
    budget(id: string): Promise<Wire.Money>;
    /** Null is no limit. */
    setBudget(id: string, usd: string | null): Promise<Wire.Money>;
  };
  readonly keys: {
    /** One page, oldest first; the page after `cursor` where it is given. */
    page(query: { readonly tenantId: string; readonly limit?: number; readonly cursor?: string }): Promise<Wire.KeyPage>;
    get(id: string): Promise<Wire.Key>;
    create(tenantId: string, key: Wire.NewKey): Promise<Wire.MadeKey>;
    update(id: string, changes: Wire.KeyChanges): Promise<Wire.Key>;
    delete(id: string): Promise<void>;
  };
  /** Usage of one tenant, or of all; in a window such as `24h`, or in all time. */
  usage(query: { readonly tenantId?: string; readonly time?: string; readonly by?: Wire.UsageGrouping }): Promise<Wire.Usage>;
  verify(): Promise<Wire.Verification>;
  server(): Promise<Wire.Server>;
  rotateMasterKey(): Promise<Wire.MasterKeyChange>;
}

const id = (text: string): string => encodeURIComponent(text);

/** Makes the client of the control plane at `baseUrl`, such as `http://127.0.0.1:7979`. `send` is `fetch`, or a stand-in for it. */
export function makeOperatorClient(options: {
  readonly baseUrl: string;
  readonly operatorKey: string;
  readonly send: Send;
}): OperatorClient {
  const { baseUrl, operatorKey, send } = options;
  const ask = makeAsk({ baseUrl, send, prefix: '/v1/x-castellan', headers: { 'x-admin-api-key': operatorKey } });
  return {
    tenants: tenantsOf(ask),
    keys: keysOf(ask),
    usage: ({ tenantId, time, by }) => ask({ method: 'GET', path: '/usage', query: { tenant_id: tenantId, time, by } }),
    verify: () => ask({ method: 'POST', path: '/verify' }),
    server: () => ask({ method: 'GET', path: '/server' }),
    rotateMasterKey: () => ask({ method: 'POST', path: '/rotate-master-key' }),
  };
}

const tenantsOf = (ask: Ask): OperatorClient['tenants'] => ({
  list: async () => (await ask<{ tenants: readonly Wire.Tenant[] }>({ method: 'GET', path: '/tenants' })).tenants,
  get: (tenantId) => ask({ method: 'GET', path: `/tenants/${id(tenantId)}` }),
  create: (tenant) => ask({ method: 'POST', path: '/tenants', body: tenant }),
  update: (tenantId, changes) => ask({ method: 'PATCH', path: `/tenants/${id(tenantId)}`, body: changes }),
  setEntitlements: (tenantId, changes) => ask({ method: 'PATCH', path: `/tenants/${id(tenantId)}/entitlements`, body: changes }),
  budget: (tenantId) => ask({ method: 'GET', path: `/tenants/${id(tenantId)}/money-budget` }),
  setBudget: (tenantId, usd) => ask({ method: 'PUT', path: `/tenants/${id(tenantId)}/money-budget`, body: { money_budget_usd: usd } }),
});

const keysOf = (ask: Ask): OperatorClient['keys'] => ({
  page: ({ tenantId, limit, cursor }) => ask({ method: 'GET', path: '/keys', query: { tenant_id: tenantId, limit, cursor } }),
  get: (keyId) => ask({ method: 'GET', path: `/keys/${id(keyId)}` }),
  create: (tenantId, { kind, ...key }) => ask({ method: 'POST', path: `/tenants/${id(tenantId)}/${kind}-keys`, body: key }),
  update: (keyId, changes) => ask({ method: 'PATCH', path: `/keys/${id(keyId)}`, body: changes }),
  delete: (keyId) => ask({ method: 'DELETE', path: `/keys/${id(keyId)}` }),
});
