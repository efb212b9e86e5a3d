import { rateAt } from '../../core/pricing/currency.ts';
import { SYSTEM_TENANT, type ExchangeRate } from '../../core/records.ts';
import type { Command } from '../../core/verbs.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { BootCommands } from '../boot-commands.ts';
import type { DeclaredExchangeRate } from './declared-config.ts';

interface ExchangeRateDeps {
  readonly boot: BootCommands;
  readonly records: Pick<RecordStore, 'records'>;
  readonly clock: Clock;
  readonly ids: Ids;
}

/**
 * The commands that make the rates of the declared currencies those of the file. Of a currency's rates whose moment has come, or that have
 * none, the latest applies from this start on where another one applies; those that lie ahead are added, and others that lie
 * ahead are taken back. Rates are append-only: each change is a version.
 */
export async function exchangeRateCommands(deps: ExchangeRateDeps, declared: readonly DeclaredExchangeRate[]): Promise<Command[]> {
  if (declared.length === 0) return [];
  const all = await deps.records.records('exchange-rate');
  const byCurrency = Map.groupBy(declared, ({ currency }) => currency);
  return [...byCurrency].flatMap(([currency, rates]) =>
    currencyCommands(
      deps,
      rates,
      all.filter((rate) => rate.currency === currency),
    ),
  );
}

function currencyCommands(
  { boot, clock, ids }: ExchangeRateDeps,
  declared: readonly DeclaredExchangeRate[],
  kept: readonly ExchangeRate[],
): Command[] {
  const nowMs = clock.nowMs();
  const add = ({ currency, perUsdNanos }: DeclaredExchangeRate, appliesFromMs: number | null): Command => {
    const id = ids.next('rate');
    const audit = boot.audit('add-exchange-rate', 'exchange-rate', id);
    return {
      verb: 'add-exchange-rate',
      id: boot.nextId(),
      tenantId: SYSTEM_TENANT,
      audit,
      rate: { id, currency, perUsdNanos, appliesFromMs },
    };
  };
  const isAhead = ({ appliesFromMs }: DeclaredExchangeRate): boolean => appliesFromMs !== null && appliesFromMs > nowMs;
  const isSame = (a: DeclaredExchangeRate, b: ExchangeRate): boolean =>
    a.appliesFromMs === b.appliesFromMs && a.perUsdNanos === b.perUsdNanos;
  const ahead = declared.filter(isAhead);
  const keptAhead = kept.filter(isAhead);
  const withdrawn = keptAhead.filter((rate) => !ahead.some((each) => isSame(each, rate)));
  const present = declared
    .filter((rate) => !isAhead(rate))
    .toSorted((a, b) => (a.appliesFromMs ?? -Infinity) - (b.appliesFromMs ?? -Infinity))
    .at(-1);
  const inForce = rateAt(kept, declared[0]?.currency ?? '', nowMs);
  return [
    ...(present !== undefined && inForce?.perUsdNanos !== present.perUsdNanos ? [add(present, null)] : []),
    ...withdrawn.map(({ id: recordId }): Command => ({
      verb: 'remove-record',
      id: boot.nextId(),
      tenantId: SYSTEM_TENANT,
      audit: boot.audit('remove-exchange-rate', 'exchange-rate', recordId),
      kind: 'exchange-rate',
      recordId,
    })),
    ...ahead.filter((rate) => !keptAhead.some((each) => isSame(rate, each))).map((rate) => add(rate, rate.appliesFromMs)),
  ];
}
