import { ledgerIdOf } from '../../core/budgets/ledger-id.ts';
import type { CreateBudgetCommand } from '../../core/budgets/commands.ts';
import { parseScope } from '../../core/cycles/scope.ts';
import type { PlainJson } from '../../core/json/plain-json.ts';
import { budgetId, USD_MICROCENTS, type Account, type AccountId, type OveragePolicy, type Unit } from '../../core/ledger/account.ts';
import type { FundOperation } from '../../core/ledger/commands.ts';
import type { FundAnswer } from '../../core/ledger/fund.ts';
import { accepted, rejected, type Outcome, type Rejection } from '../../core/rejection.ts';
import type { CommandAudit } from '../../core/verb.ts';
import type { DeclaredFields } from '../../ports/declared-fields.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { KeyHasher } from '../../ports/secret-box.ts';
import { answeredAs, auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { refuseDeclared } from '../refuse-declared.ts';
import { canonicalJson } from '../../core/json/canonical-json.ts';
import { ownerOf, refuseScope, type CyclesCaller } from './cycles-caller.ts';

/** An amount with the unit that it came with; null where it came without one and means the budget's. */
export interface GivenAmount {
  readonly amount: bigint;
  readonly unit: Unit | null;
}

/** A budget to be made. */
export interface NewBudget extends Pick<
  CreateBudgetCommand,
  'overagePolicy' | 'rolloverPolicy' | 'periodStartMs' | 'periodEndMs' | 'metadata'
> {
  readonly tenantId?: string;
  readonly scope: string;
  readonly unit: Unit;
  readonly allocated: GivenAmount;
  readonly overdraftLimit: GivenAmount | null;
}

/** What may be changed of a budget. */
export interface BudgetChanges {
  readonly overdraftLimit?: GivenAmount;
  readonly overagePolicy?: OveragePolicy;
  readonly metadata?: PlainJson;
}

/** Which budget: by its scope as it was written, and its unit. `tenantId` where the request names whose it is. */
export interface BudgetName {
  readonly scope: string;
  readonly unit: Unit;
  readonly tenantId?: string;
}

/** One funding. `request` is all that the caller sent, for telling the repeat of a request from another one under the same key. */
export interface Funding {
  readonly operation: FundOperation;
  readonly amount: GivenAmount;
  readonly spent?: GivenAmount;
  readonly reason?: string;
  readonly metadata?: PlainJson;
  readonly idempotencyKey?: string;
  readonly request: unknown;
}

/** Why, for the audit and the event. */
export interface Reason {
  readonly reason?: string;
  readonly metadata?: PlainJson;
}

/** What is done with single budgets on the Cycles governance plane. */
export interface BudgetManagement {
  /**
   * Rejects, in this order: `unit_mismatch`, `invalid_request` (scope), `insufficient_permissions` (scope filter), `invalid_request`
   * (tenant_id; the scope is another tenant's), then as `create-budget`. Source: the reference's createBudget.
   */
  create(actor: Actor, caller: CyclesCaller, budget: NewBudget): Promise<Outcome<Account>>;
  /** Rejects, in this order: `invalid_request` (scope), `insufficient_permissions`, `budget_not_found` (also another tenant's). */
  find(caller: CyclesCaller, name: BudgetName): Promise<Outcome<Account>>;
  /** Rejects, in this order: `invalid_request` (scope), `unit_mismatch`, then as `update-budget`. */
  update(actor: Actor, name: BudgetName, changes: BudgetChanges): Promise<Outcome<Account>>;
  /** Rejects `invalid_request` (scope), then as `freeze-budget`, `unfreeze-budget` or `close-budget`. */
  changeStatus(actor: Actor, name: BudgetName, to: 'FROZEN' | 'ACTIVE' | 'CLOSED', reason: Reason): Promise<Outcome<Account>>;
  /**
   * Rejects, in this order: `invalid_request` (scope), `insufficient_permissions`, `unit_mismatch`, `budget_not_found` (also another
   * tenant's), `managed_by_file`, then as `fund`. The same request under the same key funds once, and answers as it did then.
   */
  fund(actor: Actor, caller: CyclesCaller, name: BudgetName, funding: Funding): Promise<Outcome<FundAnswer>>;
}

/** How long the answer to a funding is kept. Source: the reference server. */
const FUND_KEEP_MS = 86_400_000;

/** Refuses an amount in another unit than the budget's: `unit_mismatch`. */
function refuseUnit(unit: Unit, field: string, given: GivenAmount | null | undefined): Rejection | null {
  if (given === null || given === undefined || given.unit === null || given.unit === unit) return null;
  const details = { requested_unit: given.unit, expected_units: [unit] };
  return { code: 'unit_mismatch', message: `${field} is in ${given.unit}, the budget in ${unit}`, field: `${field}.unit`, details };
}

/** A budget that a request names, found or not. */
interface Named {
  readonly accountId: AccountId;
  readonly tenantId: string;
  readonly scope: string;
  readonly unit: Unit;
}

/** The budget that a name means to this caller: of the key's own tenant, else of the one named, else of the scope's. */
function resolve(caller: CyclesCaller, name: BudgetName): Outcome<Named> {
  const scope = parseScope(name.scope);
  if (!scope.ok) return scope;
  const refusal = refuseScope(caller, scope.value.path);
  if (refusal !== null) return rejected(refusal);
  const tenantId = caller.kind === 'tenant' ? caller.tenantId : (name.tenantId ?? scope.value.tenantId);
  return accepted({ accountId: budgetId(tenantId, scope.value.path, name.unit), tenantId, scope: scope.value.path, unit: name.unit });
}

const OPERATOR: CyclesCaller = { kind: 'operator' };

/** What the use cases need. */
export interface BudgetManagementDeps {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly records: Pick<RecordStore, 'accounts'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly hasher: KeyHasher;
  readonly declared: DeclaredFields;
}

/** Refuses a change of the size of a money budget that the configuration file declares: `managed_by_file`. */
export const refuseDeclaredBudget = (
  declared: DeclaredFields,
  { tenantId, scope, unit }: Pick<Account, 'tenantId' | 'scope' | 'unit'>,
): Rejection | null =>
  scope === `tenant:${tenantId}` && unit === USD_MICROCENTS
    ? refuseDeclared(declared, { kind: 'tenant', id: tenantId }, ['money_budget_usd'])
    : null;

/** Makes the {@link BudgetManagement}. */
export function makeBudgetManagement(deps: BudgetManagementDeps): BudgetManagement {
  const { writer, records, ids, hasher, declared } = deps;

  const read = async (id: AccountId): Promise<Account | undefined> => (await records.accounts([id])).get(id);

  /** What a command on an existing budget carries, with what its audit row tells of it. */
  async function baseFor(actor: Actor, operation: string, named: Named, more: { readonly [name: string]: PlainJson }) {
    const account = await read(named.accountId);
    const resourceId = ledgerIdOf(account ?? { id: named.accountId });
    const base = auditedBase(ids, actor, { name: operation, tenantId: named.tenantId, resourceKind: 'budget', resourceId });
    const audit: CommandAudit = { ...base.audit, metadata: { scope: named.scope, unit: named.unit, ...more } };
    return { ...base, audit };
  }

  async function fund(actor: Actor, caller: CyclesCaller, name: BudgetName, funding: Funding): Promise<Outcome<FundAnswer>> {
    const found = resolve(caller, name);
    if (!found.ok) return found;
    const named = found.value;
    const { operation, amount, spent, reason, metadata, idempotencyKey } = funding;
    const refusal =
      refuseUnit(named.unit, 'amount', amount) ?? (operation === 'RESET_SPENT' ? refuseUnit(named.unit, 'spent', spent) : null);
    if (refusal !== null) return rejected(refusal);
    const isDeclared = refuseDeclaredBudget(declared, named);
    if (isDeclared !== null) return rejected(isDeclared);
    const base = await baseFor(answeredAs(actor, 'conflict', 'budget_not_found'), 'fundBudget', named, {
      operation,
      amount: `${amount.amount}`,
      ...(spent === undefined ? {} : { spent: `${spent.amount}` }),
      ...(reason === undefined ? {} : { reason }),
      ...(metadata === undefined ? {} : { metadata }),
    });
    const { scope, unit, tenantId, accountId } = named;
    const outcome = await writer.execute({
      verb: 'fund',
      ...base,
      accountId,
      operation,
      amount: amount.amount,
      ...(spent === undefined ? {} : { spent: spent.amount }),
      ...(reason === undefined ? {} : { reason }),
      ...(idempotencyKey === undefined
        ? {}
        : {
            idempotency: {
              ref: { tenantId, operation: 'fundBudget', target: '', key: idempotencyKey },
              hash: hasher.hash(`fundBudget ${canonicalJson({ scope, unit, request: funding.request })}`),
              keepMs: FUND_KEEP_MS,
            },
          }),
    });
    // One without a limit counts for other surfaces and is no budget on this one.
    if (!outcome.ok && outcome.rejection.code === 'conflict') return rejected(noBudget(named));
    return outcome.ok || outcome.rejection.code !== 'budget_not_found' ? outcome : rejected(noBudget(named));
  }

  return {
    create: async (actor, caller, budget) => {
      const { tenantId: namedTenant, allocated, overdraftLimit, scope: written, ...terms } = budget;
      const mismatch = refuseUnit(budget.unit, 'allocated', allocated) ?? refuseUnit(budget.unit, 'overdraft_limit', overdraftLimit);
      if (mismatch !== null) return rejected(mismatch);
      const scope = parseScope(written);
      if (!scope.ok) return scope;
      const refusal = refuseScope(caller, scope.value.path);
      if (refusal !== null) return rejected(refusal);
      const owner = ownerOf(caller, namedTenant);
      if ('rejection' in owner) return rejected(owner.rejection);
      const { tenantId } = owner;
      if (scope.value.tenantId !== tenantId)
        return rejected({ code: 'invalid_request', message: `scope must lie within tenant:${tenantId}`, field: 'scope' });
      const ledgerId = ids.next('ldg');
      const base = auditedBase(ids, actor, { name: 'createBudget', tenantId, resourceKind: 'budget', resourceId: ledgerId });
      const metadata = { scope: scope.value.path, unit: budget.unit, allocated: `${allocated.amount}` };
      return writer.execute({
        verb: 'create-budget',
        ...base,
        audit: { ...base.audit, metadata },
        ...terms,
        ledgerId,
        scope: scope.value.path,
        allocated: allocated.amount,
        overdraftLimit: overdraftLimit?.amount ?? 0n,
      });
    },
    find: async (caller, name) => {
      const found = resolve(caller, name);
      if (!found.ok) return found;
      const account = await read(found.value.accountId);
      return account === undefined || account.allocated === null ? rejected(noBudget(found.value)) : accepted(account);
    },
    update: async (actor, name, { overdraftLimit, overagePolicy, metadata }) => {
      const found = resolve(OPERATOR, name);
      if (!found.ok) return found;
      const mismatch = refuseUnit(name.unit, 'overdraft_limit', overdraftLimit);
      if (mismatch !== null) return rejected(mismatch);
      const base = await baseFor(actor, 'updateBudget', found.value, {
        ...(overdraftLimit === undefined ? {} : { overdraft_limit: `${overdraftLimit.amount}` }),
        ...(overagePolicy === undefined ? {} : { commit_overage_policy: overagePolicy }),
        ...(metadata === undefined ? {} : { metadata }),
      });
      return writer.execute({
        verb: 'update-budget',
        ...base,
        accountId: found.value.accountId,
        ...(overdraftLimit === undefined ? {} : { overdraftLimit: overdraftLimit.amount }),
        ...(overagePolicy === undefined ? {} : { overagePolicy }),
        ...(metadata === undefined ? {} : { metadata }),
      });
    },
    changeStatus: async (actor, name, to, { reason, metadata }) => {
      const found = resolve(OPERATOR, name);
      if (!found.ok) return found;
      const { accountId } = found.value;
      const given = reason === undefined ? {} : { reason };
      const base = await baseFor(actor, STATUS_OPERATIONS[to], found.value, { ...given, ...(metadata === undefined ? {} : { metadata }) });
      if (to === 'CLOSED') return writer.execute({ verb: 'close-budget', ...base, accountId, ...given });
      return writer.execute({ verb: to === 'FROZEN' ? 'freeze-budget' : 'unfreeze-budget', ...base, accountId, ...given });
    },
    fund,
  };
}

/** How the audit names what takes a budget to a state. */
const STATUS_OPERATIONS = { FROZEN: 'freezeBudget', ACTIVE: 'unfreezeBudget', CLOSED: 'closeBudget' } as const;

const noBudget = ({ scope, unit }: Named): Rejection => ({
  code: 'budget_not_found',
  message: `there is no budget of ${scope} in ${unit}`,
});
