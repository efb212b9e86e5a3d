/** What a tenant's key may be allowed to do on the runtime plane and with the things of its tenant. Source: Cycles governance, `Permission`. */
const TENANT_PERMISSIONS = [
  'reservations:create',
  'reservations:commit',
  'reservations:release',
  'reservations:extend',
  'reservations:list',
  'balances:read',
  'budgets:read',
  'budgets:write',
  'policies:read',
  'policies:write',
  'webhooks:read',
  'webhooks:write',
  'events:read',
] as const;

/** Permissions of older keys: the two wildcards, and the granular ones below `admin:`. Source: Cycles governance, `Permission`. */
const ADMIN_PERMISSIONS = [
  'admin:read',
  'admin:write',
  'admin:tenants:read',
  'admin:tenants:write',
  'admin:budgets:read',
  'admin:budgets:write',
  'admin:policies:read',
  'admin:policies:write',
  'admin:apikeys:read',
  'admin:apikeys:write',
  'admin:webhooks:read',
  'admin:webhooks:write',
  'admin:events:read',
  'admin:audit:read',
] as const;

/** The 27 permissions that a tenant's key may have, in the order of the document. Source: Cycles governance, `Permission`. */
export const PERMISSIONS = [...TENANT_PERMISSIONS, ...ADMIN_PERMISSIONS] as const;

/** Permissions that the admin guide knows and the document does not: taken and shown as they are. */
export const GUIDE_PERMISSIONS = ['events:create'] as const;

/** A permission of a tenant's key. */
export type Permission = (typeof PERMISSIONS)[number] | (typeof GUIDE_PERMISSIONS)[number];

/** What a key may do whose request names no permissions. Source: Cycles governance, `createApiKey`. */
export const DEFAULT_PERMISSIONS: readonly Permission[] = [
  'reservations:create',
  'reservations:commit',
  'reservations:release',
  'reservations:extend',
  'reservations:list',
  'balances:read',
  'budgets:read',
  'budgets:write',
  'policies:read',
  'policies:write',
];

/** Whether `text` is a permission that a key can be given. */
export const isPermission = (text: string): text is Permission => [...PERMISSIONS, ...GUIDE_PERMISSIONS].some((name) => name === text);
