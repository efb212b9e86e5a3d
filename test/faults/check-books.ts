import type { StoredState, StoredUsage } from '../support/store-reader.ts';
import type { CallerRecord, CallingKey } from './fault-callers.ts';
import { promptTokensOf, type Produced } from './fault-upstream.ts';

/** What a campaign knows when it is over. `upstreams` are what each upstream counted, by its id. */
export interface Campaign {
  readonly callers: readonly CallerRecord[];
  readonly upstreams: Readonly<Record<string, readonly Produced[]>>;
  readonly keys: readonly CallingKey[];
  /** The process was killed meanwhile: calls in flight then are settled by an estimate. */
  readonly wasKilled: boolean;
  /** USD for a million tokens of input and output, by upstream. */
  readonly prices: Readonly<Record<string, { readonly input: number; readonly output: number }>>;
}

/** A stored event with the upstream that it names. */
export interface BookedCall extends StoredUsage {
  readonly upstreamId: string;
}

/** Returns a sentence for each way in which the books contradict what upstreams and callers saw. */
export function checkBooks(campaign: Campaign, state: StoredState, booked: readonly BookedCall[]): string[] {
  return [
    ...checkHolds(state),
    ...checkExact(campaign, booked),
    ...checkAnswered(campaign, booked),
    ...checkEstimates(campaign, booked),
    ...checkSums(campaign, state, booked),
  ];
}

function checkHolds({ accounts, reservations }: StoredState): string[] {
  return [
    ...accounts.filter(({ reserved }) => reserved !== 0n).map(({ scope, unit, reserved }) => `${scope} ${unit} still holds ${reserved}`),
    ...reservations.filter(({ isSettled }) => !isSettled).map(({ id, state }) => `call ${id} is ${state} and not settled`),
  ];
}

/** What names a call in the books: the prompt's tokens are unique to it. */
const nameOf = (call: {
  readonly key: string;
  readonly upstream: string;
  readonly prompt: number | bigint;
  readonly completion: number | bigint;
}) => `${call.key} ${call.upstream} ${call.prompt}+${call.completion}`;

/** Events that are not estimates are the answers that upstreams delivered with a count, each once, with that very count. */
function checkExact({ upstreams, keys, wasKilled }: Campaign, booked: readonly BookedCall[]): string[] {
  const labels = new Map(keys.map(({ id, label }) => [id, label]));
  const counted = new Map<string, number>();
  for (const [upstream, produced] of Object.entries(upstreams)) {
    for (const { plan, delivered, reported, promptTokens, completionTokens } of produced) {
      if (!delivered || !reported) continue;
      const name = nameOf({ key: plan.key, upstream, prompt: promptTokens, completion: completionTokens });
      counted.set(name, (counted.get(name) ?? 0) + 1);
    }
  }
  const faults: string[] = [];
  for (const event of booked.filter(({ estimated }) => !estimated)) {
    const key = labels.get(event.keyId) ?? event.keyId;
    const name = nameOf({ key, upstream: event.upstreamId, prompt: event.promptTokens, completion: event.completionTokens });
    const left = counted.get(name) ?? 0;
    if (left === 0) faults.push(`booked as exact, but no upstream counted it: ${name}`);
    counted.set(name, left - 1);
  }
  const missing = [...counted].filter(([, left]) => left > 0).map(([name]) => name);
  const interrupted = booked.filter((event) => event.interrupted).length;
  // What was delivered to a process that died is known to nobody; each such call is booked by an estimate.
  if (!wasKilled) faults.push(...missing.map((name) => `an upstream counted it, but it is not booked: ${name}`));
  else if (missing.length > interrupted)
    faults.push(`${missing.length} delivered answers are not booked, ${interrupted} calls were interrupted`);
  if (!wasKilled && interrupted > 0) faults.push(`${interrupted} calls are booked as interrupted`);
  return faults;
}

/** Every answer that ended at its caller is booked with what it told. */
function checkAnswered({ callers }: Campaign, booked: readonly BookedCall[]): string[] {
  const exact = new Map(booked.filter(({ estimated }) => !estimated).map((event) => [event.promptTokens, event]));
  return callers.flatMap(({ plan, end, usage }) => {
    if (end !== 'ended' || usage === null) return [];
    const event = exact.get(BigInt(promptTokensOf(plan.call)));
    if (event?.completionTokens === BigInt(usage.completion_tokens) && event.promptTokens === BigInt(usage.prompt_tokens)) return [];
    return [`call ${plan.call} was answered with ${JSON.stringify(usage)} and is not booked so`];
  });
}

/** Every answer that broke off after its first bytes, or told no usage, is booked once, as an estimate; nothing else is but calls that were given up. */
function checkEstimates({ callers, upstreams }: Campaign, booked: readonly BookedCall[]): string[] {
  const produced = Object.values(upstreams).flat();
  const least = produced.filter(({ broken, delivered, reported }) => broken || (delivered && !reported)).length;
  const perhaps = produced.filter(({ fault }) => fault === 'reset_after_chunk').length;
  const left = callers.filter(({ end }) => end === 'left').length;
  const estimates = booked.filter(({ estimated, interrupted }) => estimated && !interrupted).length;
  const interrupted = booked.filter((event) => event.interrupted);
  const faults = interrupted.filter(({ estimated }) => !estimated).map(({ id }) => `call ${id} is interrupted and no estimate`);
  if (estimates + interrupted.length < least) faults.push(`${least} answers broke or told nothing, and ${estimates} estimates are booked`);
  if (estimates > least + perhaps + left)
    faults.push(`${estimates} estimates are booked, and no more than ${least + perhaps + left} can be`);
  return faults;
}

/** Sums over keys: each account has spent what its events come to, at the price of the upstream that answered each. */
function checkSums({ upstreams, keys, prices }: Campaign, state: StoredState, booked: readonly BookedCall[]): string[] {
  const faults: string[] = [];
  for (const event of booked) {
    const price = prices[event.upstreamId];
    if (price === undefined) {
      faults.push(`call ${event.id} is booked at ${event.upstreamId}`);
      continue;
    }
    // USD for a million tokens are thousandths of nano-dollars for one.
    const nanos = event.promptTokens * BigInt(price.input * 1000) + event.completionTokens * BigInt(price.output * 1000);
    if (event.costNanoUsd !== nanos) faults.push(`call ${event.id} cost ${event.costNanoUsd}, not ${nanos}`);
    if (event.chargeMicrocents !== (nanos + 9n) / 10n) faults.push(`call ${event.id} was charged ${event.chargeMicrocents} for ${nanos}`);
  }
  const tokensOf = (event: BookedCall): bigint => event.promptTokens + event.completionTokens;
  for (const { id, label } of keys) {
    const own = booked.filter(({ keyId }) => keyId === id);
    const sums = {
      TOKENS: own.reduce((sum, event) => sum + tokensOf(event), 0n),
      USD_MICROCENTS: own.reduce((sum, event) => sum + event.chargeMicrocents, 0n),
    };
    for (const { unit, spent } of state.accounts.filter(({ scope }) => scope === `key:${id}`)) {
      const expected = unit === 'TOKENS' ? sums.TOKENS : sums.USD_MICROCENTS;
      if (spent !== expected) faults.push(`key ${label} has spent ${spent} ${unit}, its calls come to ${expected}`);
    }
    const exact = own.filter(({ estimated }) => !estimated).reduce((sum, event) => sum + tokensOf(event), 0n);
    const most = Object.values(upstreams)
      .flat()
      .filter(({ plan, delivered, reported }) => plan.key === label && delivered && reported)
      .reduce((sum, { promptTokens, completionTokens }) => sum + BigInt(promptTokens + completionTokens), 0n);
    if (exact > most) faults.push(`key ${label} is booked ${exact} tokens, and its upstreams counted ${most}`);
  }
  return faults;
}
