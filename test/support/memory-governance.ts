import { NEVER_MS, tenantKeyStatus } from '../../src/core/cycles/tenant-key.ts';
import type { ApiKey, RecordKind, RecordTypes, Tenant } from '../../src/core/records.ts';
import type { Account } from '../../src/core/ledger/account.ts';
import type { Reservation } from '../../src/core/ledger/reservation.ts';
import type { GovernanceReads, OpenKind, SortedPage, TenantKeySort, TenantSort } from '../../src/ports/governance-reads.ts';

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

/** The governance surface's reads over tables in memory. */
export function makeMemoryGovernance(
  all: <K extends RecordKind>(kind: K) => RecordTypes[K][],
  tables: {
    readonly keyUses: ReadonlyMap<string, number>;
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
