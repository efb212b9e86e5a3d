import type { LegRequest, ReserveCommand, SettleCallCommand } from '../../core/ledger/commands.ts';
import type { Command } from '../../core/verbs.ts';

/** A command as it goes from thread to thread: the two of every call as a list of their values, the others as they are. */
export type PackedCommand = readonly unknown[] | Command;

/**
 * Packs a command for another thread. A structured clone writes the name of every property of every object; a list of values takes a third of
 * its time. Commands with parts that calls do not have (an audit row, an idempotency key) go as they are.
 */
export function packCommand(command: Command): PackedCommand {
  if (command.audit !== undefined) return command;
  if (command.verb === 'settle-call') return packSettle(command);
  return command.verb === 'reserve' && command.idempotency === undefined ? packReserve(command) : command;
}

/** The command that {@link packCommand} packed. */
export function unpackCommand(packed: PackedCommand): Command {
  if (!isList(packed)) return packed;
  return packed[0] === 'reserve' ? unpackReserve(packed) : unpackSettle(packed);
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
});
const LEG = namesOf<LegRequest>({ accountId: true, base: true, perUnit: true, divisor: true, required: true });

type SettleRest = Omit<SettleCallCommand, 'verb' | 'usage' | 'audit'>;
const SETTLE = namesOf<SettleRest>({ id: true, tenantId: true, origin: true, reservationId: true, actuals: true, objects: true });
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
});

/** Adds the values of `names` to a list. */
function put<T>(values: unknown[], from: T, names: readonly (keyof T)[]): void {
  for (const name of names) values.push(from[name]);
}

/** The object whose values begin at a place of a list, with `into`'s properties before them. */
function take<T>(values: readonly unknown[], start: number, names: readonly (keyof T)[], into: object = {}): T {
  const object = into as Record<keyof T, unknown>;
  for (let index = 0; index < names.length; index++) object[names[index] as keyof T] = values[start + index];
  return object as T;
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
