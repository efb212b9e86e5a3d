import { isPriced, type ResourcePrices } from '../../core/containers/container-meter.ts';
import { cannotPay, meteredAccounts, type MeterAnswer } from '../../core/containers/decide-meter.ts';
import type { Container } from '../../core/containers/container-records.ts';
import { currencyOf, type PinnedRate } from '../../core/pricing/currency.ts';
import type { Tenant } from '../../core/records.ts';
import { rejected, type Outcome } from '../../core/rejection.ts';
import { windowAccounts, windowsOf, type WindowDemand } from '../../core/windows/budget-rule.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { Catalogue } from '../directory/catalogue.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** What metering needs. Lengths in milliseconds. */
export interface MeterContainersDeps {
  readonly records: Pick<RecordStore, 'record' | 'records' | 'accounts'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  /** Rates of currencies as they are now. */
  readonly rates: { refresh(): Promise<void>; readonly catalogue: Pick<Catalogue, 'rate'> };
  readonly prices: ResourcePrices;
  /** For how long a container whose tenant cannot pay goes on. */
  readonly graceMs: number;
  readonly stopDrainMs: number;
  readonly clock: Clock;
  readonly ids: Pick<Ids, 'next'>;
  readonly log: Pick<Log, 'warn' | 'error'>;
}

/** Books what containers use, and stops those that nobody can pay for. */
export interface MeterContainers {
  /** Books what a container has served until now; throws where that could not be done. */
  settle(container: Pick<Container, 'id' | 'tenantId'>): Promise<void>;
  /** Does so for every container that serves or served, one after another's failure, and stops those whose grace is over. */
  run(): Promise<void>;
  /** Rejects `payment_required` where containers cost something and the tenant has nothing left to pay with. */
  requireFunds(tenant: Tenant): Promise<Outcome<null>>;
}

/** How often a container is metered anew whose tenant changed what it pays from meanwhile. */
const TRIES = 5;
/** So many at once: they share a batch of the writer. */
const AT_ONCE = 50;

/** Makes the {@link MeterContainers}. Any number of nodes may run it: what was served is booked once. */
export function makeMeterContainers(deps: MeterContainersDeps): MeterContainers {
  const { records, writer, rates, prices, graceMs, clock, ids, log } = deps;

  function rateOf(tenant: Tenant): PinnedRate | null {
    if (tenant.hasBalance !== true) return null;
    const rate = rates.catalogue.rate(currencyOf(tenant), clock.nowMs());
    if (rate === null) throw new Error(`no exchange rate for ${currencyOf(tenant)} applies, in which ${tenant.id} keeps its balance`);
    return rate;
  }

  function windowsFor({ id, budgetRules }: Tenant): WindowDemand | null {
    if (budgetRules === undefined || budgetRules.length === 0) return null;
    const caller = { keyId: null, memberId: null };
    return { ...caller, accounts: windowAccounts(id, windowsOf(budgetRules, caller), clock.nowMs()) };
  }

  async function meter({ id, tenantId }: Pick<Container, 'id' | 'tenantId'>): Promise<MeterAnswer | null> {
    for (let left = TRIES; ; left -= 1) {
      const tenant = await records.record('tenant', tenantId);
      if (tenant === undefined) return null;
      await rates.refresh();
      const outcome = await writer.execute({
        verb: 'meter-container',
        id: ids.next('use'),
        tenantId,
        containerId: id,
        prices,
        rate: rateOf(tenant),
        windows: windowsFor(tenant),
        graceMs,
      });
      if (outcome.ok) return outcome.value;
      if (outcome.rejection.code !== 'stale_view' || left === 1) {
        throw new Error(`what the container ${id} used could not be booked: ${outcome.rejection.message}`);
      }
    }
  }

  async function stop({ id, tenantId }: Container): Promise<void> {
    const actor: Actor = { kind: 'system', id: 'meter-containers', requestId: ids.next('req') };
    const base = auditedBase(ids, actor, { name: 'stop-container', tenantId, resourceKind: 'container', resourceId: id });
    const outcome = await writer.execute({ verb: 'stop-container', ...base, containerId: id, drainMs: deps.stopDrainMs });
    // Somebody else may have stopped or deleted it meanwhile.
    if (!outcome.ok) log.warn({ containerId: id, code: outcome.rejection.code }, 'a container that nobody pays for was not stopped');
  }

  async function look(container: Container): Promise<void> {
    try {
      const answer = await meter(container);
      if (answer?.isOverdue === true) await stop(container);
    } catch (err) {
      log.error({ err, containerId: container.id }, 'what a container used could not be booked; it is tried again');
    }
  }

  return {
    settle: async (container) => void (await meter(container)),
    run: async () => {
      const containers = await records.records('container');
      const used = containers.filter(
        ({ current, served, status }) => current.state === 'serving' || served !== undefined || status === 'deploying',
      );
      for (let at = 0; at < used.length; at += AT_ONCE) await Promise.all(used.slice(at, at + AT_ONCE).map(look));
    },
    requireFunds: async (tenant) => {
      if (!isPriced(prices)) return { ok: true, value: null };
      await rates.refresh();
      const found = await records.accounts(meteredAccounts(tenant.id, rateOf(tenant)));
      if (!cannotPay(tenant, [...found.values()])) return { ok: true, value: null };
      return rejected({
        code: 'payment_required',
        message: 'nothing is left to pay for containers: the budget or the prepaid balance is empty',
      });
    },
  };
}
