import type { FastifyRequest } from 'fastify';
import { makeBudgetManagement, type BudgetManagement } from '../../../app/cycles/manage-budgets.ts';
import { inCurrentPeriod } from '../../../core/budgets/budget-period.ts';
import type { Account } from '../../../core/ledger/account.ts';
import { packMetadata } from '../../../core/access/rules.ts';
import { cyclesActorOf } from '../../_shared/cycles-principal.ts';
import { valueOf } from '../../_shared/problem.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { amountOf, budgetNameOf, callerOf, momentOf, reasonOf } from '../budget-fields.ts';
import { budgetBody, fundingBody } from '../budget-objects.ts';
import { GOVERNANCE_SOURCE, type GovernanceMount } from '../governance-deps.ts';
import { BudgetCreateRequest, BudgetFundingRequest, BudgetStatusTransitionRequest, BudgetUpdateRequest } from '../schemas/budgets.ts';

const reads = { credential: 'either', permission: 'budgets:read' } as const;
const writes = { credential: 'either', permission: 'budgets:write' } as const;
const operatorOnly = { credential: 'operator' } as const;

const actorOf = (request: FastifyRequest) => cyclesActorOf(request, GOVERNANCE_SOURCE);

/** The body of a new budget as the program calls its fields. */
const newBudgetOf = (body: BudgetCreateRequest): Parameters<BudgetManagement['create']>[2] => ({
  ...(body.tenant_id === undefined ? {} : { tenantId: body.tenant_id }),
  scope: body.scope,
  unit: body.unit,
  allocated: amountOf(body.allocated),
  overdraftLimit: body.overdraft_limit === undefined ? null : amountOf(body.overdraft_limit),
  overagePolicy: body.commit_overage_policy ?? null,
  rolloverPolicy: body.rollover_policy ?? 'NONE',
  periodStartMs: body.period_start === undefined ? null : momentOf(body.period_start),
  periodEndMs: body.period_end === undefined ? null : momentOf(body.period_end),
  metadata: packMetadata(body.metadata ?? {}),
});

/** `/v1/admin/budgets` and below, but for lists and what is done to many; and how the operator closes one, which is ours. */
export const mountBudgets: GovernanceMount = (app, deps) => {
  const budgets = makeBudgetManagement(deps);

  app.post('/v1/admin/budgets', { config: writes, schema: { body: BudgetCreateRequest } }, async (request, reply) => {
    const account = valueOf(await budgets.create(actorOf(request), callerOf(request), newBudgetOf(request.body)));
    return reply.code(201).header('x-cycles-tenant', account.tenantId).send(budgetBody(account));
  });

  app.get('/v1/admin/budgets/lookup', { config: reads }, async (request, reply) => {
    const account = valueOf(await budgets.find(callerOf(request), budgetNameOf(request)));
    return reply.header('x-cycles-tenant', account.tenantId).send(budgetBody(inCurrentPeriod(account, deps.clock.nowMs())));
  });

  app.patch('/v1/admin/budgets', { config: operatorOnly, schema: { body: BudgetUpdateRequest } }, async (request, reply) => {
    const { overdraft_limit: limit, commit_overage_policy: overagePolicy, metadata } = request.body;
    const changes = {
      ...(limit === undefined ? {} : { overdraftLimit: amountOf(limit) }),
      ...(overagePolicy === undefined ? {} : { overagePolicy }),
      ...(metadata === undefined ? {} : { metadata: packMetadata(metadata) }),
    };
    const account = valueOf(await budgets.update(actorOf(request), budgetNameOf(request), changes));
    return reply.header('x-cycles-tenant', account.tenantId).send(budgetBody(account));
  });

  app.post('/v1/admin/budgets/fund', { config: writes, schema: { body: BudgetFundingRequest } }, async (request, reply) => {
    const { operation, amount, spent, idempotency_key: idempotencyKey } = request.body;
    const name = budgetNameOf(request);
    const answer = valueOf(
      await budgets.fund(actorOf(request), callerOf(request), name, {
        operation,
        amount: amountOf(amount),
        ...(spent === undefined ? {} : { spent: amountOf(spent) }),
        ...reasonOf(request.body),
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
        request: request.body,
      }),
    );
    return reply.send(fundingBody(answer, name.unit));
  });

  mountTransitions(app, budgets);
};

/** What takes a budget from one state to another, each with the state that it leads to. */
const TRANSITIONS = [
  ['/v1/admin/budgets/freeze', 'FROZEN'],
  ['/v1/admin/budgets/unfreeze', 'ACTIVE'],
  ['/v1/x-castellan/budgets/close', 'CLOSED'],
] as const;

function mountTransitions(app: TypedApp, budgets: BudgetManagement): void {
  for (const [path, to] of TRANSITIONS) {
    app.post(path, { config: operatorOnly, schema: { body: BudgetStatusTransitionRequest } }, async (request, reply) => {
      const account: Account = valueOf(
        await budgets.changeStatus(actorOf(request), budgetNameOf(request), to, reasonOf(request.body ?? {})),
      );
      return reply.header('x-cycles-tenant', account.tenantId).send(budgetBody(account));
    });
  }
}
