import type { Clock } from '../../ports/clock.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { PaymentService } from '../../ports/payment-service.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { firstRateId } from '../balance/seen-terms.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/**
 * Takes what came by a webhook: false where it was not signed for us lately. A payment is credited once, however often and by whichever
 * event it is told.
 */
export type TakeWebhook = (delivery: { readonly body: Buffer; readonly signature: string; readonly requestId: string }) => Promise<boolean>;

/** Makes the {@link TakeWebhook}. */
export function makeTakeWebhook(deps: {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly records: Pick<RecordStore, 'records'>;
  readonly service: Pick<PaymentService, 'readWebhook'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly clock: Clock;
  readonly log: Log;
}): TakeWebhook {
  const { writer, records, service, ids, clock, log } = deps;
  return async ({ body, signature, requestId }) => {
    const read = service.readWebhook({ body, signature, nowMs: clock.nowMs() });
    if (read.kind !== 'paid') return read.kind === 'other';
    const { tenantId, ...payment } = read.payment;
    const creditId = ids.next('credit');
    const outcome = await writer.execute({
      verb: 'take-payment',
      id: ids.next('cmd'),
      tenantId,
      payment,
      creditId,
      rateId: await firstRateId(records, payment.currency),
      audit: {
        id: ids.next('aud'),
        operation: 'take-payment',
        actorKind: 'system',
        actorId: 'payment-service',
        resourceKind: 'payment',
        resourceId: payment.id,
        requestId,
      },
    });
    if (!outcome.ok) return true;
    const { payment: taken, isNew } = outcome.value;
    if (isNew && taken.refusal !== null)
      log.error({ tenantId, payment: taken.id, reason: taken.refusal }, 'a payment cannot be credited to the balance of its tenant');
    return true;
  };
}
