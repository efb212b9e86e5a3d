import { NEVER_MS, tenantKeyStatus } from '../../src/core/cycles/tenant-key.ts';
import { isEventType } from '../../src/core/cycles/event-types.ts';
import type { DomainEvent } from '../../src/core/effects.ts';
import type { ApiKey, RecordKind, RecordTypes, Tenant, Webhook } from '../../src/core/records.ts';
import type { Account } from '../../src/core/ledger/account.ts';
import type { Reservation } from '../../src/core/ledger/reservation.ts';
import type { GovernanceReads, OpenKind, OverviewRows, SortedPage, TenantKeySort, TenantSort } from '../../src/ports/governance-reads.ts';

const includes = (search: string | null, ...texts: readonly string[]): boolean =>
  search === null || texts.some((text) => text.toLowerCase().includes(search));

/** The part of a list that a page asks for. */
function pageOf<T extends { readonly id: string }, K extends string>(
  items: readonly T[],
  page: SortedPage<K>,
  valueOf: (item: T, sortBy: K) => string | number,
): T[] {
  const before = (a: { value: string | number | null; id: string }, b: { value: string | number | null; id: string }): number =>
    a.value === b.value ? (a.id < b.id ? -1 : Number(a.id > b.id)) : (a.value ?? '') < (b.value ?? '') ? -1 : 1;
  const sign = page.descending ? -1 : 1;
  const at = (item: T) => ({ value: valueOf(item, page.sortBy), id: item.id });
  const { after } = page;
  return items
    .toSorted((a, b) => sign * before(at(a), at(b)))
    .filter((item) => after === null || sign * before(at(item), after) > 0)
    .slice(0, page.limit);
}

const tenantValue = (tenant: Tenant, sortBy: TenantSort): string | number =>
  ({ created_at: tenant.createdAtMs, tenant_id: tenant.id, name: tenant.name, status: tenant.status })[sortBy];

const keyValue = (key: ApiKey, sortBy: TenantKeySort, nowMs: number): string | number =>
  ({
    created_at: key.createdAtMs,
    key_id: key.id,
    name: key.name,
    tenant_id: key.tenantId,
    status: tenantKeyStatus(key, nowMs),
    expires_at: key.expiresAtMs ?? NEVER_MS,
  })[sortBy];

const TOP = 10;

const countBy = <T>(items: readonly T[], nameOf: (item: T) => string, weightOf: (item: T) => number = () => 1): Record<string, number> => {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(nameOf(item), (counts.get(nameOf(item)) ?? 0) + weightOf(item));
  return Object.fromEntries(counts);
};

/** What a dashboard shows first. Nothing is delivered in memory, so no webhook fails. */
function overviewOf(
  tables: {
    readonly accounts: ReadonlyMap<string, Account>;
    readonly events: readonly DomainEvent[];
    readonly tenants: readonly Tenant[];
    readonly webhooks: readonly Webhook[];
  },
  sinceMs: number,
): OverviewRows {
  const budgets = [...tables.accounts.values()].filter(({ kind, allocated }) => kind === 'budget' && allocated !== null);
  const byDebt = budgets.toSorted((a, b) => Number(b.debt - a.debt));
  const recent = tables.events.filter(({ atMs, type }) => atMs >= sinceMs && isEventType(type)).toReversed();
  const ofType = (wanted: string): DomainEvent[] => recent.filter(({ type }) => type === wanted);
  const dataOf = ({ data }: DomainEvent) => data as { readonly reason_code?: string; readonly count?: number };
  return {
    tenants: countBy(tables.tenants, ({ status }) => status),
    budgets: Object.entries(countBy(budgets, ({ status, unit }) => `${status} ${unit}`)).map(([name, count]) => {
      const [status = '', unit = ''] = name.split(' ');
      return { status, unit, count };
    }),
    overLimit: budgets.filter(({ isOverLimit }) => isOverLimit).length,
    withDebt: budgets.filter(({ debt }) => debt > 0n).length,
    overLimitBudgets: byDebt.filter(({ isOverLimit }) => isOverLimit).slice(0, TOP),
    debtBudgets: byDebt.filter(({ debt }) => debt > 0n).slice(0, TOP),
    webhooks: countBy(tables.webhooks, ({ status }) => status),
    failing: 0,
    failingWebhooks: [],
    events: countBy(recent, ({ type }) => type),
    denialReasons: countBy(
      ofType('reservation.denied').filter((event) => dataOf(event).reason_code !== undefined),
      (event) => dataOf(event).reason_code ?? '',
      (event) => dataOf(event).count ?? 1,
    ),
    denials: ofType('reservation.denied').slice(0, TOP),
    expiries: ofType('reservation.expired').slice(0, TOP),
  };
}

/** The governance surface's reads over tables in memory. */
export function makeMemoryGovernance(
  all: <K extends RecordKind>(kind: K) => RecordTypes[K][],
  tables: {
    readonly keyUses: ReadonlyMap<string, number>;
    readonly events: readonly DomainEvent[];
    readonly reservations: ReadonlyMap<string, Reservation>;
    readonly accounts: ReadonlyMap<string, Account>;
  },
): GovernanceReads {
  const tenants = (filter: Parameters<GovernanceReads['tenantCount']>[0]): Tenant[] =>
    all('tenant').filter(
      (tenant) =>
        (filter.status ?? tenant.status) === tenant.status &&
        (filter.parentTenantId ?? tenant.parentTenantId) === tenant.parentTenantId &&
        includes(filter.search, tenant.id, tenant.name),
    );
  const open: Readonly<Record<OpenKind, (tenantId: string) => string[]>> = {
    reservation: (tenantId) =>
      [...tables.reservations.values()]
        .filter((each) => each.tenantId === tenantId && each.state === 'ACTIVE' && each.purpose === 'budget')
        .map(({ id }) => id),
    budget: (tenantId) =>
      [...tables.accounts.values()]
        .filter((each) => each.tenantId === tenantId && each.kind === 'budget' && each.status !== 'CLOSED')
        .map(({ id }) => id),
    webhook: (tenantId) =>
      all('webhook')
        .filter((each) => each.tenantId === tenantId && each.status !== 'DISABLED')
        .map(({ id }) => id),
    key: (tenantId) =>
      all('key')
        .filter((each) => each.tenantId === tenantId && each.deletedAtMs === null)
        .map(({ id }) => id),
  };
  return {
    tenantPage: (query) => Promise.resolve(pageOf(tenants(query), query, tenantValue)),
    tenantCount: (filter) => Promise.resolve(tenants(filter).length),
    tenantKeyPage: (query) => {
      const { tenantId, status, search, nowMs } = query;
      const found = all('key').filter(
        (key) =>
          key.kind === 'tenant' &&
          (tenantId ?? key.tenantId) === key.tenantId &&
          (status ?? tenantKeyStatus(key, nowMs)) === tenantKeyStatus(key, nowMs) &&
          includes(search, key.id, key.name),
      );
      return Promise.resolve(pageOf(found, query, (key, sortBy) => keyValue(key, sortBy, nowMs)));
    },
    overview: ({ sinceMs }) => Promise.resolve(overviewOf({ ...tables, tenants: all('tenant'), webhooks: all('webhook') }, sinceMs)),
    keyUses: (ids) =>
      Promise.resolve(
        new Map(
          ids.flatMap((id) => {
            const at = tables.keyUses.get(id);
            return at === undefined ? [] : [[id, at] as const];
          }),
        ),
      ),
    openThings: ({ kind, tenantId, except, limit }) =>
      Promise.resolve(
        open[kind](tenantId)
          .filter((id) => !except.includes(id))
          .slice(0, limit),
      ),
  };
}
