import { notFound } from '../access/rules.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type Decision, type Verb } from '../verb.ts';
import type { ClaimUsageCommand, FinishUsageCommand } from './commands.ts';
import type { PendingUsage, UsageMeter } from './payment-records.ts';

const HOUR_MS = 3_600_000;

/** One node is at a portion for so long; then another may send it again. Longer than a request of ours may take. */
const CLAIM_MS = 60_000;

/**
 * A portion is sent again only while the payment service still knows its identifier. It promises 24 hours from the first time that it saw
 * it; an hour of that is for clocks and requests under way. Source: Stripe API, meter events, `identifier`.
 */
const RESEND_WITHIN_MS = 23 * HOUR_MS;

/**
 * The portion to send now; null where nothing is due or another node is at it. `stuck` is one that may or may not have arrived so long ago that
 * sending it again could count it twice: only somebody who looks can say. `isFirst`: nobody has sent it before.
 */
export interface ClaimedUsage {
  readonly pending: PendingUsage | null;
  readonly isStuck: boolean;
  readonly isFirst: boolean;
}

const nothing: ClaimedUsage = { pending: null, isStuck: false, isFirst: false };

const put = (meter: UsageMeter, value: ClaimedUsage): Decision<ClaimedUsage> => ({
  outcome: accepted(value),
  effects: [{ type: 'record', kind: 'usage-meter', id: meter.id, record: meter }],
});

/** Takes the next portion, or the one that is on its way where nobody is at it. The value is the {@link ClaimedUsage}; never refuses. */
export const claimUsageVerb: Verb<ClaimUsageCommand, ClaimedUsage> = {
  needs: ({ tenantId }) => ({ tenantLock: 'exclusive', records: [{ kind: 'usage-meter', id: tenantId }] }),
  decide: (state, command, nowMs) => {
    const { tenantId, totalMicrocents, customerId, sinceMs } = command;
    const tenant = state.record('tenant', tenantId);
    if (tenant === undefined) return { outcome: accepted(nothing), effects: [] };
    const known = state.record('usage-meter', tenantId);
    const isOlder = tenant.createdAtMs < sinceMs;
    const meter: UsageMeter = known ?? {
      id: tenantId,
      tenantId,
      no: 0,
      reportedMicrocents: isOlder ? totalMicrocents.toString() : '0',
      pending: null,
    };
    const claim = { firstSentAtMs: nowMs, claimedUntilMs: nowMs + CLAIM_MS };
    if (meter.pending !== null) {
      if (meter.pending.claimedUntilMs > nowMs) return { outcome: accepted(nothing), effects: [] };
      if (meter.pending.firstSentAtMs < nowMs - RESEND_WITHIN_MS)
        return { outcome: accepted({ pending: meter.pending, isStuck: true, isFirst: false }), effects: [] };
      const pending = { ...meter.pending, claimedUntilMs: claim.claimedUntilMs };
      return put({ ...meter, pending }, { pending, isStuck: false, isFirst: false });
    }
    const due = totalMicrocents - BigInt(meter.reportedMicrocents);
    if (due <= 0n) return known === undefined ? put(meter, nothing) : { outcome: accepted(nothing), effects: [] };
    const pending: PendingUsage = {
      no: meter.no + 1,
      identifier: `castellan-${command.id}`,
      customerId,
      microcents: due.toString(),
      ...claim,
    };
    return put({ ...meter, pending }, { pending, isStuck: false, isFirst: true });
  },
};

/**
 * Ends a portion. The value is the meter as it is now.
 *
 * Rejects, in this order: `not_found` (no meter), `conflict` (that portion is not on its way any more).
 */
export const finishUsageVerb: Verb<FinishUsageCommand, UsageMeter> = {
  needs: ({ tenantId }) => ({ tenantLock: 'exclusive', records: [{ kind: 'usage-meter', id: tenantId }] }),
  decide: (state, { tenantId, no, wasTaken }) => {
    const meter = state.record('usage-meter', tenantId);
    if (meter === undefined) return refuse(notFound(`a usage meter of ${tenantId}`));
    const { pending } = meter;
    if (pending?.no !== no) return refuse(rejected({ code: 'conflict', message: `the portion ${no} is not on its way`, field: 'no' }));
    const reported = BigInt(meter.reportedMicrocents) + (wasTaken ? BigInt(pending.microcents) : 0n);
    const after: UsageMeter = { ...meter, no, reportedMicrocents: reported.toString(), pending: null };
    return { outcome: accepted(after), effects: [{ type: 'record', kind: 'usage-meter', id: tenantId, record: after }] };
  },
};
