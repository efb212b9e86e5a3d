import { eventEffects } from '../access/access-events.ts';
import { openTenant } from '../access/decide-tenant.ts';
import { invalid, notFound, type Refusal } from '../access/rules.ts';
import { readCallContext } from '../calls/call-context.ts';
import type { Effect } from '../effects.ts';
import { ceilDiv, INT64_MAX, isInt64 } from '../int64.ts';
import { USD_MICROCENTS, parseAccountId } from '../ledger/account.ts';
import { allocateEffects } from '../ledger/allocate.ts';
import { entryEffect } from '../ledger/journal.ts';
import type { Reservation } from '../ledger/reservation.ts';
import { memberRecordId, type Tenant } from '../records.ts';
import { accepted, rejected, type Rejection } from '../rejection.ts';
import { dearest, holdNanoUsd, NANOS_PER_MICROCENT } from '../pricing/rates.ts';
import { refuse, type State, type Verb } from '../verb.ts';
import { covers, MAX_BUDGET_RULES, ruleFor, ruleId, windowId, type BudgetRule } from './budget-rule.ts';
import type { DeleteBudgetRuleCommand, PutBudgetRuleCommand, ResetBudgetRuleCommand, WindowCommand } from './commands.ts';
import { spendingByTarget, type SpendingRef } from './spending.ts';
import { windowLabel, windowStartMs } from './window-period.ts';
import { windowLeg } from './window-legs.ts';

/** The largest limit: a thousand million USD. What is spent beside it stays far below int64. */
const MAX_LIMIT_MICROCENTS = 100_000_000_000_000_000n;

/** The rule was decided on the other side of midnight than its rows were loaded for: it is asked for again. */
const MIDNIGHT: Rejection = {
  code: 'stale_view',
  message: 'the window changed while this was decided; ask again',
};

/** Refuses a member who may not change rules: `forbidden`, or null. */
function refuseMember(state: State, { tenantId, memberId }: { readonly tenantId: string; readonly memberId?: string }): Refusal | null {
  if (memberId === undefined) return null;
  const member = state.record('member', memberRecordId(tenantId, memberId));
  return member !== undefined && member.removedAtMs === null && member.role === 'admin'
    ? null
    : rejected({ code: 'forbidden', message: 'only admins of the project may change its budgets' });
}

const memberNeeds = ({ tenantId, memberId }: { readonly tenantId: string; readonly memberId?: string }) =>
  memberId === undefined ? [] : [{ kind: 'member' as const, id: memberRecordId(tenantId, memberId) }];

/** The record of the member or the key that a rule names; none for the others. */
function targetNeeds({ tenantId, scope, target }: PutBudgetRuleCommand) {
  if (target === null) return [];
  if (scope === 'user') return [{ kind: 'member' as const, id: memberRecordId(tenantId, target) }];
  return scope === 'key' ? [{ kind: 'key' as const, id: target }] : [];
}

/** Refuses a rule for nobody: `invalid_request` (a target that is missing or too much), `not_found`; null where there is one. */
function refuseTarget(state: State, command: PutBudgetRuleCommand): Refusal | null {
  const { tenantId, scope, target } = command;
  if (scope !== 'user' && scope !== 'key') return target === null ? null : invalid('target', `not be given for the scope ${scope}`);
  if (target === null) return invalid('target', scope === 'user' ? 'be the id of a member' : 'be the id of a key');
  if (scope === 'user') {
    const member = state.record('member', memberRecordId(tenantId, target));
    return member === undefined || member.removedAtMs !== null ? notFound(`member ${target}`) : null;
  }
  const key = state.record('key', target);
  const calls =
    key !== undefined && key.tenantId === tenantId && key.deletedAtMs === null && (key.kind === 'inference' || key.kind === 'management');
  return calls ? null : notFound('API key');
}

function refuseLimit(limit: bigint): Refusal | null {
  return limit >= 0n && limit <= MAX_LIMIT_MICROCENTS ? null : invalid('limit_usd', 'lie between 0 and 1000000000');
}

const withRules = (tenant: Tenant, budgetRules: readonly BudgetRule[]): Effect => ({
  type: 'record',
  kind: 'tenant',
  id: tenant.id,
  record: { ...tenant, budgetRules },
});

/** What events and the audit tell of a rule. Amounts are decimal text. */
const told = (tenantId: string, rule: BudgetRule) => ({
  tenant_id: tenantId,
  budget_id: rule.id,
  scope: rule.scope,
  ...(rule.target === null ? {} : { target: rule.target }),
  period: rule.period,
  limit: rule.limitMicrocents,
  unit: USD_MICROCENTS,
});

/**
 * What a call in flight may cost at most, in USD micro-cents: what it holds on another account in that unit, else all the tokens that it
 * holds, each at the dearest rate of any upstream that it may go to.
 */
function moneyHeld(call: Reservation): bigint {
  const sameUnit = call.legs.find(({ accountId }) => parseAccountId(accountId).unit === USD_MICROCENTS);
  if (sameUnit !== undefined) return sameUnit.amount;
  const context = readCallContext(call.context);
  const rates = dearest(context?.candidates.flatMap(({ price }) => (price === null ? [] : [price.rates])) ?? []);
  const tokens = call.legs.find(({ accountId }) => parseAccountId(accountId).unit === 'TOKENS')?.amount ?? 0n;
  if (rates === null) return 0n;
  const { base, perUnit } = holdNanoUsd(rates, { inputTokens: Number(tokens), choices: 1, media: context?.media ?? null });
  const nanos = base + perUnit * tokens;
  const microcents = ceilDiv(nanos, NANOS_PER_MICROCENT);
  return microcents > INT64_MAX ? INT64_MAX : microcents;
}

/** Makes a call in flight hold on one more account: from its beginning on, and no more where its time is over. */
function joinEffects(call: Reservation, accountId: ReturnType<typeof windowId>): { call: Reservation; effects: Effect[] } {
  const isHeld = call.state === 'ACTIVE';
  const amount = isHeld ? moneyHeld(call) : 0n;
  const joined: Reservation = { ...call, legs: [...call.legs, { accountId, amount }] };
  const line = { command: call.id, dReserved: amount };
  return {
    call: joined,
    effects: [
      entryEffect(accountId, { ...line, verb: 'reserve', atMs: call.createdAtMs }),
      ...(isHeld ? [] : [entryEffect(accountId, { ...line, verb: 'expire', atMs: call.finalizedAtMs ?? call.createdAtMs })]),
      { type: 'reservation', reservation: joined },
    ],
  };
}

const spendingRef = (command: PutBudgetRuleCommand): SpendingRef => ({
  tenantId: command.tenantId,
  sinceMs: windowStartMs(command.period, command.atMs),
  label: windowLabel(command.period, command.atMs),
  scope: command.scope,
  target: command.target,
});

/** What was spent in the window before the rule was made, put onto the accounts of its targets; calls in flight hold on them from now on. */
function seedEffects(state: State, command: PutBudgetRuleCommand, rules: readonly BudgetRule[], nowMs: number): Effect[] {
  const ref = spendingRef(command);
  const effects: Effect[] = [];
  for (const [target, { microcents, calls }] of spendingByTarget(ref, state.spending(ref))) {
    const id = windowId(command.tenantId, target, ref.label);
    const rule = ruleFor(rules, target, command.period);
    if (rule === undefined) continue;
    const before = state.account(id);
    effects.push(...windowLeg(state, { rule, target }, { tenantId: command.tenantId, command: command.id, nowMs }).effects);
    for (const call of calls) {
      if (call.legs.some(({ accountId }) => accountId === id)) continue;
      effects.push(...joinEffects(call, id).effects);
    }
    const missing = microcents - (before?.spent ?? 0n);
    if (missing > 0n) effects.push(entryEffect(id, { command: command.id, verb: 'debit', atMs: nowMs, dSpent: missing }));
  }
  return effects;
}

/**
 * Sets the limit of a rule, making the rule where there is none. The value is the rule.
 *
 * A new rule counts what was spent before it in its present window: the charges of all usage that was held in it, and what is still in
 * flight, which settles there. A changed limit acts on the next call, whatever was spent.
 * Rejects, in this order: `not_found` (the tenant), `tenant_closed`, `forbidden` (a member who is no admin), `invalid_request` (target,
 * limit_usd), `not_found` (the member or key), `invalid_request` (too many rules), `stale_view` (midnight passed: ask again).
 * Source: Cortecs reference, section 3; architecture section 4.
 */
const putBudgetRuleVerb: Verb<PutBudgetRuleCommand, BudgetRule> = {
  needs: (command) => ({
    tenantLock: 'exclusive',
    records: [{ kind: 'tenant', id: command.tenantId }, ...memberNeeds(command), ...targetNeeds(command)],
    spending: spendingRef(command),
  }),
  decide: (state, command, nowMs) => {
    const open = openTenant(state, command.tenantId);
    if ('rejection' in open) return refuse(rejected(open.rejection));
    const bad = refuseMember(state, command) ?? refuseTarget(state, command) ?? refuseLimit(command.limitMicrocents);
    if (bad !== null) return refuse(bad);
    const { scope, target, period } = command;
    const { tenant } = open;
    const rules = tenant.budgetRules ?? [];
    const id = ruleId({ scope, target, period });
    const before = rules.find((rule) => rule.id === id);
    const limitMicrocents = `${command.limitMicrocents}`;
    if (before?.limitMicrocents === limitMicrocents) return { outcome: accepted(before), effects: [] };
    if (before === undefined && rules.length >= MAX_BUDGET_RULES)
      return refuse(invalid('scope', `not add to ${MAX_BUDGET_RULES} rules, which are the most that a project may have`));
    if (windowLabel(period, nowMs) !== windowLabel(period, command.atMs)) return refuse(rejected(MIDNIGHT));
    const rule: BudgetRule = { id, scope, target, period, limitMicrocents, createdAtMs: before?.createdAtMs ?? nowMs, updatedAtMs: nowMs };
    const after = before === undefined ? [...rules, rule] : rules.map((each) => (each.id === id ? rule : each));
    const type = before === undefined ? 'budget_rule.created' : 'budget_rule.updated';
    return {
      outcome: accepted(rule),
      effects: [
        ...(before === undefined ? seedEffects(state, command, after, nowMs) : []),
        withRules(tenant, after),
        ...eventEffects(command, nowMs, [{ type, data: told(command.tenantId, rule) }]),
      ],
      auditMetadata: { limit: limitMicrocents, ...(before === undefined ? {} : { previous_limit: before.limitMicrocents }) },
    };
  },
};

/** The rule of a command, if its tenant has it and it may be changed. */
function ownRule(
  state: State,
  command: { readonly tenantId: string; readonly ruleId: string; readonly memberId?: string },
): { readonly tenant: Tenant; readonly rule: BudgetRule } | Refusal {
  const open = openTenant(state, command.tenantId);
  if ('rejection' in open) return rejected(open.rejection);
  const bad = refuseMember(state, command);
  if (bad !== null) return bad;
  const rule = open.tenant.budgetRules?.find(({ id }) => id === command.ruleId);
  return rule === undefined ? notFound('budget') : { tenant: open.tenant, rule };
}

/**
 * Forgets a rule; what was counted stays in the journal. The value is the rule as it was.
 *
 * Rejects, in this order: `not_found` (the tenant), `tenant_closed`, `forbidden` (a member who is no admin), `not_found`.
 */
const deleteBudgetRuleVerb: Verb<DeleteBudgetRuleCommand, BudgetRule> = {
  needs: (command) => ({ tenantLock: 'exclusive', records: [{ kind: 'tenant', id: command.tenantId }, ...memberNeeds(command)] }),
  decide: (state, command, nowMs) => {
    const own = ownRule(state, command);
    if (!('rule' in own)) return refuse(own);
    const { tenant, rule } = own;
    const left = (tenant.budgetRules ?? []).filter(({ id }) => id !== rule.id);
    const events = eventEffects(command, nowMs, [{ type: 'budget_rule.deleted', data: told(tenant.id, rule) }]);
    return { outcome: accepted(rule), effects: [withRules(tenant, left), ...events] };
  },
};

/** What a reset did: what was put out of account, in USD micro-cents as decimal text. */
export interface BudgetReset {
  readonly rule: BudgetRule;
  readonly target: string;
  readonly label: string;
  readonly spentMicrocents: string;
}

/**
 * Lets a target begin anew in its present window: what it has spent so far counts no more. A mark, and never a change of what was booked;
 * what is in flight stays held. The value tells what was put out of account.
 *
 * Rejects, in this order: `not_found` (the tenant), `tenant_closed`, `forbidden` (a member who is no admin), `not_found` (the rule),
 * `invalid_request` (a target that the rule is not for), `stale_view` (midnight passed: ask again), `amount_out_of_range`.
 */
const resetBudgetRuleVerb: Verb<ResetBudgetRuleCommand, BudgetReset> = {
  needs: (command) => ({
    tenantLock: 'exclusive',
    accounts: [windowId(command.tenantId, command.windowTarget, windowLabel(command.period, command.atMs))],
    records: [{ kind: 'tenant', id: command.tenantId }, ...memberNeeds(command)],
  }),
  decide: (state, command, nowMs) => {
    const own = ownRule(state, command);
    if (!('rule' in own)) return refuse(own);
    const { rule } = own;
    const { windowTarget: target, tenantId } = command;
    if (!covers(rule, target)) return refuse(invalid('target', `be one that the budget ${rule.id} is for`));
    const label = windowLabel(rule.period, nowMs);
    if (rule.period !== command.period || label !== windowLabel(rule.period, command.atMs)) return refuse(rejected(MIDNIGHT));
    const id = windowId(tenantId, target, label);
    const account = state.account(id);
    const counted = account === undefined ? 0n : account.spent - (account.window?.resetSpent ?? 0n);
    const value: BudgetReset = { rule, target, label, spentMicrocents: `${counted}` };
    if (account === undefined || counted === 0n) return { outcome: accepted(value), effects: [] };
    const allocated = BigInt(rule.limitMicrocents) + account.spent;
    if (!isInt64(allocated))
      return refuse(rejected({ code: 'amount_out_of_range', message: 'the window has counted too much to be reset', field: 'target' }));
    const reset = { ...account, window: { resetSpent: account.spent, resetAtMs: nowMs } };
    const data = { ...told(tenantId, rule), window: label, window_target: target, spent: `${counted}` };
    return {
      outcome: accepted(value),
      effects: [
        { type: 'account', account: reset },
        ...allocateEffects(reset, id, allocated, { command: command.id, nowMs }),
        ...eventEffects(command, nowMs, [{ type: 'budget_rule.reset', data }]),
      ],
      auditMetadata: { window: label, window_target: target, spent: `${counted}` },
    };
  },
};

/** The decisions of budgets with windows, by verb. */
export const WINDOW_VERBS = {
  'put-budget-rule': putBudgetRuleVerb,
  'delete-budget-rule': deleteBudgetRuleVerb,
  'reset-budget-rule': resetBudgetRuleVerb,
} as const satisfies { readonly [K in WindowCommand['verb']]: Verb<Extract<WindowCommand, { verb: K }>, unknown> };
