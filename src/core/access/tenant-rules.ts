import type { Entitlements, Tenant } from '../records.ts';
import { checkTenantId, checkWhole, firstOf, invalid, type Refusal } from './rules.ts';

const COUNTS = { maxGpus: 'max_gpus', maxContainers: 'max_containers', maxKeys: 'max_keys' } as const;
const MAX_COUNT = 1_000_000;

/** Checks the counts among the entitlements that are given. */
export function checkEntitlements(entitlements: Partial<Entitlements>): Refusal | null {
  const names = Object.keys(COUNTS) as (keyof typeof COUNTS)[];
  return firstOf(...names.map((name) => checkWhole(COUNTS[name], entitlements[name] ?? 0, { min: 0, max: MAX_COUNT })));
}

/** What a tenant's reservations get where nobody says otherwise, and what its Cycles clients keep with it. */
export type TenantTerms = Pick<
  Tenant,
  'parentTenantId' | 'metadata' | 'defaultOveragePolicy' | 'defaultTtlMs' | 'maxTtlMs' | 'maxExtensions' | 'reservationExpiryPolicy'
>;

const TTL = { min: 1000, max: 86_400_000 } as const;
const MAX_METADATA_PAIRS = 32;
const MAX_METADATA_TEXT = 5120;

function checkPairs(metadata: Readonly<Record<string, string>>): Refusal | null {
  const pairs = Object.entries(metadata);
  if (pairs.length > MAX_METADATA_PAIRS) return invalid('metadata', `hold at most ${MAX_METADATA_PAIRS} pairs`);
  const length = pairs.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  return length <= MAX_METADATA_TEXT ? null : invalid('metadata', `hold at most ${MAX_METADATA_TEXT} characters in all`);
}

/**
 * Checks the terms that are given, under their names on the wire: at most 32 pairs of metadata, times to live from a second to a day.
 * A parent need not exist, and is no more than a name. Source: Cycles governance, `Tenant`.
 */
export function checkTenantTerms(terms: TenantTerms): Refusal | null {
  const { parentTenantId = null, metadata, defaultTtlMs, maxTtlMs, maxExtensions } = terms;
  const isParentId = parentTenantId === null || checkTenantId(parentTenantId) === null;
  return firstOf(
    isParentId ? null : invalid('parent_tenant_id', 'be the id of a tenant'),
    metadata === undefined ? null : checkPairs(metadata),
    defaultTtlMs === undefined ? null : checkWhole('default_reservation_ttl_ms', defaultTtlMs, TTL),
    maxTtlMs === undefined ? null : checkWhole('max_reservation_ttl_ms', maxTtlMs, TTL),
    maxExtensions === undefined ? null : checkWhole('max_reservation_extensions', maxExtensions, { min: 0, max: Number.MAX_SAFE_INTEGER }),
  );
}
