import { shownPrefix } from '../../core/access/credentials.ts';
import { NEVER_MS, tenantKeyStatus } from '../../core/cycles/tenant-key.ts';
import { parseJson } from '../../core/json/int64.ts';
import type { PlainJson } from '../../core/json/plain-json.ts';
import type { ApiKey, Tenant } from '../../core/records.ts';
import { formatRfc3339 } from '../../core/rfc3339.ts';

/** An object without the fields that are undefined: what is not known is left out, never null. Source: Cycles protocol, closed shapes. */
export const present = <T extends Readonly<Record<string, unknown>>>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };

const timeOf = (ms: number | null | undefined): string | undefined => (typeof ms === 'number' ? formatRfc3339(ms) : undefined);

/** What a tenant's reservations get where it has no settings of its own. Source: Cycles governance, `Tenant`. */
const TENANT_DEFAULTS = { overagePolicy: 'ALLOW_IF_AVAILABLE', ttlMs: 60_000, maxTtlMs: 3_600_000, extensions: 10 } as const;

/** A tenant as the governance surface shows it, with the settings that apply to it. */
export const tenantBody = (tenant: Tenant) =>
  present({
    tenant_id: tenant.id,
    name: tenant.name,
    status: tenant.status,
    parent_tenant_id: tenant.parentTenantId ?? undefined,
    default_commit_overage_policy: tenant.defaultOveragePolicy ?? TENANT_DEFAULTS.overagePolicy,
    default_reservation_ttl_ms: tenant.defaultTtlMs ?? TENANT_DEFAULTS.ttlMs,
    max_reservation_ttl_ms: tenant.maxTtlMs ?? TENANT_DEFAULTS.maxTtlMs,
    max_reservation_extensions: tenant.maxExtensions ?? TENANT_DEFAULTS.extensions,
    reservation_expiry_policy: tenant.reservationExpiryPolicy ?? 'AUTO_RELEASE',
    metadata: tenant.metadata,
    created_at: formatRfc3339(tenant.createdAtMs),
    updated_at: timeOf(tenant.updatedAtMs),
    suspended_at: timeOf(tenant.suspendedAtMs),
    closed_at: timeOf(tenant.closedAtMs),
  });

const metadataOf = (metadata: PlainJson): unknown => (typeof metadata === 'string' ? parseJson(metadata) : (metadata ?? undefined));

/** When a key expires, as an answer tells it, which always does. */
export const keyExpiry = ({ expiresAtMs }: Pick<ApiKey, 'expiresAtMs'>): string => formatRfc3339(expiresAtMs ?? NEVER_MS);

/** A tenant's key as the governance surface shows it. `lastUsedAtMs` undefined: it was never used. */
export const keyBody = (key: ApiKey, at: { readonly nowMs: number; readonly lastUsedAtMs: number | undefined }) =>
  present({
    key_id: key.id,
    tenant_id: key.tenantId,
    key_prefix: shownPrefix(key.mask),
    name: key.name,
    description: key.description ?? undefined,
    permissions: key.permissions ?? [],
    scope_filter: key.scopeFilter,
    status: tenantKeyStatus(key, at.nowMs),
    created_at: formatRfc3339(key.createdAtMs),
    last_used_at: timeOf(at.lastUsedAtMs),
    expires_at: keyExpiry(key),
    revoked_at: timeOf(key.deletedAtMs),
    revoked_reason: key.revokedReason ?? undefined,
    metadata: metadataOf(key.metadata),
  });
