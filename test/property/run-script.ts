import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import { newAccount, type Account, type AccountId, type AccountSnapshot } from '../../src/core/ledger/account.ts';
import type { Reservation } from '../../src/core/ledger/reservation.ts';
import type { Outcome } from '../../src/core/rejection.ts';
import type { Command } from '../../src/core/verbs.ts';
import { CommandMaker } from './command-maker.ts';
import { LedgerModel, type Expected, type ModelHold } from './model.ts';
import { poolOf, type Batch, type Script, type Terms } from './script.ts';

/** What a run needs of whatever it drives. */
export interface LedgerSubject {
  /** Runs one batch with the clock at `nowMs`; resolves to its outcomes and its time. */
  execute(commands: readonly Command[], nowMs: number): Promise<{ readonly outcomes: readonly Outcome<unknown>[]; readonly nowMs: number }>;
  /** Puts accounts there that no command has named yet. */
  makeAccounts(accounts: readonly Account[]): Promise<void>;
  /** Changes what no verb changes; resolves to whether it did. */
  setTerms(id: AccountId, terms: Terms): Promise<boolean>;
  accounts(ids: readonly AccountId[]): Promise<ReadonlyMap<AccountId, Account>>;
  reservation(id: string): Promise<Reservation | undefined>;
  usage(tenantId: string): Promise<readonly { readonly id: string; readonly atMs: number; readonly heldAtMs: number }[]>;
  /** Called after every batch with what it was and whether the model says that it changed nothing. */
  readonly afterBatch?: (batch: {
    readonly commands: readonly Command[];
    readonly outcomes: readonly Outcome<unknown>[];
    readonly isQuiet: boolean;
  }) => void;
}

/** Compares with a quick look first: the readable comparison costs a hundred times more, and only its failure is ever read. */
function same(what: string, found: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(found, expected)) expect({ [what]: found }).toEqual({ [what]: expected });
}

const outcomeOf = (outcome: Outcome<unknown>, verb: string): unknown => {
  if (!outcome.ok) return { code: outcome.rejection.code };
  // The answers of tenant verbs are records, which the model does not keep.
  return { value: verb.endsWith('-tenant') ? null : withoutViews(outcome.value) };
};

/** Parts of an answer that show how things stand, which the accounts are compared for after every batch. */
const VIEWS: ReadonlySet<string> = new Set(['balances', 'rate', 'remainingTtlMs', 'unit']);

const withoutViews = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).filter(([name]) => !VIEWS.has(name)))
    : value;

const expectedOf = (expected: Expected, verb: string): unknown => {
  if (!expected.ok) return { code: expected.code };
  return { value: verb.endsWith('-tenant') ? null : withoutViews(expected.value) };
};

const shownAccount = (account: Account | undefined): unknown =>
  account === undefined
    ? undefined
    : {
        limit: account.allocated,
        spent: account.spent,
        held: account.reserved,
        owed: account.debt,
        overdraft: account.overdraftLimit,
        over: account.isOverLimit,
        status: account.status,
      };

const shownReservation = (reservation: Reservation | undefined): ModelHold | undefined =>
  reservation === undefined
    ? undefined
    : {
        tenant: reservation.tenantId,
        isCall: reservation.purpose === 'call',
        state: reservation.state,
        parts: reservation.legs.map((leg, index) => ({
          account: leg.accountId,
          amount: leg.amount,
          charged: reservation.charged?.[index] ?? null,
        })),
        policy: reservation.overagePolicy,
        madeAt: reservation.createdAtMs,
        endsAt: reservation.expiresAtMs,
        grace: reservation.graceMs,
        extended: reservation.extensions,
        mayExtend: reservation.maxExtensions,
        finalizedAt: reservation.finalizedAtMs,
        settledAt: reservation.settledAtMs,
        note: reservation.checkpoint,
      };

/**
 * Plays a script against `subject` and against the model, and compares outcomes, balances, states and usage after every batch.
 *
 * `tenantId` is new for each run, `startMs` not before the end of the last run. Returns when it ended.
 */
export async function runScript(subject: LedgerSubject, script: Script, options: { tenantId: string; startMs: number }): Promise<number> {
  const { tenantId } = options;
  const model = new LedgerModel();
  const maker = new CommandMaker(tenantId, model);
  const pool = poolOf(tenantId);
  let nowMs = options.startMs;

  const made = pool.flatMap((id, place) => {
    const terms = script.made[place];
    return terms === undefined ? [] : [{ ...newAccount(id, { nowMs, unlimited: false }), ...terms }];
  });
  await subject.makeAccounts(made);
  for (const { id, overdraftLimit, status } of made) {
    model.accounts.set(id, { limit: 0n, spent: 0n, held: 0n, owed: 0n, overdraft: overdraftLimit, over: false, status });
  }

  const play = async (commands: readonly Command[], expected: readonly Expected[]): Promise<void> => {
    const result = await subject.execute(commands, nowMs);
    same('the time of the batch', result.nowMs, nowMs);
    for (const [index, command] of commands.entries()) {
      const outcome = result.outcomes[index];
      const should = expected[index];
      if (outcome === undefined || should === undefined) throw new Error(`no outcome for command ${index} of ${commands.length}`);
      same(`outcome of ${describeCommand(command)}`, outcomeOf(outcome, command.verb), expectedOf(should, command.verb));
      if (!outcome.ok && !should.ok && should.account !== undefined)
        same('the account that refused', nameOf(outcome.rejection.account), partsOf(should.account));
    }
    await compareAccounts(subject, pool, model);
    await compareReservations(subject, namedReservations(commands), model);
    subject.afterBatch?.({ commands, outcomes: result.outcomes, isQuiet: expected.every((each) => each.quiet) });
  };
  const playOps = async (commands: Iterable<Command>): Promise<void> => {
    const batch: Command[] = [];
    const expected: Expected[] = [];
    // A command is made after the model has seen those before it, so that it may look at what they left.
    for (const command of commands) {
      batch.push(command);
      expected.push(model.apply(command, nowMs));
    }
    await play(batch, expected);
  };

  await playOps(limitsOf(script, maker));
  for (const batch of script.batches) {
    nowMs += batch.advanceMs;
    await applyTerms(subject, batch, { pool, model });
    await playOps(batch.ops.values().map((step) => maker.make(step)));
  }
  await compareReservations(subject, maker.reservationIds, model);
  const usage = (await subject.usage(tenantId)).map(({ id, atMs, heldAtMs }) => [id, { atMs, heldAtMs }] as const);
  same('usage', new Map(usage), model.usage);
  return nowMs;
}

function* limitsOf(script: Script, maker: CommandMaker): Generator<Command> {
  for (const [place, limit] of script.limits.entries()) if (limit !== undefined) yield maker.allocate(place, limit);
}

async function applyTerms(
  subject: LedgerSubject,
  batch: Batch,
  { pool, model }: { pool: readonly AccountId[]; model: LedgerModel },
): Promise<void> {
  for (const { account: place, terms } of batch.terms) {
    const id = pool[place];
    const account = id === undefined ? undefined : model.accounts.get(id);
    if (id === undefined || account === undefined) continue;
    if (!(await subject.setTerms(id, terms))) continue;
    account.overdraft = terms.overdraftLimit;
    account.status = terms.status;
  }
}

async function compareAccounts(subject: LedgerSubject, pool: readonly AccountId[], model: LedgerModel): Promise<void> {
  const found = await subject.accounts(pool);
  for (const id of pool) same(`account ${id}`, shownAccount(found.get(id)), model.accounts.get(id));
}

async function compareReservations(subject: LedgerSubject, ids: readonly string[], model: LedgerModel): Promise<void> {
  for (const id of ids) same(`reservation ${id}`, shownReservation(await subject.reservation(id)), model.holds.get(id));
}

const namedReservations = (commands: readonly Command[]): string[] => [
  ...new Set(commands.flatMap((command) => ('reservationId' in command ? [command.reservationId] : []))),
];

const nameOf = (account: AccountSnapshot | undefined): unknown =>
  account === undefined ? undefined : { kind: account.kind, scope: account.scope, unit: account.unit };

const partsOf = (id: string): unknown => {
  const [, kind, scope, unit] = id.split('|');
  return { kind, scope, unit };
};

/** A command in one line, for the message of a failure. */
const describeCommand = (command: Command): string =>
  JSON.stringify(command, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
