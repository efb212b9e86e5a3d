import type { CommandOrigin, EventActor } from '../../core/command-origin.ts';
import type { ReserveBudgetCommand } from '../../core/cycles/runtime-commands.ts';
import type { CommandIdempotency, CommitCommand, LegRequest, ReserveCommand, SettleCallCommand } from '../../core/ledger/commands.ts';
import type { Command } from '../../core/verbs.ts';

/** A command as it goes from thread to thread: the two of every call and of every reservation as a list of their values, the others as they are. */
export type PackedCommand = readonly unknown[] | Command;

/**
 * Packs a command for another thread. A structured clone writes the name of every property of every object; a list of values takes a third of
 * its time. Commands with parts that these do not have (an audit row, or an idempotency key of a call) go as they are.
 */
export function packCommand(command: Command): PackedCommand {
  if (command.audit !== undefined) return command;
  switch (command.verb) {
    case 'settle-call':
      return packSettle(command);
    case 'reserve':
      return command.idempotency === undefined ? packReserve(command) : command;
    case 'reserve-budget':
      return packOnce(command, command.idempotency, HOLD);
    case 'commit':
      return command.idempotency === undefined ? command : packOnce(command, command.idempotency, COMMIT);
    default:
      return command;
  }
}

/** The command that {@link packCommand} packed. */
export function unpackCommand(packed: PackedCommand): Command {
  if (!isList(packed)) return packed;
  switch (packed[0]) {
    case 'reserve':
      return unpackReserve(packed);
    case 'reserve-budget':
      return unpackOnce<HoldRest>(packed, HOLD) as ReserveBudgetCommand;
    case 'commit':
      return unpackOnce<CommitRest>(packed, COMMIT) as CommitCommand;
    default:
      return unpackSettle(packed);
  }
}

const isList = (packed: PackedCommand): packed is readonly unknown[] => Array.isArray(packed);

/** The names of `T` in a fixed order. The compiler refuses a list that lacks one, so that nothing is lost on the way. */
const namesOf = <T>(names: Readonly<Record<keyof T, true>>): readonly (keyof T)[] => Object.keys(names) as (keyof T)[];

type ReserveRest = Omit<ReserveCommand, 'verb' | 'legs' | 'audit' | 'idempotency'>;
const RESERVE = namesOf<ReserveRest>({
  id: true,
  tenantId: true,
  origin: true,
  reservationId: true,
  purpose: true,
  output: true,
  mustCover: true,
  mustCoverMoney: true,
  otherUnitAccounts: true,
  overagePolicy: true,
  ttlMs: true,
  graceMs: true,
  maxExtensions: true,
  ownerId: true,
  context: true,
  limit: true,
  rates: true,
  windows: true,
  settingsAtMs: true,
});
const LEG = namesOf<LegRequest>({ accountId: true, base: true, perUnit: true, divisor: true, required: true });

type SettleRest = Omit<SettleCallCommand, 'verb' | 'usage' | 'audit'>;
const SETTLE = namesOf<SettleRest>({
  id: true,
  tenantId: true,
  origin: true,
  reservationId: true,
  actuals: true,
  objects: true,
  rates: true,
  tellings: true,
});
type CallUsage = NonNullable<SettleCallCommand['usage']>;
const USAGE = namesOf<CallUsage>({
  id: true,
  tenantId: true,
  keyId: true,
  model: true,
  upstreamId: true,
  priceId: true,
  route: true,
  requests: true,
  promptTokens: true,
  completionTokens: true,
  cachedPromptTokens: true,
  cacheWritePromptTokens: true,
  reasoningTokens: true,
  costNanoUsd: true,
  chargeMicrocents: true,
  streaming: true,
  estimated: true,
  interrupted: true,
  media: true,
  debit: true,
});

/** What is packed by itself: the verb, and parts that are objects. */
type Apart = 'verb' | 'audit' | 'origin' | 'idempotency';

type HoldRest = Omit<ReserveBudgetCommand, Apart>;
const HOLD = namesOf<HoldRest>({
  id: true,
  tenantId: true,
  reservationId: true,
  scopePath: true,
  unit: true,
  amount: true,
  limit: true,
  caps: true,
  withOtherUnits: true,
  overagePolicy: true,
  ttlMs: true,
  graceMs: true,
  maxExtensions: true,
  details: true,
});

type CommitRest = Omit<CommitCommand, Apart>;
const COMMIT = namesOf<CommitRest>({ id: true, tenantId: true, reservationId: true, actual: true, unit: true, details: true, limit: true });

type OriginRest = Omit<CommandOrigin, 'actor'>;
const ORIGIN = namesOf<OriginRest>({ requestId: true, traceId: true, traceFlags: true, source: true, correlationId: true });
const ACTOR = namesOf<EventActor>({ type: true, keyId: true, sourceIp: true });
const REF = namesOf<CommandIdempotency['ref']>({ tenantId: true, operation: true, target: true, key: true });
const ONCE = namesOf<Omit<CommandIdempotency, 'ref'>>({ hash: true, keepMs: true });

/** Adds the values of `names` to a list. */
function put<T>(values: unknown[], from: T, names: readonly (keyof T)[]): void {
  for (const name of names) values.push(from[name]);
}

/** The object whose values begin at a place of a list, with `into`'s properties before them. What is undefined was not there. */
function take<T>(values: readonly unknown[], start: number, names: readonly (keyof T)[], into: object = {}): T {
  const object = into as Record<keyof T, unknown>;
  for (let index = 0; index < names.length; index++) {
    const value = values[start + index];
    if (value !== undefined) object[names[index] as keyof T] = value;
  }
  return object as T;
}

/** A command that is done once: its verb, its key, whether it tells who sent it, that, and the rest. */
function packOnce<T extends { readonly verb: string; readonly origin?: CommandOrigin }>(
  command: T,
  { ref, ...once }: CommandIdempotency,
  names: readonly (keyof T)[],
): unknown[] {
  const { origin } = command;
  const values: unknown[] = [command.verb, origin !== undefined];
  put(values, ref, REF);
  put<Omit<CommandIdempotency, 'ref'>>(values, once, ONCE);
  if (origin !== undefined) {
    put<OriginRest>(values, origin, ORIGIN);
    put(values, origin.actor, ACTOR);
  }
  put(values, command, names);
  return values;
}

function unpackOnce<T>(values: readonly unknown[], names: readonly (keyof T)[]): T & { verb: unknown; idempotency: CommandIdempotency } {
  let start = 2;
  const next = <U>(group: readonly (keyof U)[], into?: object): U => {
    const object = take<U>(values, start, group, into);
    start += group.length;
    return object;
  };
  const ref = next<CommandIdempotency['ref']>(REF);
  const idempotency = next<CommandIdempotency>(ONCE, { ref });
  const hasOrigin = values[1] === true;
  const origin = hasOrigin ? next<OriginRest>(ORIGIN) : null;
  const into = { verb: values[0], idempotency, ...(origin === null ? {} : { origin: { ...origin, actor: next<EventActor>(ACTOR) } }) };
  return next<T>(names, into) as T & { verb: unknown; idempotency: CommandIdempotency };
}

function packReserve(command: ReserveCommand): unknown[] {
  const values: unknown[] = [command.verb];
  put<ReserveRest>(values, command, RESERVE);
  for (const leg of command.legs) put(values, leg, LEG);
  return values;
}

function unpackReserve(values: readonly unknown[]): ReserveCommand {
  const legs: LegRequest[] = [];
  for (let start = 1 + RESERVE.length; start < values.length; start += LEG.length) legs.push(take<LegRequest>(values, start, LEG));
  return take<ReserveRest>(values, 1, RESERVE, { verb: 'reserve', legs }) as ReserveCommand;
}

function packSettle(command: SettleCallCommand): unknown[] {
  const values: unknown[] = [command.verb];
  put<SettleRest>(values, command, SETTLE);
  if (command.usage !== null) put(values, command.usage, USAGE);
  return values;
}

function unpackSettle(values: readonly unknown[]): SettleCallCommand {
  const start = 1 + SETTLE.length;
  const usage = values.length === start ? null : take<CallUsage>(values, start, USAGE);
  return take<SettleRest>(values, 1, SETTLE, { verb: 'settle-call', usage }) as SettleCallCommand;
}
