/** What a console may offer to the holder of a credential. */
export type Capabilities = Readonly<Record<`${'view' | 'manage'}_${string}`, boolean>>;

const USES_RESERVATIONS = ['reservations:create', 'reservations:commit', 'reservations:release', 'reservations:extend'] as const;

const reads = (what: string): readonly string[] => [`${what}:read`, 'admin:read', `admin:${what}:read`];
const writes = (what: string): readonly string[] => [`${what}:write`, 'admin:write', `admin:${what}:write`];

/** Any of these permissions gives a tenant's key the capability. The table is frozen. Source: Cycles governance, CAPABILITY DERIVATION. */
const TENANT_CAPABILITIES: Readonly<Record<string, readonly string[]>> = {
  view_budgets: reads('budgets'),
  view_policies: reads('policies'),
  view_webhooks: reads('webhooks'),
  view_events: reads('events'),
  view_reservations: ['reservations:list', ...USES_RESERVATIONS, 'admin:read'],
  manage_budgets: writes('budgets'),
  manage_policies: writes('policies'),
  manage_webhooks: writes('webhooks'),
  manage_reservations: [...USES_RESERVATIONS, 'admin:write'],
};

/** What no tenant's key may do, whatever its permissions. */
const OPERATOR_CAPABILITIES = [
  'view_tenants',
  'view_api_keys',
  'view_audit',
  'view_overview',
  'manage_tenants',
  'manage_api_keys',
] as const;

/** The capabilities of a tenant's key with these permissions; each is told, also what it may not. */
export function tenantCapabilities(permissions: readonly string[]): Capabilities {
  const own = Object.entries(TENANT_CAPABILITIES).map(([name, any]) => [name, any.some((each) => permissions.includes(each))] as const);
  return Object.fromEntries([...own, ...OPERATOR_CAPABILITIES.map((name) => [name, false] as const)]);
}

/** The operator's capabilities: all. */
export const operatorCapabilities = (): Capabilities =>
  Object.fromEntries([...Object.keys(TENANT_CAPABILITIES), ...OPERATOR_CAPABILITIES].map((name) => [name, true]));
