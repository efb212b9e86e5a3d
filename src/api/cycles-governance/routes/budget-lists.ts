import type { FastifyRequest } from 'fastify';
import { makeBulkFundBudgets } from '../../../app/cycles/bulk-fund-budgets.ts';
import { makeListBudgets, type ListBudgets, type WantedBudgets } from '../../../app/cycles/list-budgets.ts';
import { inCurrentPeriod } from '../../../core/budgets/budget-period.ts';
import { BUDGET_SORT_KEYS, sortValueOf, type BudgetPosition, type BudgetSortKey } from '../../../core/budgets/budget-query.ts';
import { CYCLES_UNITS } from '../../../core/cycles/units.ts';
import type { Account } from '../../../core/ledger/account.ts';
import { cyclesActorOf } from '../../_shared/cycles-principal.ts';
import { RefusedRequest, valueOf } from '../../_shared/problem.ts';
import { amountOf, callerOf } from '../budget-fields.ts';
import { budgetBody } from '../budget-objects.ts';
import { GOVERNANCE_SOURCE, type GovernanceMount, type GovernanceRouteDeps } from '../governance-deps.ts';
import { present } from '../objects.ts';
import { filterFlag, filterOneOf, filterText, listAnswer, readListPage, searchText, type ListPosition } from '../list-page.ts';
import { BudgetBulkActionRequest } from '../schemas/bulk.ts';
import { BUDGET_STATUSES } from '../schemas/common.ts';

const NUMBER = /^(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

/** A share from 0 to 1 in a query; undefined where it is not given. */
function filterShare(request: FastifyRequest, name: string): number | undefined {
  const text = filterText(request, name);
  if (text === undefined) return undefined;
  const value = NUMBER.test(text) ? Number(text) : Number.NaN;
  if (value >= 0 && value <= 1) return value;
  throw new RefusedRequest({ code: 'invalid_request', message: `${name} must be a number from 0 to 1`, field: name });
}

/** The filters of a query, without what is looked for. */
const wantedBudgets = (request: FastifyRequest): WantedBudgets =>
  present({
    tenantId: filterText(request, 'tenant_id'),
    scopePrefix: filterText(request, 'scope_prefix'),
    unit: filterOneOf(request, 'unit', CYCLES_UNITS),
    status: filterOneOf(request, 'status', BUDGET_STATUSES),
    isOverLimit: filterFlag(request, 'over_limit'),
    hasDebt: filterFlag(request, 'has_debt'),
    utilizationMin: filterShare(request, 'utilization_min'),
    utilizationMax: filterShare(request, 'utilization_max'),
  });

const positionAt = (account: Account, sortBy: BudgetSortKey): ListPosition => ({
  value: sortValueOf(account, sortBy),
  id: JSON.stringify([account.tenantId, account.scope, account.unit]),
});

function positionOf({ value, id }: ListPosition): BudgetPosition {
  const [tenantId, scope, unit] = JSON.parse(id) as [string, string, string];
  return { value: value ?? '', tenantId, scope, unit };
}

/**
 * Reads a page of budgets. Where the request names no order it is that of tenant, scope and unit, rising: whoever walks all pages while
 * budgets are spent meets each of them once.
 */
async function readPage(request: FastifyRequest, wanted: WantedBudgets, deps: GovernanceRouteDeps & { readonly listBudgets: ListBudgets }) {
  const caller = callerOf(request);
  const filters = [caller.kind === 'tenant' ? caller.tenantId : null, wanted];
  const page = readListPage(request, { list: 'budgets', sortKeys: BUDGET_SORT_KEYS, cursors: deps.cursors, filters });
  const isUnsorted = filterText(request, 'sort_by') === undefined;
  const descending = isUnsorted ? filterText(request, 'sort_dir') === 'desc' : page.descending;
  const found = valueOf(
    await deps.listBudgets(caller, page.search === null ? wanted : { ...wanted, search: page.search }, {
      sortBy: page.sortBy,
      descending,
      after: page.after === null ? null : positionOf(page.after),
      limit: page.limit,
    }),
  );
  const { shown, end } = listAnswer(page, found, positionAt);
  return { shown: shown.map((account) => budgetBody(inCurrentPeriod(account, deps.clock.nowMs()))), end };
}

/** `GET /v1/admin/budgets`, and what is done to all that such a list would show. */
export const mountBudgetLists: GovernanceMount = (app, deps) => {
  const listBudgets = makeListBudgets(deps);
  const bulkFund = makeBulkFundBudgets(deps);

  app.get('/v1/admin/budgets', { config: { credential: 'either', permission: 'budgets:read' } }, async (request) => {
    const { shown, end } = await readPage(request, wantedBudgets(request), { ...deps, listBudgets });
    return { ledgers: shown, ...end };
  });

  const bulk = { config: { credential: 'operator' }, schema: { body: BudgetBulkActionRequest } } as const;
  app.post('/v1/admin/budgets/bulk-action', bulk, async (request, reply) => {
    const { filter, action, amount, spent, reason, expected_count: expected, idempotency_key: key } = request.body;
    const search = searchText(filter.search, 'filter.search');
    const answer = valueOf(
      await bulkFund(cyclesActorOf(request, GOVERNANCE_SOURCE), {
        tenantId: filter.tenant_id,
        wanted: present({
          scopePrefix: filter.scope_prefix,
          unit: filter.unit,
          status: filter.status,
          isOverLimit: filter.over_limit,
          hasDebt: filter.has_debt,
          utilizationMin: filter.utilization_min,
          utilizationMax: filter.utilization_max,
          search: search ?? undefined,
        }),
        filter,
        operation: action,
        amount: amount === undefined ? null : amountOf(amount),
        spent: spent === undefined ? null : amountOf(spent),
        ...(reason === undefined ? {} : { reason }),
        expectedCount: expected ?? null,
        idempotencyKey: key,
        request: request.body,
      }),
    );
    const { matched, succeeded, failed, skipped } = answer;
    void reply.header('x-cycles-tenant', filter.tenant_id);
    return { action, total_matched: matched, succeeded, failed, skipped, idempotency_key: key };
  });
};

/** `GET /v1/balances` of the governance plane: the budgets of a key's tenant, whole. Source: Cycles governance, getBalances. */
export const mountBalances: GovernanceMount = (app, deps) => {
  const listBudgets = makeListBudgets(deps);
  app.get('/v1/balances', { config: { credential: 'key', permission: 'balances:read' } }, async (request) => {
    const { shown, end } = await readPage(
      request,
      present({ scopePrefix: filterText(request, 'scope_prefix'), unit: filterOneOf(request, 'unit', CYCLES_UNITS) }),
      { ...deps, listBudgets },
    );
    return { balances: shown, ...end };
  });
};
