import {
  percentOf,
  type BudgetFilter,
  type BudgetPosition,
  type BudgetQuery,
  type BudgetSortKey,
} from '../../core/budgets/budget-query.ts';
import type { ScopeCondition } from '../../core/cycles/scope.ts';

/** A value that a statement binds. */
export type BoundValue = string | number | bigint;

/** What differs between the databases: how a value is bound, and a few expressions. */
export interface BudgetDialect {
  /** Adds a value to those of the statement, and gives its place in the text. */
  readonly bind: (value: BoundValue, type: 'text' | 'bigint' | 'double') => string;
  /** The position of one text in another, 0 where it is not there. */
  readonly positionIn: (haystack: string, needle: string) => string;
  readonly isOverLimit: string;
  /** A fraction as a double: the same as `utilizationOf` computes. */
  readonly utilization: string;
}

/** Lists show budgets that have a limit. In the words of the partial indexes. */
const IS_LISTED = `kind = 'budget' AND allocated IS NOT NULL`;

/** What comes after every text that begins with a scope and a slash: `0` is the character after `/`. */
const beyond = (scope: string): string => `${scope}0`;

function scopeCondition({ kind, text }: ScopeCondition, dialect: BudgetDialect): string {
  const { bind, positionIn } = dialect;
  // Values are bound in the order of the text.
  const below = (): string => `(scope > ${bind(`${text}/`, 'text')} AND scope < ${bind(beyond(text), 'text')})`;
  switch (kind) {
    case 'within':
      return `(scope = ${bind(text, 'text')} OR ${below()})`;
    case 'below':
      return below();
    case 'segment':
      return `${positionIn(`'/' || scope || '/'`, bind(`/${text}/`, 'text'))} > 0`;
    case 'level':
      return `${positionIn(`'/' || scope`, bind(`/${text}`, 'text'))} > 0`;
  }
}

/** The conditions of a filter. */
function conditionsOf(filter: BudgetFilter, dialect: BudgetDialect): string[] {
  const { bind, positionIn } = dialect;
  const { tenantId, scopePrefix, unit, status, isOverLimit, hasDebt, utilizationMin, utilizationMax, search, scopes = [] } = filter;
  const conditions = [IS_LISTED];
  if (tenantId !== undefined) conditions.push(`tenant_id = ${bind(tenantId, 'text')}`);
  if (scopePrefix !== undefined) {
    // The range is for the index; other names that begin alike lie in it too.
    conditions.push(`scope >= ${bind(scopePrefix, 'text')} AND scope < ${bind(beyond(scopePrefix), 'text')}`);
    conditions.push(`(scope = ${bind(scopePrefix, 'text')} OR scope > ${bind(`${scopePrefix}/`, 'text')})`);
  }
  if (unit !== undefined) conditions.push(`unit = ${bind(unit, 'text')}`);
  if (status !== undefined) conditions.push(`status = ${bind(status, 'text')}`);
  if (isOverLimit !== undefined) conditions.push(isOverLimit ? dialect.isOverLimit : `NOT (${dialect.isOverLimit})`);
  if (hasDebt !== undefined) conditions.push(hasDebt ? 'debt > 0' : 'debt = 0');
  if (utilizationMin !== undefined && utilizationMin > 0) {
    conditions.push(`used_percent >= ${bind(percentOf(utilizationMin), 'bigint')}`);
    conditions.push(`${dialect.utilization} >= ${bind(utilizationMin, 'double')}`);
  }
  if (utilizationMax !== undefined) {
    conditions.push(`used_percent <= ${bind(percentOf(utilizationMax), 'bigint')}`);
    conditions.push(`${dialect.utilization} <= ${bind(utilizationMax, 'double')}`);
  }
  if (search !== undefined) {
    const part = bind(search, 'text');
    const again = bind(search, 'text');
    conditions.push(`(${positionIn('tenant_id', part)} > 0 OR ${positionIn('scope', again)} > 0)`);
  }
  for (const list of scopes) conditions.push(`(${list.map((condition) => scopeCondition(condition, dialect)).join(' OR ')})`);
  return conditions;
}

/** The columns of each order, in the words of an index; all of them together tell any two budgets apart. */
const ORDERS: Readonly<Record<Exclude<BudgetSortKey, 'utilization'>, readonly string[]>> = {
  tenant_id: ['tenant_id', 'scope', 'unit'],
  scope: ['scope', 'unit'],
  unit: ['unit', 'tenant_id', 'scope'],
  status: ['status', 'tenant_id', 'scope', 'unit'],
  commit_overage_policy: [`coalesce(overage_policy, '')`, 'tenant_id', 'scope', 'unit'],
  debt: ['debt', 'tenant_id', 'scope', 'unit'],
};

const NAMES = ['tenant_id', 'scope', 'unit'] as const;

/**
 * The parts of which a list is made, one after another, and what the last page ended at in the first of them. By utilization there are
 * two, since budgets of which nothing is used are sorted by their names alone.
 */
type Part = { readonly used: 'any' | 'some' | 'none'; readonly after: BudgetPosition | null };

/** The parts of a list that are still to be read, in their order. */
export function partsOf({ sortBy, descending, after }: BudgetQuery): readonly Part[] {
  if (sortBy !== 'utilization') return [{ used: 'any', after }];
  const [first, second] = descending ? (['some', 'none'] as const) : (['none', 'some'] as const);
  if (after === null)
    return [
      { used: first, after: null },
      { used: second, after: null },
    ];
  const current = after.value === 0 ? 'none' : 'some';
  return current === first
    ? [
        { used: first, after },
        { used: second, after: null },
      ]
    : [{ used: second, after }];
}

/** What a page may begin behind: the place of its order's columns in the position. */
function beginning(columns: readonly string[], query: BudgetQuery, part: Part, dialect: BudgetDialect): string[] {
  const { after } = part;
  if (after === null) return [];
  const { bind } = dialect;
  const names: Readonly<Record<string, string>> = { tenant_id: after.tenantId, scope: after.scope, unit: after.unit };
  const bound = columns.map((column) => {
    const name = names[column];
    if (name !== undefined) return bind(name, 'text');
    if (column === 'used_percent') return bind(percentOf(Number(after.value)), 'bigint');
    if (column === dialect.utilization) return bind(Number(after.value), 'double');
    return column === 'debt' ? bind(BigInt(after.value), 'bigint') : bind(String(after.value), 'text');
  });
  return [`(${columns.join(', ')}) ${query.descending ? '<' : '>'} (${bound.join(', ')})`];
}

/** The conditions and the order of one part of a list, and the columns that it is sorted by. */
export function listClauses(query: BudgetQuery, part: Part, dialect: BudgetDialect): string {
  const columns = columnsOf(query.sortBy, part, dialect);
  const conditions = conditionsOf(query, dialect);
  if (part.used !== 'any') conditions.push(part.used === 'some' ? 'used_percent > 0' : 'used_percent = 0');
  conditions.push(...beginning(columns, query, part, dialect));
  const direction = query.descending ? ' DESC' : '';
  return `WHERE ${conditions.join(' AND ')} ORDER BY ${columns.map((column) => `${column}${direction}`).join(', ')}`;
}

function columnsOf(sortBy: BudgetSortKey, part: Part, dialect: BudgetDialect): readonly string[] {
  if (sortBy !== 'utilization') return ORDERS[sortBy];
  // Within a percent the index gives no order, and few budgets are left to sort.
  return part.used === 'none' ? NAMES : ['used_percent', dialect.utilization, ...NAMES];
}

/** The conditions of a count. */
export const countClauses = (filter: BudgetFilter, dialect: BudgetDialect): string =>
  `WHERE ${conditionsOf(filter, dialect).join(' AND ')}`;

const INDEXES: Readonly<Record<BudgetSortKey, string>> = {
  tenant_id: 'budgets_by_tenant',
  scope: 'budgets_by_scope',
  unit: 'budgets_by_unit',
  status: 'budgets_by_status',
  commit_overage_policy: 'budgets_by_policy',
  debt: 'budgets_by_debt',
  utilization: 'budgets_by_use',
};

/**
 * The index that a part of a list is read by: one whose rows are few, else that of the tenant, else one that gives the order. A database
 * that counts its rows finds that out by itself.
 */
export function indexFor(query: BudgetQuery, part: Part): string {
  const { sortBy, tenantId, status, unit, isOverLimit, hasDebt, utilizationMin = 0 } = query;
  if (isOverLimit === true) return 'budgets_over_limit';
  if (hasDebt === true) return 'budgets_owing';
  if (part.used === 'none') return 'budgets_by_use';
  // Most budgets are active, so that finds few only where nothing is sorted after.
  const isByName = sortBy === 'tenant_id' || (sortBy === 'scope' && tenantId !== undefined);
  if (status !== undefined && (isByName || status !== 'ACTIVE')) return 'budgets_by_status';
  if (tenantId !== undefined) return 'budgets_by_tenant';
  if (utilizationMin > 0) return 'budgets_by_use';
  if (sortBy === 'tenant_id' && unit !== undefined) return 'budgets_by_unit';
  return INDEXES[sortBy];
}
