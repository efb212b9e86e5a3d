import { ceilDiv } from '../../src/core/int64.ts';
import type { StoredState, StoredUsage } from '../support/store-reader.ts';

/** A call whose answer ended at its caller, with the usage that the answer told. */
export interface AcknowledgedCall {
  readonly id: string;
  readonly keyId: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** A key whose creation was answered. The lists hold what was last answered, and after it what was sent and not answered. */
export interface ExpectedKey {
  readonly names: string[];
  /** Token caps; null is none. */
  readonly caps: (number | null)[];
}

/** What a load sent and what was answered, over any number of kills. */
export interface EffectLog {
  readonly calls: AcknowledgedCall[];
  /** Keys by id. */
  readonly keys: Map<string, ExpectedKey>;
  /** Key creations sent: each has a name of its own, `load-<number>`. */
  creations: number;
  /** Calls sent. */
  sent: number;
  /** Answers that no load of these tests may get. */
  readonly unexpected: string[];
}

/** An empty log. */
export const newEffectLog = (): EffectLog => ({ calls: [], keys: new Map(), creations: 0, sent: 0, unexpected: [] });

/**
 * Compares what a load knows to have happened with what the tables hold after a restart; returns a sentence for each contradiction.
 *
 * Every answered call is booked once with its usage; nothing is held; each hold is charged or returned, and charged exactly where there
 * is an event; every account has spent what its calls were charged; sums that were folded and those that were not make up the whole;
 * every key whose creation was answered is there once, as it was last answered.
 */
export function checkEffects(log: EffectLog, state: StoredState): string[] {
  return [
    ...log.unexpected,
    ...checkCalls(log, state),
    ...checkHolds(log, state),
    ...checkAccounts(state),
    ...checkRollups(state),
    ...checkKeys(log, state),
  ];
}

function checkCalls(log: EffectLog, state: StoredState): string[] {
  const faults: string[] = [];
  const events = Map.groupBy(state.usage, ({ id }) => id);
  for (const [id, found] of events) if (found.length > 1) faults.push(`call ${id} is booked ${found.length} times`);
  for (const call of log.calls) {
    const event = events.get(call.id)?.[0];
    if (event === undefined) {
      faults.push(`call ${call.id} was answered and is not booked`);
      continue;
    }
    const expected = `${call.keyId} ${call.promptTokens}+${call.completionTokens}`;
    const found = `${event.keyId} ${event.promptTokens}+${event.completionTokens}`;
    if (found !== expected) faults.push(`call ${call.id} was answered with ${expected} and is booked as ${found}`);
    if (event.interrupted) faults.push(`call ${call.id} was answered and is booked as interrupted`);
  }
  for (const { id, interrupted, estimated } of state.usage)
    if (interrupted && !estimated) faults.push(`call ${id} is interrupted and not estimated`);
  if (state.usage.length > log.sent) faults.push(`${log.sent} calls were sent and ${state.usage.length} are booked`);
  return faults;
}

function checkHolds(log: EffectLog, state: StoredState): string[] {
  const faults: string[] = [];
  const booked = new Set(state.usage.map(({ id }) => id));
  const holds = new Set(state.reservations.map(({ id }) => id));
  for (const { id, state: holdState, isSettled, charged } of state.reservations) {
    if (holdState === 'ACTIVE') faults.push(`call ${id} still holds`);
    if (!isSettled && holdState !== 'ACTIVE' && holdState !== 'RELEASED') faults.push(`call ${id} is ${holdState} and not settled`);
    const isCharged = charged !== null && holdState !== 'RELEASED';
    if (isCharged !== booked.has(id))
      faults.push(`call ${id} is ${holdState}, ${isCharged ? 'charged' : 'not charged'} and ${booked.has(id) ? '' : 'not '}booked`);
  }
  for (const id of booked) if (!holds.has(id)) faults.push(`call ${id} is booked and was never held`);
  if (holds.size > log.sent) faults.push(`${log.sent} calls were sent and ${holds.size} holds were made`);
  for (const account of state.accounts)
    if (account.reserved !== 0n) faults.push(`${account.scope} ${account.unit} holds ${account.reserved}`);
  return faults;
}

/** What a USD is worth on the prepaid balance of a campaign's tenant, in nano-euros. */
export const EUR_PER_USD_NANOS = 923_457_000n;

/** Requests, tokens and micro-cents of the events that one account pays for. */
interface UsageSum {
  requests: bigint;
  tokens: bigint;
  microcents: bigint;
  /** Micro-cents of the campaign's currency, each event by its rate and rounded up. */
  euros: bigint;
}

function sumBy(events: readonly StoredUsage[], scopeOf: (event: StoredUsage) => string): Map<string, UsageSum> {
  const sums = new Map<string, UsageSum>();
  for (const event of events) {
    const scope = scopeOf(event);
    const sum = sums.get(scope) ?? { requests: 0n, tokens: 0n, microcents: 0n, euros: 0n };
    sum.requests += 1n;
    sum.tokens += event.promptTokens + event.completionTokens;
    sum.microcents += event.chargeMicrocents;
    sum.euros += ceilDiv(event.costNanoUsd * EUR_PER_USD_NANOS, 10_000_000_000n);
    sums.set(scope, sum);
  }
  return sums;
}

/** Every account's spend is the sum of the events that it pays for: a key's tokens and money, its tenant's tokens, money and balance. */
function checkAccounts(state: StoredState): string[] {
  const sums = new Map([
    ...sumBy(state.usage, ({ keyId }) => `key:${keyId}`),
    ...sumBy(state.usage, ({ tenantId }) => `tenant:${tenantId}`),
  ]);
  return state.accounts.flatMap(({ scope, unit, spent }) => {
    const sum = sums.get(scope);
    const expected = (unit === 'TOKENS' ? sum?.tokens : unit === 'EUR_MICROCENTS' ? sum?.euros : sum?.microcents) ?? 0n;
    return expected === spent ? [] : [`${scope} has spent ${spent} ${unit}, its calls come to ${expected}`];
  });
}

function checkRollups(state: StoredState): string[] {
  const tail = new Set(state.tailIds);
  const folded = sumBy(
    state.usage.filter(({ id }) => !tail.has(id)),
    ({ keyId }) => keyId,
  );
  const faults: string[] = [];
  for (const { keyId, requests, tokens } of state.rollups) {
    const sum = folded.get(keyId);
    folded.delete(keyId);
    if (sum?.requests !== requests) faults.push(`key ${keyId} has ${sum?.requests ?? 0n} folded events and a rollup of ${requests}`);
    if (sum?.tokens !== tokens) faults.push(`key ${keyId} has ${sum?.tokens ?? 0n} folded tokens and a rollup of ${tokens}`);
  }
  for (const [keyId, { requests }] of folded) faults.push(`key ${keyId} has ${requests} folded events and no rollup`);
  return faults;
}

const CREATED_NAME = /^load-(\d+)/;

function checkKeys(log: EffectLog, state: StoredState): string[] {
  const faults: string[] = [];
  const made = state.keys.filter(({ name }) => CREATED_NAME.test(name));
  const byNumber = Map.groupBy(made, ({ name }) => CREATED_NAME.exec(name)?.[1]);
  for (const [number, found] of byNumber) if (found.length > 1) faults.push(`key load-${number} was made ${found.length} times`);
  if (made.length > log.creations) faults.push(`${log.creations} keys were asked for and ${made.length} made`);
  const byId = new Map(state.keys.map((key) => [key.id, key]));
  const caps = new Map(state.accounts.filter(({ unit }) => unit === 'TOKENS').map((account) => [account.scope, account]));
  for (const [id, expected] of log.keys) {
    const key = byId.get(id);
    if (key === undefined || key.isDeleted) {
      faults.push(`key ${id} was answered and is not there`);
      continue;
    }
    if (!expected.names.includes(key.name)) faults.push(`key ${id} is called ${key.name}, not one of ${expected.names.join(', ')}`);
    const cap = caps.get(`key:${id}`);
    if (cap === undefined) faults.push(`key ${id} has no token account`);
    else if (!expected.caps.includes(cap.allocated === null ? null : Number(cap.allocated))) {
      faults.push(`key ${id} may use ${cap.allocated} tokens, not one of ${expected.caps.join(', ')}`);
    }
  }
  return faults;
}

/** A key of the answer to `GET /api/keys`, as far as its counters go. */
export interface ListedKey {
  readonly id: string;
  readonly tokens_used: number;
  readonly request_count: number;
}

/** Compares the live counters of the API with the events in the tables. */
export function checkCounters(listed: readonly ListedKey[], state: StoredState): string[] {
  const sums = sumBy(state.usage, ({ keyId }) => keyId);
  return listed.flatMap(({ id, tokens_used, request_count }) => {
    const { requests, tokens } = sums.get(id) ?? { requests: 0n, tokens: 0n };
    if (BigInt(tokens_used) === tokens && BigInt(request_count) === requests) return [];
    return [`key ${id} counts ${request_count} requests of ${tokens_used} tokens, its events are ${requests} of ${tokens}`];
  });
}
