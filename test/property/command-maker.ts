import { budgetId, TOKENS, type AccountId } from '../../src/core/ledger/account.ts';
import type { CommandIdempotency, LegRequest, ReserveCommand } from '../../src/core/ledger/commands.ts';
import type { Command } from '../../src/core/verbs.ts';
import { DEFAULT_ENTITLEMENTS } from '../../src/core/access/defaults.ts';
import { usageOf } from '../support/ledger-fixtures.ts';
import type { LedgerModel } from './model.ts';
import { BLIND, CREDITS, NESTED_SCOPES, poolOf, type Idempotency, type Op, type Times } from './script.ts';

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
      .filter((place) => place < NESTED_SCOPES)
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
            entitlements: DEFAULT_ENTITLEMENTS,
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
