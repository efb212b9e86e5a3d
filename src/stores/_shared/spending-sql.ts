const DAY_MS = 86_400_000;

/** How a database binds the two values of {@link chargesSql}. */
export interface SpendingPlaces {
  readonly tenant: string;
  readonly since: string;
}

/**
 * What each key of a tenant was charged for calls that were held from a midnight (UTC) on, as rows (key_id, microcents) of which a key may have
 * several: the days of the rollups, without what was held before and booked after, and the tail.
 *
 * It costs the same whatever lies behind it: a row for each day, key and model, and the few events that went over a midnight. Indexes:
 * usage_rollups_pkey, usage_over_midnight; the tail is short.
 */
export const chargesSql = ({ tenant, since }: SpendingPlaces): string => `
  SELECT key_id, charge_microcents AS microcents FROM usage_rollups
    WHERE tenant_id = ${tenant} AND level_ms = ${DAY_MS} AND bucket_ms >= ${since} AND key_id > ''
  UNION ALL
  SELECT key_id, -charge_microcents FROM usage_events
    WHERE tenant_id = ${tenant} AND at_ms >= ${since} AND held_at_ms < ${since} AND at_ms / ${DAY_MS} <> held_at_ms / ${DAY_MS}
  UNION ALL
  SELECT key_id, charge_microcents FROM usage_tail WHERE tenant_id = ${tenant} AND held_at_ms >= ${since}`;

/** The ids of a tenant's calls that were held from a moment on and are not settled. Indexes: reservations_expiry, reservations_uncharged. */
export const openCallsSql = ({ tenant, since }: SpendingPlaces): string => `
  SELECT id FROM reservations
    WHERE state = 'ACTIVE' AND purpose = 'call' AND tenant_id = ${tenant} AND created_at_ms >= ${since}
  UNION ALL
  SELECT id FROM reservations
    WHERE state = 'EXPIRED' AND settled_at_ms IS NULL AND purpose = 'call' AND tenant_id = ${tenant} AND created_at_ms >= ${since}
  ORDER BY id`;

/** The sums by key of rows of {@link chargesSql}. */
export function chargesByKey(rows: Iterable<{ readonly key_id: string; readonly microcents: bigint }>): Map<string, bigint> {
  const charges = new Map<string, bigint>();
  for (const { key_id: keyId, microcents } of rows) charges.set(keyId, (charges.get(keyId) ?? 0n) + microcents);
  return charges;
}
