import { CURRENCY_RULE, isCurrency, readPerUsd } from '../core/pricing/currency.ts';
import { SYSTEM_TENANT, type ExchangeRate } from '../core/records.ts';
import { rejected, type Outcome } from '../core/rejection.ts';
import type { DeclaredFields } from '../ports/declared-fields.ts';
import type { Ids } from '../ports/ids.ts';
import type { RecordStore } from '../ports/record-store.ts';
import { auditedBase, type Actor } from './audited-command.ts';
import type { LedgerWriter } from './ledger-writer.ts';
import { refuseDeclared } from './refuse-declared.ts';

/** A rate to be declared: what one USD is worth, as a number or a decimal text. `appliesFromMs` null is now. */
export interface NewExchangeRate {
  readonly currency: string;
  readonly perUsd: number | string;
  readonly appliesFromMs: number | null;
}

/** What the operator does with exchange rates. */
export interface ExchangeRateManagement {
  /** All rates ever declared, those that lie ahead among them, ordered by id (oldest first); of one currency where it is given. */
  list(currency?: string): Promise<ExchangeRate[]>;
  /** Rejects: `invalid_request` (currency), `managed_by_file`, `invalid_request` (per_usd), then as `add-exchange-rate`. */
  add(actor: Actor, rate: NewExchangeRate): Promise<Outcome<ExchangeRate>>;
  /** Takes back a rate that lies ahead. Rejects: `managed_by_file`, then as `remove-record`. */
  remove(actor: Actor, id: string): Promise<Outcome<{ readonly id: string }>>;
}

/** Makes the {@link ExchangeRateManagement}. */
export function makeExchangeRateManagement(deps: {
  writer: Pick<LedgerWriter, 'execute'>;
  records: Pick<RecordStore, 'record' | 'records'>;
  ids: Pick<Ids, 'next'>;
  declared: DeclaredFields;
}): ExchangeRateManagement {
  const { writer, records, ids, declared } = deps;
  const base = (actor: Actor, name: string, id: string) =>
    auditedBase(ids, actor, { name, tenantId: SYSTEM_TENANT, resourceKind: 'exchange-rate', resourceId: id });
  return {
    list: async (currency) =>
      (await records.records('exchange-rate')).filter((rate) => currency === undefined || rate.currency === currency),
    add: async (actor, { currency, perUsd, appliesFromMs }) => {
      if (!isCurrency(currency)) {
        return rejected({ code: 'invalid_request', message: `currency must ${CURRENCY_RULE}`, field: 'currency' });
      }
      const refusal = refuseDeclared(declared, { kind: 'exchange-rate', id: currency }, ['id']);
      if (refusal !== null) return rejected(refusal);
      const read = readPerUsd(perUsd);
      if (!read.ok) return rejected({ code: 'invalid_request', message: `per_usd must ${read.rule}`, field: 'per_usd' });
      const id = ids.next('rate');
      const rate = { id, currency, perUsdNanos: read.perUsdNanos, appliesFromMs };
      return writer.execute({ verb: 'add-exchange-rate', ...base(actor, 'add-exchange-rate', id), rate });
    },
    remove: async (actor, id) => {
      const rate = await records.record('exchange-rate', id);
      const refusal = rate === undefined ? null : refuseDeclared(declared, { kind: 'exchange-rate', id: rate.currency }, ['id']);
      if (refusal !== null) return rejected(refusal);
      const command = base(actor, 'remove-exchange-rate', id);
      return writer.execute({ verb: 'remove-record', ...command, kind: 'exchange-rate', recordId: id });
    },
  };
}
