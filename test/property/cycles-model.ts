/**
 * The budget authority as its documents tell it, in the plainest way: scopes are texts, balances are numbers, one thing happens after
 * another. Shares no code with the program, so that a mistake must be made twice to go unnoticed.
 */

/** Whom a spend is for, as a client writes it. */
export type ModelSubject = Readonly<Record<string, string>>;
export type ModelPolicy = 'REJECT' | 'ALLOW_IF_AVAILABLE' | 'ALLOW_WITH_OVERDRAFT';
export type FundingOperation = 'CREDIT' | 'DEBIT' | 'RESET' | 'RESET_SPENT' | 'REPAY_DEBT';

/** One budget. */
export interface ModelBudget {
  readonly scope: string;
  readonly unit: string;
  allocated: bigint;
  spent: bigint;
  held: bigint;
  owed: bigint;
  overdraft: bigint;
  over: boolean;
  status: 'ACTIVE' | 'FROZEN' | 'CLOSED';
  readonly policy: ModelPolicy | null;
}

/** One reservation. `on` are the budgets that it holds on. */
export interface ModelHold {
  readonly unit: string;
  readonly amount: bigint;
  readonly on: readonly ModelBudget[];
  readonly policy: ModelPolicy;
  state: 'ACTIVE' | 'COMMITTED' | 'RELEASED' | 'EXPIRED';
  endsAt: number;
  readonly grace: number;
  extended: number;
}

/** What a request should be answered with: a code where it is refused, else what the answer says. `touched` are the budgets that it shows. */
export type Said =
  | { readonly code: string }
  | ({ readonly code?: never; readonly touched: readonly ModelBudget[] } & Record<string, unknown>);

const LEVELS = ['tenant', 'workspace', 'app', 'workflow', 'agent', 'toolset'];
const positive = (amount: bigint): bigint => (amount > 0n ? amount : 0n);
const smaller = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** What is left of a budget; below nothing where it is in debt. */
export const leftOf = (budget: ModelBudget): bigint => budget.allocated - budget.spent - budget.held - budget.owed;

/** One tenant with its budgets and reservations. */
export class CyclesModel {
  readonly budgets = new Map<string, ModelBudget>();
  readonly holds = new Map<string, ModelHold>();
  status: 'ACTIVE' | 'SUSPENDED' | 'CLOSED' = 'ACTIVE';
  readonly #defaultPolicy: ModelPolicy | null;
  readonly #maxExtensions: number;

  constructor(terms: { defaultPolicy: ModelPolicy | null; maxExtensions: number }) {
    this.#defaultPolicy = terms.defaultPolicy;
    this.#maxExtensions = terms.maxExtensions;
  }

  /** Scopes from the widest on. */
  scopesOf(subject: ModelSubject): string[] {
    const segments = LEVELS.filter((level) => (subject[level] ?? '').trim() !== '').map(
      (level) => `${level}:${subject[level]?.toLowerCase()}`,
    );
    return segments.map((_, index) => segments.slice(0, index + 1).join('/'));
  }

  #budgetsOf(subject: ModelSubject, unit: string): ModelBudget[] {
    return this.scopesOf(subject).flatMap((scope) => this.budgets.get(`${scope} ${unit}`) ?? []);
  }

  makeBudget(parts: { scope: string; unit: string; allocated: bigint; overdraft: bigint; policy: ModelPolicy | null }): Said {
    if (this.status === 'SUSPENDED') return { code: 'TENANT_SUSPENDED' };
    const name = `${parts.scope} ${parts.unit}`;
    if (this.budgets.has(name)) return { code: 'DUPLICATE_RESOURCE' };
    this.budgets.set(name, { ...parts, spent: 0n, held: 0n, owed: 0n, over: false, status: 'ACTIVE' });
    return { touched: [] };
  }

  fund(name: string, operation: FundingOperation, amount: bigint, spent: bigint | null): Said {
    const budget = this.budgets.get(name);
    if (budget === undefined) return { code: 'BUDGET_NOT_FOUND' };
    if (budget.status !== 'ACTIVE') return { code: `BUDGET_${budget.status}` };
    if (operation === 'DEBIT' && leftOf(budget) < amount) return { code: 'BUDGET_EXCEEDED' };
    if (operation === 'CREDIT') budget.allocated += amount;
    if (operation === 'DEBIT') budget.allocated -= amount;
    if (operation === 'RESET' || operation === 'RESET_SPENT') budget.allocated = amount;
    if (operation === 'RESET_SPENT') budget.spent = spent ?? 0n;
    if (operation === 'REPAY_DEBT') {
      const repaid = smaller(amount, budget.owed);
      budget.owed -= repaid;
      budget.allocated += amount - repaid;
    }
    budget.over = budget.owed > budget.overdraft;
    return { touched: [] };
  }

  setOverdraft(name: string, overdraft: bigint): Said {
    const budget = this.budgets.get(name);
    if (budget === undefined) return { code: 'BUDGET_NOT_FOUND' };
    if (budget.status === 'CLOSED') return { code: 'BUDGET_CLOSED' };
    budget.overdraft = overdraft;
    budget.over = budget.owed > overdraft;
    return { touched: [] };
  }

  setStatus(name: string, to: ModelBudget['status']): Said {
    const budget = this.budgets.get(name);
    if (budget === undefined) return { code: 'BUDGET_NOT_FOUND' };
    if (budget.status === 'CLOSED') return { code: 'BUDGET_CLOSED' };
    if (budget.status === to) return { code: 'refused' };
    budget.status = to;
    return { touched: [] };
  }

  /** Why an amount cannot be held, `null` where it can. */
  #whyNot(subject: ModelSubject, unit: string, amount: bigint): string | null {
    if (this.status !== 'ACTIVE') return `TENANT_${this.status}`;
    const uncovered = this.#uncovered(subject, unit);
    if (uncovered !== null) return uncovered;
    for (const budget of this.#budgetsOf(subject, unit)) {
      if (budget.status !== 'ACTIVE') return `BUDGET_${budget.status}`;
      if (budget.over) return 'OVERDRAFT_LIMIT_EXCEEDED';
      if (budget.owed > 0n && budget.overdraft === 0n) return 'DEBT_OUTSTANDING';
      if (leftOf(budget) < amount) return 'BUDGET_EXCEEDED';
    }
    return null;
  }

  #uncovered(subject: ModelSubject, unit: string): string | null {
    if (this.#budgetsOf(subject, unit).length > 0) return null;
    const scopes = this.scopesOf(subject);
    return [...this.budgets.values()].some((budget) => scopes.includes(budget.scope)) ? 'UNIT_MISMATCH' : 'NOT_FOUND';
  }

  /** What a decision or a dry run says: a wrong unit is a fault of the request, all else is a denial. */
  decide(subject: ModelSubject, unit: string, amount: bigint): Said {
    if (this.#uncovered(subject, unit) === 'UNIT_MISMATCH') return { code: 'UNIT_MISMATCH' };
    const reason = this.#whyNot(subject, unit, amount);
    const decision = {
      decision: reason === null ? 'ALLOW' : 'DENY',
      reason: reason === 'NOT_FOUND' ? 'BUDGET_NOT_FOUND' : (reason ?? undefined),
    };
    return { ...decision, touched: this.#budgetsOf(subject, unit) };
  }

  reserve(
    id: string | undefined,
    spend: { subject: ModelSubject; unit: string; amount: bigint; policy: ModelPolicy | undefined; ttl: number; grace: number },
    now: number,
  ): Said {
    const reason = this.#whyNot(spend.subject, spend.unit, spend.amount);
    if (reason !== null) return { code: reason === 'TENANT_SUSPENDED' ? 'FORBIDDEN' : reason };
    const on = this.#budgetsOf(spend.subject, spend.unit);
    for (const budget of on) budget.held += spend.amount;
    const hold: ModelHold = {
      unit: spend.unit,
      amount: spend.amount,
      on,
      policy: this.#policyOf(spend.policy, on),
      state: 'ACTIVE',
      endsAt: now + spend.ttl,
      grace: spend.grace,
      extended: 0,
    };
    this.holds.set(id ?? '', hold);
    return { touched: on, endsAt: hold.endsAt };
  }

  #policyOf(asked: ModelPolicy | undefined, on: readonly ModelBudget[]): ModelPolicy {
    if (asked !== undefined) return asked;
    const ofBudgets = on.map(({ policy }) => policy).filter((policy) => policy !== null);
    return ofBudgets.at(-1) ?? this.#defaultPolicy ?? 'ALLOW_IF_AVAILABLE';
  }

  commit(id: string, unit: string, actual: bigint, now: number): Said {
    const hold = this.holds.get(id);
    if (hold === undefined) return { code: 'NOT_FOUND' };
    if (hold.state === 'EXPIRED') return { code: 'RESERVATION_EXPIRED' };
    if (hold.state !== 'ACTIVE') return { code: 'RESERVATION_FINALIZED' };
    if (hold.unit !== unit) return { code: 'UNIT_MISMATCH' };
    if (now > hold.endsAt + hold.grace) return { code: 'RESERVATION_EXPIRED' };
    let charged = actual;
    if (actual <= hold.amount) for (const budget of hold.on) budget.spent += actual;
    else {
      if (hold.policy === 'REJECT') return { code: 'BUDGET_EXCEEDED' };
      const above = this.#take(hold.on, actual - hold.amount, hold.policy);
      if (above === null) return { code: 'OVERDRAFT_LIMIT_EXCEEDED' };
      for (const budget of hold.on) budget.spent += hold.amount;
      charged = hold.amount + above;
    }
    for (const budget of hold.on) budget.held -= hold.amount;
    hold.state = 'COMMITTED';
    return { touched: hold.on, charged, released: positive(hold.amount - actual) };
  }

  /** Takes up to an amount beyond all holds from every budget, and says how much; null, and nothing is taken, where a debt would be too large. */
  #take(on: readonly ModelBudget[], amount: bigint, policy: ModelPolicy): bigint | null {
    const owes = (budget: ModelBudget): boolean => policy === 'ALLOW_WITH_OVERDRAFT' && budget.overdraft > 0n;
    let taken = amount;
    for (const budget of on) if (!owes(budget)) taken = smaller(taken, positive(leftOf(budget)));
    const unfunded = (budget: ModelBudget): bigint => (owes(budget) ? positive(taken - positive(leftOf(budget))) : 0n);
    if (on.some((budget) => unfunded(budget) > 0n && budget.owed + unfunded(budget) > budget.overdraft)) return null;
    for (const budget of on) {
      const debt = unfunded(budget);
      if (taken < amount && !owes(budget) && leftOf(budget) < amount) budget.over = true;
      budget.spent += taken - debt;
      budget.owed += debt;
    }
    return taken;
  }

  event(subject: ModelSubject, unit: string, amount: bigint, asked: ModelPolicy | undefined): Said {
    if (this.status === 'SUSPENDED') return { code: 'FORBIDDEN' };
    const uncovered = this.#uncovered(subject, unit);
    if (uncovered !== null) return { code: uncovered };
    const on = this.#budgetsOf(subject, unit);
    const policy = this.#policyOf(asked, on);
    for (const budget of on) {
      if (budget.status !== 'ACTIVE') return { code: `BUDGET_${budget.status}` };
      if (policy === 'REJECT' && leftOf(budget) < amount) return { code: 'BUDGET_EXCEEDED' };
    }
    const charged = this.#take(on, amount, policy);
    if (charged === null) return { code: 'OVERDRAFT_LIMIT_EXCEEDED' };
    return { touched: on, charged: charged < amount ? charged : undefined };
  }

  release(id: string, now: number): Said {
    const hold = this.holds.get(id);
    if (hold === undefined) return { code: 'NOT_FOUND' };
    if (hold.state === 'EXPIRED') return { code: 'RESERVATION_EXPIRED' };
    if (hold.state !== 'ACTIVE') return { code: 'RESERVATION_FINALIZED' };
    if (now > hold.endsAt + hold.grace) return { code: 'RESERVATION_EXPIRED' };
    this.#end(hold, 'RELEASED');
    return { touched: hold.on, released: hold.amount };
  }

  extend(id: string, by: number, now: number): Said {
    const hold = this.holds.get(id);
    if (hold === undefined) return { code: 'NOT_FOUND' };
    if (hold.state === 'EXPIRED' || (hold.state === 'ACTIVE' && now > hold.endsAt)) return { code: 'RESERVATION_EXPIRED' };
    if (hold.state !== 'ACTIVE') return { code: 'RESERVATION_FINALIZED' };
    if (hold.extended >= this.#maxExtensions) return { code: 'MAX_EXTENSIONS_EXCEEDED' };
    hold.extended += 1;
    hold.endsAt += by;
    return { touched: hold.on, endsAt: hold.endsAt };
  }

  /** Returns whatever is past its time and grace. */
  sweep(now: number): void {
    for (const hold of this.holds.values()) if (hold.state === 'ACTIVE' && now > hold.endsAt + hold.grace) this.#end(hold, 'EXPIRED');
  }

  /** Ends everything that the tenant has. */
  close(): void {
    this.status = 'CLOSED';
    for (const hold of this.holds.values()) if (hold.state === 'ACTIVE') this.#end(hold, 'RELEASED');
    for (const budget of this.budgets.values()) budget.status = 'CLOSED';
  }

  #end(hold: ModelHold, state: 'RELEASED' | 'EXPIRED'): void {
    for (const budget of hold.on) budget.held -= hold.amount;
    hold.state = state;
  }
}
