import type {
  AllocateCommand,
  CommandIdempotency,
  CommitCommand,
  DebitCommand,
  ExtendCommand,
  FundCommand,
  KeepCallCommand,
  ReleaseCommand,
  ReserveCommand,
  SettleCallCommand,
} from '../../src/core/ledger/commands.ts';
import type { Command } from '../../src/core/verbs.ts';

/**
 * The ledger as the specification tells it, in the plainest way: maps, arithmetic on the spot, one thing after another. Shares no code
 * with the program but the types of its commands, so that a mistake must be made twice to go unnoticed.
 */

const INT64 = 2n ** 63n - 1n;

/** One account. `limit` null: unlimited. */
export interface ModelAccount {
  limit: bigint | null;
  spent: bigint;
  held: bigint;
  owed: bigint;
  overdraft: bigint;
  over: boolean;
  status: 'ACTIVE' | 'FROZEN' | 'CLOSED';
}

/** One reservation. */
export interface ModelHold {
  tenant: string;
  isCall: boolean;
  state: 'ACTIVE' | 'COMMITTED' | 'RELEASED' | 'EXPIRED';
  parts: { account: string; amount: bigint; charged: bigint | null }[];
  policy: string;
  madeAt: number;
  endsAt: number;
  grace: number;
  extended: number;
  mayExtend: number;
  finalizedAt: number | null;
  settledAt: number | null;
  note: unknown;
}

/** What a command should come to. `quiet`: it changes nothing, since it is refused or was answered before. */
export type Expected =
  | { readonly ok: true; readonly value: unknown; readonly quiet: boolean }
  | { readonly ok: false; readonly code: string; readonly account?: string; readonly quiet: true };

class Refusal extends Error {
  readonly code: string;
  readonly account: string | undefined;
  constructor(code: string, account?: string) {
    super(code);
    this.code = code;
    this.account = account;
  }
}

const unitOf = (account: string): string => account.split('|')[3] ?? '';
const kindOf = (account: string): string => account.split('|')[1] ?? '';
const left = (account: ModelAccount): bigint => (account.limit ?? 0n) - account.spent - account.held - account.owed;
const has = (account: ModelAccount, amount: bigint): boolean => account.limit === null || left(account) >= amount;
/** What is left may not fall by `less` to below the least of 64 bits. */
const mustStayInRange = (account: ModelAccount, less: bigint): void => {
  if (account.limit !== null && less > 0n && left(account) - less < -INT64 - 1n) throw new Refusal('amount_out_of_range');
};

const inRange = (amount: bigint): boolean => amount >= 0n && amount <= INT64;

/** The whole ledger. */
export class LedgerModel {
  readonly accounts = new Map<string, ModelAccount>();
  readonly holds = new Map<string, ModelHold>();
  readonly tenants = new Map<string, string>();
  readonly usage = new Map<string, { atMs: number; heldAtMs: number }>();
  expiredEvents = 0;
  readonly #answers = new Map<string, { hash: string; value: unknown; until: number }>();

  /** Does what `command` asks for at `now`, or refuses and changes nothing. */
  apply(command: Command, now: number): Expected {
    try {
      const idempotency = 'idempotency' in command ? command.idempotency : undefined;
      if (idempotency === undefined) return { ok: true, value: this.#do(command, now), quiet: false };
      return this.#once(idempotency, now, () => this.#do(command, now));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { ok: false, code: error.code, quiet: true, ...(error.account === undefined ? {} : { account: error.account }) };
    }
  }

  /** Whether a forced charge of these amounts is more than an account can count, as spent or as debt: no caller may ask for that. */
  wouldOverflow(id: string, tokens: bigint, microcents: bigint): boolean {
    const parts = this.holds.get(id)?.parts ?? [];
    return parts.some((part) => {
      const amount = unitOf(part.account) === 'TOKENS' ? tokens : microcents;
      const { spent, owed } = this.#account(part.account);
      return amount > INT64 || spent + owed + amount > 2n * INT64;
    });
  }

  #once(idempotency: CommandIdempotency, now: number, act: () => unknown): Expected {
    const { ref } = idempotency;
    const name = [ref.tenantId, ref.operation, ref.target, ref.key].join('\n');
    const known = this.#answers.get(name);
    if (known !== undefined && now < known.until) {
      if (known.hash !== idempotency.hash) throw new Refusal('idempotency_mismatch');
      return { ok: true, value: known.value, quiet: true };
    }
    const value = act();
    this.#answers.set(name, { hash: idempotency.hash, value, until: now + idempotency.keepMs });
    return { ok: true, value, quiet: false };
  }

  #do(command: Command, now: number): unknown {
    switch (command.verb) {
      case 'reserve':
        return this.#reserve(command, now);
      case 'commit':
        return this.#commit(command, now);
      case 'release':
        return this.#release(command, now);
      case 'extend':
        return this.#extend(command, now);
      case 'debit':
        return this.#debit(command);
      case 'fund':
        return this.#fund(command, now);
      case 'allocate':
        return this.#allocate(command);
      case 'expire':
        return this.#expire(command.reservationId, now);
      case 'keep-call':
        return this.#keep(command, now);
      case 'settle-call':
        return this.#settle(command, now);
      case 'create-tenant':
        if (this.tenants.has(command.tenant.id)) throw new Refusal('conflict');
        this.tenants.set(command.tenant.id, 'ACTIVE');
        return undefined;
      case 'update-tenant': {
        const status = this.tenants.get(command.tenantId);
        if (status === undefined) throw new Refusal('not_found');
        // To close once more is no fault; a closed tenant stays so, and changes in nothing.
        if (status === 'CLOSED' && command.status !== 'CLOSED')
          throw new Refusal(command.status === undefined ? 'tenant_closed' : 'invalid_transition');
        this.tenants.set(command.tenantId, command.status ?? status);
        return undefined;
      }
      default:
        throw new Error(`the model knows no ${command.verb}`);
    }
  }

  #reserve(command: ReserveCommand, now: number): unknown {
    this.#mustBeOpen(command.tenantId, { suspendedToo: true });
    for (const leg of command.legs) if (leg.required && !this.accounts.has(leg.accountId)) throw new Refusal('budget_not_found');
    const legs = command.legs.filter((leg) => this.accounts.has(leg.accountId));
    if (legs.length === 0 && command.mustCover) this.#nothingCovers(command.otherUnitAccounts);
    const isMoney = (id: string): boolean => unitOf(id) !== 'TOKENS' && this.#account(id).limit !== null;
    if (command.mustCoverMoney && !legs.some((leg) => isMoney(leg.accountId))) throw new Refusal('budget_required');

    const amountAt = (leg: ReserveCommand['legs'][number], output: bigint): bigint => {
      const nanos = leg.base + leg.perUnit * output;
      const whole = nanos / leg.divisor;
      return whole * leg.divisor < nanos ? whole + 1n : whole;
    };
    const lowering = legs.filter((leg) => leg.perUnit > 0n);
    let output = command.output.max;
    while (output > command.output.min && !lowering.every((leg) => has(this.#account(leg.accountId), amountAt(leg, output)))) output -= 1n;

    let waiting: string | undefined;
    for (const leg of legs) {
      const account = this.#account(leg.accountId);
      const amount = amountAt(leg, output);
      this.#mustTakeSpend(leg.accountId);
      if (account.over) throw new Refusal('over_limit', leg.accountId);
      if (account.owed > 0n && account.overdraft === 0n) throw new Refusal('debt_outstanding', leg.accountId);
      if (!inRange(amount) || (account.limit === null && account.held + amount > INT64)) throw new Refusal('amount_out_of_range');
      if (has(account, amount)) continue;
      const withoutHolds = left(account) + account.held;
      if (command.purpose === 'call' && withoutHolds >= amount) waiting ??= leg.accountId;
      else throw this.#short(leg.accountId);
    }
    if (waiting !== undefined) throw new Refusal('held', waiting);

    const parts = legs.map((leg) => ({ account: leg.accountId, amount: amountAt(leg, output), charged: null }));
    for (const part of parts) this.#account(part.account).held += part.amount;
    this.holds.set(command.reservationId, {
      tenant: command.tenantId,
      isCall: command.purpose === 'call',
      state: 'ACTIVE',
      parts,
      policy: command.overagePolicy,
      madeAt: now,
      endsAt: now + command.ttlMs,
      grace: command.graceMs,
      extended: 0,
      mayExtend: command.maxExtensions,
      finalizedAt: null,
      settledAt: null,
      note: null,
    });
    return {
      reservationId: command.reservationId,
      output: String(output),
      legs: parts.map((part) => ({ accountId: part.account, amount: String(part.amount) })),
      createdAtMs: now,
      expiresAtMs: now + command.ttlMs,
      rates: [],
    };
  }

  #commit(command: CommitCommand, now: number): unknown {
    const hold = this.#clientHold(command);
    this.#mustBeOpen(hold.tenant, { suspendedToo: false });
    this.#mustHold(hold);
    if (!hold.parts.some((part) => unitOf(part.account) === command.unit)) throw new Refusal('unit_mismatch');
    this.#mustBeSettleable(hold, now, hold.endsAt + hold.grace);
    if (!inRange(command.actual)) throw new Refusal('amount_out_of_range');
    const estimate = hold.parts[0]?.amount ?? 0n;
    const ids = hold.parts.map((part) => part.account);
    const over = command.actual - estimate;
    let charged = command.actual;
    let owed = new Map<string, bigint>();
    let short: string[] = [];
    if (over > 0n) {
      if (hold.policy === 'REJECT') throw new Refusal('budget_exceeded', ids[0]);
      const taken = this.#overage(ids, over, hold.policy);
      charged = estimate + taken.charged;
      ({ owed, short } = taken);
    }
    for (const id of ids) if (this.#account(id).spent + charged - (owed.get(id) ?? 0n) > INT64) throw new Refusal('amount_out_of_range');
    for (const part of hold.parts) mustStayInRange(this.#account(part.account), charged - part.amount);
    for (const part of hold.parts) {
      const account = this.#account(part.account);
      const debt = owed.get(part.account) ?? 0n;
      account.held -= part.amount;
      account.spent += charged - debt;
      account.owed += debt;
      if (short.includes(part.account)) account.over = true;
      part.charged = charged;
    }
    this.#finish(hold, 'COMMITTED', now);
    const released = over < 0n ? -over : 0n;
    return { reservationId: command.reservationId, charged: String(charged), released: String(released) };
  }

  /** How much of `over` every account takes, what each owes for it, and which could not pay it all themselves. */
  #overage(ids: readonly string[], over: bigint, policy: string): { charged: bigint; owed: Map<string, bigint>; short: string[] } {
    const mayOwe = (id: string): boolean => policy === 'ALLOW_WITH_OVERDRAFT' && this.#account(id).overdraft > 0n;
    const short = ids.filter((id) => !mayOwe(id) && !has(this.#account(id), over));
    let charged = over;
    for (const id of short) {
      const available = left(this.#account(id)) > 0n ? left(this.#account(id)) : 0n;
      if (available < charged) charged = available;
    }
    const owed = new Map<string, bigint>();
    for (const id of ids) {
      const account = this.#account(id);
      if (!mayOwe(id) || account.limit === null) continue;
      const available = left(account) > 0n ? left(account) : 0n;
      const deficit = charged - available;
      if (deficit <= 0n) continue;
      if (account.owed + deficit > account.overdraft) throw new Refusal('over_limit', id);
      owed.set(id, deficit);
    }
    return { charged, owed, short: charged < over ? short : [] };
  }

  #release(command: ReleaseCommand, now: number): unknown {
    const hold = this.#clientHold(command);
    this.#mustBeOpen(hold.tenant, { suspendedToo: false });
    this.#mustBeSettleable(hold, now, hold.endsAt + hold.grace);
    this.#giveBack(hold, 'RELEASED', now);
    return { reservationId: command.reservationId, released: String(hold.parts[0]?.amount ?? 0n) };
  }

  #extend(command: ExtendCommand, now: number): unknown {
    const hold = this.#clientHold(command);
    this.#mustBeOpen(hold.tenant, { suspendedToo: false });
    this.#mustBeSettleable(hold, now, hold.endsAt);
    if (hold.extended >= hold.mayExtend) throw new Refusal('max_extensions_exceeded');
    hold.extended += 1;
    hold.endsAt += command.byMs;
    return { reservationId: command.reservationId, expiresAtMs: hold.endsAt };
  }

  #debit(command: DebitCommand): unknown {
    this.#mustBeOpen(command.tenantId, { suspendedToo: true });
    if (!inRange(command.amount)) throw new Refusal('amount_out_of_range');
    const ids = command.accounts.filter((id) => this.accounts.has(id));
    const isBudget = (id: string): boolean => this.accounts.get(id)?.limit !== null;
    if (!ids.some(isBudget)) this.#nothingCovers(command.otherUnitAccounts.filter(isBudget));
    for (const id of ids) {
      this.#mustTakeSpend(id);
      if (command.overagePolicy === 'REJECT' && !has(this.#account(id), command.amount)) throw this.#short(id);
    }
    const { charged, owed, short } = this.#overage(ids, command.amount, command.overagePolicy ?? 'ALLOW_IF_AVAILABLE');
    for (const id of ids) if (this.#account(id).spent + charged - (owed.get(id) ?? 0n) > INT64) throw new Refusal('amount_out_of_range');
    for (const id of ids) mustStayInRange(this.#account(id), charged);
    for (const id of ids) {
      const account = this.#account(id);
      account.spent += charged - (owed.get(id) ?? 0n);
      account.owed += owed.get(id) ?? 0n;
      if (short.includes(id)) account.over = true;
    }
    return { debitId: command.debitId, charged: String(charged), capped: charged !== command.amount };
  }

  #fund(command: FundCommand, now: number): unknown {
    this.#mustBeOpen(command.tenantId, { suspendedToo: false });
    const account = this.accounts.get(command.accountId);
    if (account === undefined) throw new Refusal('budget_not_found');
    this.#mustTakeSpend(command.accountId);
    if (account.limit === null) throw new Refusal('conflict');
    const { operation, amount } = command;
    const newSpent = operation === 'RESET_SPENT' ? (command.spent ?? 0n) : account.spent;
    if (!inRange(amount) || (operation === 'RESET_SPENT' && !inRange(newSpent))) throw new Refusal('amount_out_of_range');
    if (operation === 'DEBIT' && left(account) < amount) throw new Refusal('budget_exceeded', command.accountId);
    const before = { ...account, left: left(account) };
    let { limit, owed } = account;
    if (operation === 'CREDIT') limit += amount;
    if (operation === 'DEBIT') limit -= amount;
    if (operation === 'RESET' || operation === 'RESET_SPENT') limit = amount;
    if (operation === 'REPAY_DEBT') {
      if (amount <= owed) owed -= amount;
      else {
        limit += amount - owed;
        owed = 0n;
      }
    }
    if (limit > INT64) throw new Refusal('amount_out_of_range');
    mustStayInRange(account, before.left - (limit - newSpent - account.held - owed));
    account.limit = limit;
    account.owed = owed;
    account.spent = newSpent;
    account.over = owed > account.overdraft;
    return {
      operation,
      previousAllocated: String(before.limit),
      newAllocated: String(limit),
      previousRemaining: String(before.left),
      newRemaining: String(left(account)),
      previousDebt: String(before.owed),
      newDebt: String(owed),
      previousSpent: String(before.spent),
      newSpent: String(newSpent),
      atMs: now,
    };
  }

  #allocate(command: AllocateCommand): unknown {
    this.#mustBeOpen(command.tenantId, { suspendedToo: false });
    const { accountId, allocated } = command;
    if (allocated !== null && !inRange(allocated)) throw new Refusal('amount_out_of_range');
    const account = this.accounts.get(accountId);
    if (account === undefined) {
      this.accounts.set(accountId, { limit: allocated, spent: 0n, held: 0n, owed: 0n, overdraft: 0n, over: false, status: 'ACTIVE' });
    } else {
      this.#mustTakeSpend(accountId);
      account.limit = allocated;
      account.over = account.owed > account.overdraft;
    }
    return { allocated: allocated === null ? null : String(allocated) };
  }

  #expire(id: string, now: number): unknown {
    const hold = this.holds.get(id);
    if (hold === undefined || hold.state !== 'ACTIVE' || now <= hold.endsAt + hold.grace) return { expired: false };
    this.#giveBack(hold, 'EXPIRED', now);
    // What a call has used may still come; a client has lost its chance.
    if (hold.isCall) {
      hold.settledAt = null;
      for (const part of hold.parts) part.charged = null;
    }
    this.expiredEvents += 1;
    return { expired: true };
  }

  #keep(command: KeepCallCommand, now: number): unknown {
    const hold = this.holds.get(command.reservationId);
    if (hold === undefined || hold.settledAt !== null) return { active: false };
    hold.note = command.checkpoint;
    if (hold.state !== 'ACTIVE') return { active: false };
    if (now + command.ttlMs > hold.endsAt) hold.endsAt = now + command.ttlMs;
    return { active: true };
  }

  #settle(command: SettleCallCommand, now: number): unknown {
    const hold = this.holds.get(command.reservationId);
    if (hold === undefined || hold.tenant !== command.tenantId) throw new Refusal('reservation_not_found');
    const { actuals } = command;
    const used = (account: string): bigint => (unitOf(account) === 'TOKENS' ? actuals?.tokens : actuals?.microcents) ?? 0n;
    if (hold.settledAt !== null) return { booked: false, agrees: hold.parts.every((part) => part.charged === used(part.account)) };
    for (const part of hold.parts) {
      const account = this.#account(part.account);
      if (hold.state === 'ACTIVE') account.held -= part.amount;
      part.charged = used(part.account);
      account.spent += part.charged;
      if (account.spent <= INT64) continue;
      account.owed += account.spent - INT64;
      account.spent = INT64;
    }
    hold.settledAt = now;
    if (hold.state === 'ACTIVE') {
      hold.state = command.actuals === null ? 'RELEASED' : 'COMMITTED';
      hold.finalizedAt = now;
    }
    if (command.actuals !== null && command.usage !== null) this.usage.set(command.usage.id, { atMs: now, heldAtMs: hold.madeAt });
    return { booked: true };
  }

  #account(id: string): ModelAccount {
    const account = this.accounts.get(id);
    if (account === undefined) throw new Error(`the model has no account ${id}`);
    return account;
  }

  #mustBeOpen(tenant: string, { suspendedToo }: { suspendedToo: boolean }): void {
    const status = this.tenants.get(tenant);
    if (status === 'CLOSED') throw new Refusal('tenant_closed');
    if (status === 'SUSPENDED' && suspendedToo) throw new Refusal('tenant_suspended');
  }

  #mustTakeSpend(id: string): void {
    const { status } = this.#account(id);
    if (status === 'FROZEN') throw new Refusal('budget_frozen', id);
    if (status === 'CLOSED') throw new Refusal('budget_closed', id);
  }

  #nothingCovers(otherUnits: readonly string[]): never {
    throw new Refusal(otherUnits.some((id) => this.accounts.has(id)) ? 'unit_mismatch' : 'budget_not_found');
  }

  #short(id: string): Refusal {
    const kind = kindOf(id);
    if (kind === 'balance') return new Refusal('balance_empty', id);
    if (kind === 'window') return new Refusal('window_exceeded', id);
    return new Refusal(kind === 'key_cap' && unitOf(id) === 'TOKENS' ? 'cap_exceeded' : 'budget_exceeded', id);
  }

  /** The hold that a Cycles client names: its own tenant's, and not a gateway call's. */
  #clientHold(command: { readonly reservationId: string; readonly tenantId: string }): ModelHold {
    const hold = this.holds.get(command.reservationId);
    if (hold === undefined || hold.isCall) throw new Refusal('reservation_not_found');
    if (hold.tenant !== command.tenantId) throw new Refusal('forbidden');
    return hold;
  }

  #mustHold(hold: ModelHold): void {
    if (hold.state === 'EXPIRED') throw new Refusal('reservation_expired');
    if (hold.state !== 'ACTIVE') throw new Refusal('reservation_finalized');
  }

  #mustBeSettleable(hold: ModelHold, now: number, lastMoment: number): void {
    this.#mustHold(hold);
    if (now > lastMoment) throw new Refusal('reservation_expired');
  }

  #giveBack(hold: ModelHold, state: 'RELEASED' | 'EXPIRED', now: number): void {
    for (const part of hold.parts) {
      this.#account(part.account).held -= part.amount;
      part.charged = 0n;
    }
    this.#finish(hold, state, now);
  }

  #finish(hold: ModelHold, state: ModelHold['state'], now: number): void {
    hold.state = state;
    hold.finalizedAt = now;
    hold.settledAt = now;
  }
}
