import fc from 'fast-check';
import {
  accountId,
  budgetId,
  keyCapId,
  TOKENS,
  USD_MICROCENTS,
  type AccountId,
  type AccountStatus,
  type OveragePolicy,
} from '../../src/core/ledger/account.ts';
import type { CommandIdempotency, FundOperation, LegRequest, ReserveCommand } from '../../src/core/ledger/commands.ts';
import type { TenantStatus } from '../../src/core/records.ts';
import type { Command } from '../../src/core/verbs.ts';
import { usageOf } from '../support/ledger-fixtures.ts';
import type { LedgerModel } from './model.ts';

const CREDITS = 'CREDITS';
const INT64_MAX = 2n ** 63n - 1n;

/**
 * One random step, in numbers that a run turns into a command: accounts are places in the run's pool, reservations are counted back
 * from the newest that still holds.
 */
export type Op =
  | {
      readonly op: 'reserve';
      readonly scopes: readonly number[];
      readonly unit: 'TOKENS' | 'CREDITS';
      readonly amount: bigint;
      readonly times: Times;
      readonly policy: OveragePolicy;
      readonly idempotency: Idempotency;
    }
  | {
      readonly op: 'reserve-call';
      readonly accounts: readonly number[];
      readonly base: bigint;
      readonly rate: number;
      readonly output: { readonly min: number; readonly more: number };
      readonly times: Times;
      readonly required: boolean;
      readonly mustCoverMoney: boolean;
    }
  | {
      readonly op: 'commit';
      readonly back: number;
      readonly actual: bigint;
      readonly unit: string;
      readonly foreign: boolean;
      readonly idempotency: Idempotency;
    }
  | { readonly op: 'release'; readonly back: number; readonly foreign: boolean; readonly idempotency: Idempotency }
  | { readonly op: 'extend'; readonly back: number; readonly byMs: number; readonly idempotency: Idempotency }
  | {
      readonly op: 'debit';
      readonly scopes: readonly number[];
      readonly amount: bigint;
      readonly policy: OveragePolicy;
      readonly idempotency: Idempotency;
    }
  | {
      readonly op: 'fund';
      readonly account: number;
      readonly operation: FundOperation;
      readonly amount: bigint;
      readonly spent: bigint | undefined;
      readonly idempotency: Idempotency;
    }
  | { readonly op: 'allocate'; readonly account: number; readonly allocated: bigint | null }
  | { readonly op: 'expire'; readonly back: number }
  | { readonly op: 'keep-call'; readonly back: number; readonly ttlMs: number; readonly checkpoint: number }
  | {
      readonly op: 'settle-call';
      readonly back: number;
      readonly tokens: bigint;
      readonly microcents: bigint;
      readonly ran: boolean;
      readonly foreign: boolean;
    }
  | { readonly op: 'create-tenant' }
  | { readonly op: 'update-tenant'; readonly status: TenantStatus };

type Times = { readonly ttlMs: number; readonly graceMs: number; readonly maxExtensions: number };
type Idempotency = { readonly key: number; readonly hash: number; readonly keepMs: number } | undefined;

/** How an account of the pool is before the first command: made beforehand with terms that no verb sets, or not yet there. */
export interface Terms {
  readonly overdraftLimit: bigint;
  readonly status: AccountStatus;
}

/** Commands that are decided together, after the clock went on. `terms` are changed before, where the store lets a test do so. */
export interface Batch {
  readonly advanceMs: number;
  readonly terms: readonly { readonly account: number; readonly terms: Terms }[];
  readonly ops: readonly Op[];
}

/** A whole run: how its accounts are at first, their limits (undefined: none set), and the batches. */
export interface Script {
  readonly made: readonly (Terms | undefined)[];
  readonly limits: readonly (bigint | null | undefined)[];
  readonly batches: readonly Batch[];
}

/** The accounts of a run, few, so that commands meet: three nested scopes in tokens, one in another unit, money, and a key's caps. */
export const poolOf = (tenantId: string): readonly AccountId[] => [
  budgetId(tenantId, `tenant:${tenantId}`, TOKENS),
  budgetId(tenantId, `tenant:${tenantId}/app:bot`, TOKENS),
  budgetId(tenantId, `tenant:${tenantId}/app:bot/workflow:refund`, TOKENS),
  budgetId(tenantId, `tenant:${tenantId}/app:bot`, CREDITS),
  budgetId(tenantId, `tenant:${tenantId}`, USD_MICROCENTS),
  keyCapId(tenantId, 'key_1', TOKENS),
  keyCapId(tenantId, 'key_1', USD_MICROCENTS),
  accountId({ tenantId, kind: 'window', scope: 'rule:daily', unit: TOKENS, period: '2026-11-22' }),
];

const POOL_SIZE = 8;

/** As a way back: any reservation that was asked for, whether it came to be, of whatever purpose, or one that nobody asked for. */
const BLIND = 7;

const TOKEN_SCOPES = 3;

const small = fc.bigInt({ min: 0n, max: 30n });
const edge = fc.constantFrom(0n, 1n, 2n ** 53n + 1n, INT64_MAX - 1n, INT64_MAX);
const amount = fc.oneof(
  { weight: 40, arbitrary: small },
  { weight: 4, arbitrary: edge },
  { weight: 1, arbitrary: fc.constantFrom(-1n, INT64_MAX + 1n) },
);
const limit = fc.oneof(
  { weight: 8, arbitrary: fc.bigInt({ min: 60n, max: 500n }) },
  { weight: 4, arbitrary: fc.bigInt({ min: 0n, max: 60n }) },
  { weight: 2, arbitrary: edge },
  { weight: 2, arbitrary: fc.constant(null) },
);
const policy = fc.constantFrom<OveragePolicy>('REJECT', 'ALLOW_IF_AVAILABLE', 'ALLOW_WITH_OVERDRAFT');
const times = fc.record({
  ttlMs: fc.integer({ min: 0, max: 60 }),
  graceMs: fc.integer({ min: 0, max: 8 }),
  maxExtensions: fc.integer({ min: 0, max: 2 }),
});
// Few keys and bodies, so that most of those that carry one replay or mismatch sooner or later.
const idempotency = fc.option(
  fc.record({ key: fc.integer({ min: 0, max: 2 }), hash: fc.integer({ min: 0, max: 1 }), keepMs: fc.integer({ min: 0, max: 60 }) }),
  {
    nil: undefined,
    freq: 2,
  },
);
// Answers of one reservation meet again only where nearly all of its commands share one key.
const ownIdempotency = fc.option(
  fc.record({
    key: fc.constant(0),
    hash: fc.integer({ min: 0, max: 3 }).map((roll) => (roll === 0 ? 1 : 0)),
    keepMs: fc.integer({ min: 0, max: 60 }),
  }),
  { nil: undefined, freq: 4 },
);
// The newest most of all, since it is the one that still holds.
const back = fc.oneof(
  { weight: 3, arbitrary: fc.nat({ max: 1 }) },
  { weight: 2, arbitrary: fc.nat({ max: 6 }) },
  { weight: 1, arbitrary: fc.constant(BLIND) },
);
const scopes = fc.subarray([0, 1, 2], { minLength: 1 });
const rarely = fc.integer({ min: 0, max: 15 }).map((roll) => roll === 15);
const mostly = fc.integer({ min: 0, max: 3 }).map((roll) => roll !== 3);
const account = fc.nat({ max: POOL_SIZE - 1 });

const op = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant('reserve' as const),
      scopes,
      unit: fc.constantFrom('TOKENS', 'TOKENS', 'TOKENS', 'TOKENS', 'TOKENS', 'CREDITS'),
      amount,
      times,
      policy,
      idempotency,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('reserve-call' as const),
      accounts: fc.subarray([0, 1, 4, 5, 6, 7], { minLength: 1 }),
      base: fc.oneof({ weight: 12, arbitrary: small }, { weight: 1, arbitrary: edge }),
      rate: fc.integer({ min: 0, max: 25 }),
      output: fc.record({ min: fc.integer({ min: 0, max: 16 }), more: fc.integer({ min: 0, max: 30 }) }),
      times,
      required: rarely,
      mustCoverMoney: rarely,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('commit' as const),
      back,
      actual: amount,
      unit: fc.constantFrom(TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, CREDITS),
      foreign: rarely,
      idempotency: ownIdempotency,
    }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('release' as const), back, foreign: rarely, idempotency: ownIdempotency }) },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant('extend' as const), back, byMs: fc.integer({ min: 1, max: 30 }), idempotency: ownIdempotency }),
  },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('debit' as const), scopes, amount, policy, idempotency }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('fund' as const),
      account,
      operation: fc.constantFrom<FundOperation>('CREDIT', 'DEBIT', 'RESET', 'RESET_SPENT', 'REPAY_DEBT'),
      amount,
      spent: fc.option(amount, { nil: undefined }),
      idempotency,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('allocate' as const),
      account,
      allocated: fc.oneof({ weight: 9, arbitrary: limit }, { weight: 1, arbitrary: fc.constant(-1n) }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('expire' as const), back }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('keep-call' as const),
      back,
      ttlMs: fc.integer({ min: 0, max: 40 }),
      checkpoint: fc.nat({ max: 99 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('settle-call' as const),
      back,
      tokens: fc.oneof({ weight: 12, arbitrary: small }, { weight: 1, arbitrary: edge }),
      microcents: fc.oneof({ weight: 12, arbitrary: small }, { weight: 1, arbitrary: edge }),
      ran: mostly,
      foreign: rarely,
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('create-tenant' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('update-tenant' as const),
      status: fc.constantFrom<TenantStatus>('ACTIVE', 'ACTIVE', 'ACTIVE', 'SUSPENDED', 'SUSPENDED', 'CLOSED'),
    }),
  },
);

const terms = fc.record({
  overdraftLimit: fc.oneof(
    { weight: 5, arbitrary: fc.bigInt({ min: 0n, max: 20n }) },
    { weight: 3, arbitrary: fc.constant(0n) },
    { weight: 1, arbitrary: edge },
  ),
  status: fc.integer({ min: 0, max: 15 }).map((roll): AccountStatus => (roll === 15 ? 'FROZEN' : roll === 14 ? 'CLOSED' : 'ACTIVE')),
});

/** Scripts of up to `batches` batches of up to `batchSize` commands. */
export const scripts = (options: { readonly batches: number; readonly batchSize: number }): fc.Arbitrary<Script> =>
  // Without a bias to small values, which would make most runs too short to hold anything.
  fc.noBias(
    fc.record({
      made: fc.array(
        fc.option(
          terms.map((each) => ({ ...each, status: 'ACTIVE' as const })),
          { nil: undefined, freq: 2 },
        ),
        { minLength: POOL_SIZE, maxLength: POOL_SIZE },
      ),
      limits: fc.array(fc.oneof({ weight: 9, arbitrary: limit }, { weight: 2, arbitrary: fc.constant(undefined) }), {
        minLength: POOL_SIZE,
        maxLength: POOL_SIZE,
      }),
      batches: fc.array(
        fc.record({
          advanceMs: fc.oneof(
            { weight: 12, arbitrary: fc.constant(0) },
            { weight: 6, arbitrary: fc.integer({ min: 1, max: 12 }) },
            { weight: 1, arbitrary: fc.integer({ min: 13, max: 80 }) },
          ),
          terms: fc
            .oneof({ weight: 2, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.record({ account, terms }) })
            .map((each) => (each === undefined ? [] : [each])),
          ops: fc.array(op, { minLength: 1, maxLength: options.batchSize }),
        }),
        { minLength: 1, maxLength: options.batches, size: 'max' },
      ),
    }),
  );

/** Turns the steps of one run into commands. Knows how many reservations were asked for, and asks the model where an amount would not fit. */
export class CommandMaker {
  readonly #tenantId: string;
  readonly #model: LedgerModel;
  readonly #pool: readonly AccountId[];
  #commands = 0;
  #reservations = 0;

  constructor(tenantId: string, model: LedgerModel) {
    this.#tenantId = tenantId;
    this.#model = model;
    this.#pool = poolOf(tenantId);
  }

  /** The reservations that were asked for so far. */
  get reservationIds(): string[] {
    return Array.from({ length: this.#reservations }, (_, index) => this.#reservationId(index));
  }

  #reservationId(index: number): string {
    return `${this.#tenantId}_res_${index}`;
  }

  /** A reservation of that purpose, those that still hold first, or where there is none any name. */
  #counted(steps: number, purpose: ReserveCommand['purpose'] | null): string {
    const made = [...this.#model.holds].filter(([, hold]) => purpose === null || hold.isCall === (purpose === 'call')).toReversed();
    const known = [...made.filter(([, hold]) => hold.state === 'ACTIVE'), ...made.filter(([, hold]) => hold.state !== 'ACTIVE')];
    if (steps !== BLIND && known.length > 0) return known[steps % known.length]?.[0] ?? '';
    const index = (this.#commands % (this.#reservations + 1)) - 1;
    return index < 0 ? `${this.#tenantId}_res_none` : this.#reservationId(index);
  }

  #account(place: number): AccountId {
    const id = this.#pool[place];
    if (id === undefined) throw new RangeError(`the pool has no place ${place}`);
    return id;
  }

  #scopes(places: readonly number[], unit: string): AccountId[] {
    return places
      .filter((place) => place < TOKEN_SCOPES)
      .map((place) => budgetId(this.#tenantId, this.#account(place).split('|')[2] ?? '', unit));
  }

  #idempotent(operation: string, target: string, given: Idempotency): { idempotency?: CommandIdempotency } {
    if (given === undefined) return {};
    const ref = { tenantId: this.#tenantId, operation, target, key: `k${given.key}` };
    return { idempotency: { ref, hash: `h${given.hash}`, keepMs: given.keepMs } };
  }

  /** The command that sets the limit of an account of the pool. */
  allocate(place: number, allocated: bigint | null): Command {
    return this.make({ op: 'allocate', account: place, allocated });
  }

  make(step: Op): Command {
    this.#commands += 1;
    const base = {
      id: `${this.#tenantId}_cmd_${this.#commands}`,
      tenantId: 'foreign' in step && step.foreign ? `${this.#tenantId}-x` : this.#tenantId,
    };
    switch (step.op) {
      case 'reserve':
        return {
          ...base,
          ...this.#reservation(step.times),
          legs: this.#scopes(step.scopes, step.unit).map((id) => ({
            accountId: id,
            base: step.amount,
            perUnit: 0n,
            divisor: 1n,
            required: false,
          })),
          otherUnitAccounts: this.#scopes(step.scopes, step.unit === TOKENS ? CREDITS : TOKENS),
          overagePolicy: step.policy,
          ...this.#idempotent('reserve', '', step.idempotency),
        };
      case 'reserve-call':
        return {
          ...base,
          ...this.#reservation(step.times),
          purpose: 'call',
          legs: step.accounts.map((place) => this.#callLeg(this.#account(place), step)),
          output: { min: BigInt(step.output.min), max: BigInt(step.output.min + step.output.more) },
          mustCover: false,
          mustCoverMoney: step.mustCoverMoney,
          ownerId: 'run_1',
          context: { model: 'gpt-oss-120b' },
        };
      case 'commit': {
        const reservationId = this.#counted(step.back, 'budget');
        const key = this.#idempotent('commit', reservationId, step.idempotency);
        return { ...base, verb: 'commit', reservationId, actual: step.actual, unit: step.unit, ...key };
      }
      case 'release': {
        const reservationId = this.#counted(step.back, 'budget');
        return { ...base, verb: 'release', reservationId, ...this.#idempotent('release', reservationId, step.idempotency) };
      }
      case 'extend': {
        const reservationId = this.#counted(step.back, 'budget');
        return { ...base, verb: 'extend', reservationId, byMs: step.byMs, ...this.#idempotent('extend', reservationId, step.idempotency) };
      }
      case 'debit':
        return {
          ...base,
          verb: 'debit',
          debitId: `${base.id}_debit`,
          accounts: this.#scopes(step.scopes, TOKENS),
          otherUnitAccounts: this.#scopes(step.scopes, CREDITS),
          amount: step.amount,
          overagePolicy: step.policy,
          ...this.#idempotent('event', '', step.idempotency),
        };
      case 'fund': {
        const { operation } = step;
        const spent = step.spent === undefined ? {} : { spent: step.spent };
        return {
          ...base,
          verb: 'fund',
          accountId: this.#account(step.account),
          operation,
          amount: step.amount,
          ...spent,
          ...this.#idempotent('fund', '', step.idempotency),
        };
      }
      case 'allocate':
        return { ...base, verb: 'allocate', accountId: this.#account(step.account), allocated: step.allocated };
      case 'expire':
        return { ...base, verb: 'expire', reservationId: this.#counted(step.back, null) };
      case 'keep-call':
        return {
          ...base,
          verb: 'keep-call',
          reservationId: this.#counted(step.back, 'call'),
          ttlMs: step.ttlMs,
          checkpoint: step.checkpoint,
        };
      case 'settle-call': {
        const reservationId = this.#counted(step.back, 'call');
        // A charge that no int64 holds is a fault of the caller, with a test of its own.
        const fits = !this.#model.wouldOverflow(reservationId, step.tokens, step.microcents);
        const actuals = fits ? { tokens: step.tokens, microcents: step.microcents } : { tokens: 0n, microcents: 0n };
        const { microcents } = actuals;
        const usage =
          microcents > 1_000_000n
            ? null
            : usageOf(reservationId, { tenantId: this.#tenantId, costNanoUsd: microcents * 10n, chargeMicrocents: microcents });
        return { ...base, verb: 'settle-call', reservationId, actuals: step.ran ? actuals : null, usage: step.ran ? usage : null };
      }
      case 'create-tenant':
        return {
          ...base,
          verb: 'create-tenant',
          tenant: {
            id: this.#tenantId,
            name: 'Acme',
            entitlements: {
              tokenBilling: true,
              containerSubscription: true,
              gpuAccess: false,
              maxGpus: 0,
              maxContainers: 10,
              hostChoice: false,
              privateRegistries: true,
              maxKeys: 1000,
            },
            requireBudget: false,
            allowUnpriced: false,
            hideAmounts: false,
          },
        };
      case 'update-tenant':
        return { ...base, verb: 'update-tenant', status: step.status };
    }
  }

  #reservation(
    given: Times,
  ): Omit<ReserveCommand, 'id' | 'tenantId' | 'legs' | 'otherUnitAccounts' | 'overagePolicy'> &
    Pick<ReserveCommand, 'otherUnitAccounts' | 'overagePolicy'> {
    const reservationId = this.#reservationId(this.#reservations);
    this.#reservations += 1;
    return {
      verb: 'reserve',
      reservationId,
      purpose: 'budget',
      output: { min: 0n, max: 0n },
      mustCover: true,
      mustCoverMoney: false,
      otherUnitAccounts: [],
      overagePolicy: 'ALLOW_IF_AVAILABLE',
      ...given,
      ownerId: '',
      context: null,
    };
  }

  /** A call's part on an account: tokens as they are, money counted in nano-dollars at `rate` for each token. */
  #callLeg(id: AccountId, step: Extract<Op, { op: 'reserve-call' }>): LegRequest {
    const isTokens = id.split('|')[3] === TOKENS;
    const perUnit = isTokens ? 1n : BigInt(step.rate);
    const base = isTokens ? step.base : step.base * BigInt(step.rate);
    return { accountId: id, base, perUnit, divisor: isTokens ? 1n : 10n, required: step.required };
  }
}
