import type { ClaimedUsage } from '../../core/payments/decide-usage-meter.ts';
import type { PendingUsage } from '../../core/payments/payment-records.ts';
import { SYSTEM_TENANT, type Setting, type Tenant } from '../../core/records.ts';
import type { Outcome } from '../../core/rejection.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Failpoints } from '../../ports/failpoints.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { PaymentService } from '../../ports/payment-service.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** The setting that says since when usage is told: that of tenants from before begins with their first portion. */
const SINCE_SETTING = 'usage-told-since';

/**
 * Makes the job that tells the payment service of usage, each micro-cent once.
 *
 * What a tenant was charged in all, less what was told, is the next portion. It is written down under an identifier of its own before it is
 * sent, and counted as told after; a crash or a lost answer in between sends the same portion again, which the service knows. A portion
 * of which nobody can know is left to the operator, and logged each time. One tenant's failure does not hold up the others.
 */
export function makeTellUsage(deps: {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly records: Pick<RecordStore, 'record' | 'records' | 'chargedMicrocents'>;
  readonly service: Pick<PaymentService, 'findOrMakeCustomer' | 'reportUsage'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly clock: Clock;
  readonly failpoints: Failpoints;
  readonly log: Log;
}): () => Promise<void> {
  const { writer, records, service, ids, clock, failpoints, log } = deps;

  async function since(): Promise<number> {
    const known = await records.record('setting', SINCE_SETTING);
    if (known !== undefined) return Number(known.value);
    const setting: Setting = { id: SINCE_SETTING, value: clock.nowMs() };
    const outcome = await writer.execute({ verb: 'init-setting', id: ids.next('cmd'), tenantId: SYSTEM_TENANT, setting });
    return outcome.ok ? Number(outcome.value.value) : clock.nowMs();
  }

  async function customerOf(tenant: Tenant): Promise<string> {
    const known = await records.record('billing-customer', tenant.id);
    if (known !== undefined) return known.customerId;
    const customerId = await service.findOrMakeCustomer(tenant);
    const base = { id: ids.next('cmd'), tenantId: tenant.id };
    const outcome = await writer.execute({ verb: 'link-billing-customer', ...base, customerId, replace: false });
    return outcome.ok ? outcome.value.customerId : customerId;
  }

  async function tell(tenant: Tenant, sinceMs: number): Promise<void> {
    const totalMicrocents = await records.chargedMicrocents(tenant.id);
    const meter = await records.record('usage-meter', tenant.id);
    const isDue = meter === undefined || meter.pending !== null || totalMicrocents > BigInt(meter.reportedMicrocents);
    if (totalMicrocents === 0n || !isDue) return;
    const customerId = await customerOf(tenant);
    const base = { id: ids.next('cmd'), tenantId: tenant.id };
    const claimed: Outcome<ClaimedUsage> = await writer.execute({
      verb: 'claim-usage-report',
      ...base,
      totalMicrocents,
      customerId,
      sinceMs,
    });
    failpoints.hit('usage.claimed');
    if (!claimed.ok || claimed.value.pending === null) return;
    const { pending, isStuck, isFirst } = claimed.value;
    if (isStuck) {
      log.error(
        { tenantId: tenant.id, portion: pending.no, identifier: pending.identifier },
        'nobody can know whether the payment service counted a portion of usage; look there, and tell',
      );
      return;
    }
    await send(tenant.id, pending, isFirst);
  }

  async function send(tenantId: string, pending: PendingUsage, isFirst: boolean): Promise<void> {
    const { no, customerId, identifier, microcents, firstSentAtMs } = pending;
    const result = await service.reportUsage({ customerId, identifier, microcents: BigInt(microcents), atMs: firstSentAtMs });
    failpoints.hit('usage.sent');
    if (result === 'refused' && !isFirst) {
      // That it is not taken now says nothing of the time before, whose answer was lost: under another identifier it could count twice.
      log.error({ tenantId, identifier }, 'the payment service refuses a portion of usage that it may have; it is told again');
      return;
    }
    if (result === 'refused') log.error({ tenantId, identifier }, 'the payment service refuses a portion of usage; it is due again');
    await writer.execute({ verb: 'finish-usage-report', id: ids.next('cmd'), tenantId, no, wasTaken: result === 'taken' });
    failpoints.hit('usage.told');
  }

  return async () => {
    const sinceMs = await since();
    for (const tenant of await records.records('tenant')) {
      await tell(tenant, sinceMs).catch((err: unknown) =>
        log.error({ err, tenantId: tenant.id }, 'the payment service could not be told of usage; it is told again'),
      );
    }
  };
}
