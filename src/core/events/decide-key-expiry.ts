import { eventEffects } from '../access/access-events.ts';
import { accepted } from '../rejection.ts';
import type { Verb } from '../verb.ts';
import type { TellKeyExpiryCommand, WatchSharesCommand } from './commands.ts';

/**
 * Tells that a key has expired, once for each moment at which it was to: one that is given more time and expires again is told again.
 * A key that is gone, or whose time is not over, is left alone. The value is whether it was told. Never rejects.
 * Source: Cycles governance, `api_key.expired`.
 */
export const tellKeyExpiryVerb: Verb<TellKeyExpiryCommand, boolean> = {
  needs: ({ keyId }) => ({ tenantLock: 'exclusive', records: [{ kind: 'key', id: keyId }] }),
  decide: (state, command, nowMs) => {
    const key = state.record('key', command.keyId);
    const isDue = key !== undefined && key.deletedAtMs === null && key.expiresAtMs !== null && key.expiresAtMs <= nowMs;
    if (!isDue || key.tenantId !== command.tenantId || key.expiryToldMs === key.expiresAtMs)
      return { outcome: accepted(false), effects: [] };
    const data = {
      key_id: key.id,
      key_name: key.name,
      kind: key.kind,
      previous_status: 'ACTIVE',
      new_status: 'EXPIRED',
      ...(key.permissions === undefined ? {} : { permissions: key.permissions }),
    };
    return {
      outcome: accepted(true),
      effects: [
        { type: 'record', kind: 'key', id: key.id, record: { ...key, expiryToldMs: key.expiresAtMs } },
        ...eventEffects(command, nowMs, [{ type: 'api_key.expired', data }]),
      ],
    };
  },
};

/** Sets what a tenant's subscriptions want to be told of beside the usual. A tenant that does not exist, or is set so, is left alone. Never rejects. */
export const watchSharesVerb: Verb<WatchSharesCommand, boolean> = {
  needs: () => ({ tenantLock: 'exclusive' }),
  decide: (state, { tenantId, shares }) => {
    const tenant = state.record('tenant', tenantId);
    if (tenant === undefined || JSON.stringify(tenant.utilizationThresholds ?? []) === JSON.stringify(shares))
      return { outcome: accepted(false), effects: [] };
    const record = { ...tenant, utilizationThresholds: shares };
    return { outcome: accepted(true), effects: [{ type: 'record', kind: 'tenant', id: tenantId, record }] };
  },
};
