import type { CreditAnswer } from '../../core/balance/decide-credit.ts';
import { canonicalJson } from '../../core/json/canonical-json.ts';
import { currencyOf, renderMicrocents } from '../../core/pricing/currency.ts';
import type { Credit } from '../../core/records.ts';
import { rejected, type Outcome } from '../../core/rejection.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { KeyHasher } from '../../ports/secret-box.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { firstRateId } from './seen-terms.ts';

/** How long the answer to a credit is kept; the retention table has the last word. */
const KEEP_MS = 86_400_000;

/** What is paid in, in micro-cents; negative where it is taken back. `currency` undefined: the tenant's, whatever it is. */
export interface NewCredit {
  readonly microcents: bigint;
  readonly reason: string;
  readonly currency: string | undefined;
  readonly idempotencyKey: string | undefined;
}

/** A page of credits, newest first. `next` is the id of its last one where more follow, else null. */
export interface CreditPage {
  readonly credits: readonly Credit[];
  readonly next: string | null;
}

/** What the operator does with prepaid balances. */
export interface BalanceManagement {
  /** Pays in, or takes back. Rejects: `not_found`, then as `credit-balance` does. */
  credit(actor: Actor, tenantId: string, credit: NewCredit): Promise<Outcome<CreditAnswer>>;
  /** What was ever paid in and taken back, newest first, those before `beforeId`. None for a tenant that is not there. */
  credits(query: { readonly tenantId: string; readonly beforeId: string | null; readonly limit: number }): Promise<CreditPage>;
}

/** Makes the {@link BalanceManagement}. */
export function makeBalanceManagement(deps: {
  writer: Pick<LedgerWriter, 'execute'>;
  records: Pick<RecordStore, 'record' | 'records' | 'credits'>;
  ids: Pick<Ids, 'next'>;
  hasher: KeyHasher;
}): BalanceManagement {
  const { writer, records, ids, hasher } = deps;
  return {
    credit: async (actor, tenantId, { microcents, reason, currency: named, idempotencyKey: key }) => {
      const tenant = await records.record('tenant', tenantId);
      if (tenant === undefined) return rejected({ code: 'not_found', message: `tenant ${tenantId} not found` });
      const currency = named ?? currencyOf(tenant);
      const rateId = await firstRateId(records, currency);
      // What was asked, however the amount was written.
      const body = { amount: renderMicrocents(microcents), reason, currency: named ?? null };
      const once = {
        ref: { tenantId, operation: 'creditBalance', target: '', key: key ?? '' },
        hash: hasher.hash(`creditBalance ${canonicalJson(body)}`),
        keepMs: KEEP_MS,
      };
      return writer.execute({
        verb: 'credit-balance',
        ...auditedBase(ids, actor, { name: 'credit-balance', tenantId, resourceKind: 'balance', resourceId: `tenant:${tenantId}` }),
        creditId: ids.next('credit'),
        currency,
        rateId,
        amount: microcents,
        reason,
        ...(key === undefined ? {} : { idempotency: once }),
      });
    },
    credits: async ({ tenantId, beforeId, limit }) => {
      const found = await records.credits({ tenantId, limit: limit + 1, ...(beforeId === null ? {} : { beforeId }) });
      const credits = found.slice(0, limit);
      return { credits, next: found.length > limit ? (credits.at(-1)?.id ?? null) : null };
    },
  };
}
