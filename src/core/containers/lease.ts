import { accepted, rejected, type Rejection } from '../rejection.ts';
import { SYSTEM_TENANT, type RecordRef } from '../records.ts';
import { refuse, type State, type Verb } from '../verb.ts';
import type { EndLeaseCommand, TakeLeaseCommand } from './commands.ts';
import { CONTAINER_LEASE, type Lease } from './container-records.ts';

/**
 * Takes a lease that nobody has, or lengthens one's own. The value is the lease. Taking over from somebody else, or after a gap, makes a
 * greater token.
 *
 * Rejects: `conflict` (another owner has it, and its time is not over).
 */
export const takeLeaseVerb: Verb<TakeLeaseCommand, Lease> = {
  needs: ({ leaseId }) => ({ tenantLock: 'exclusive', records: [{ kind: 'lease', id: leaseId }] }),
  decide: (state, { leaseId, ownerId, ttlMs, isAlone }, nowMs) => {
    const before = state.record('lease', leaseId);
    const isRunning = before !== undefined && before.untilMs > nowMs;
    const isOurs = isRunning && before.ownerId === ownerId;
    if (isRunning && !isOurs && !isAlone) {
      return refuse(rejected({ code: 'conflict', message: `${leaseId} is held by ${before.ownerId}` }));
    }
    const token = isOurs ? before.token : (before?.token ?? 0) + 1;
    const lease: Lease = { id: leaseId, ownerId, token, untilMs: nowMs + ttlMs };
    return { outcome: accepted(lease), effects: [{ type: 'record', kind: 'lease', id: leaseId, record: lease }] };
  },
};

/** Gives one's own lease back, so that another takes it at once. The value tells whether one had it. Rejects nothing. */
export const endLeaseVerb: Verb<EndLeaseCommand, boolean> = {
  needs: ({ leaseId }) => ({ tenantLock: 'exclusive', records: [{ kind: 'lease', id: leaseId }] }),
  decide: (state, { leaseId, ownerId }, nowMs) => {
    const lease = state.record('lease', leaseId);
    if (lease === undefined || lease.ownerId !== ownerId) return { outcome: accepted(false), effects: [] };
    const ended: Lease = { ...lease, untilMs: Math.min(lease.untilMs, nowMs) };
    return { outcome: accepted(true), effects: [{ type: 'record', kind: 'lease', id: leaseId, record: ended }] };
  },
};

/** The rows that {@link refuseFence} looks at. */
export const fenceNeeds = (): { readonly lockedTenants: readonly string[]; readonly records: readonly RecordRef[] } => ({
  lockedTenants: [SYSTEM_TENANT],
  records: [{ kind: 'lease', id: CONTAINER_LEASE }],
});

/** Refuses who lost the lease of acting on hosts to another: `stale_view`, or null. */
export function refuseFence(state: State, fence: number): { readonly ok: false; readonly rejection: Rejection } | null {
  const lease = state.record('lease', CONTAINER_LEASE);
  if (lease?.token === fence) return null;
  return rejected({ code: 'stale_view', message: 'another node acts on container hosts now' });
}
