import type { MediaUse } from '../metering/media-use.ts';
import { MEDIA_RATES, type Rates } from '../pricing/rates.ts';
import type { RouteCandidate } from './candidates.ts';
import type { Preference } from './settings.ts';

/** What a call is expected to use: tokens of its prompt, tokens of output over all of its answers, and what it uses beside tokens. */
export interface CallEstimate {
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly media: MediaUse | null;
}

/** How fast an upstream has been with a model: milliseconds to the first token, and tokens a second after it (null: it gave none). */
export interface MeasuredSpeed {
  readonly firstTokenMs: number;
  readonly tokensPerSecond: number | null;
}

/**
 * A candidate with what it was ranked by: the lower the score, the better. `costNanoUsd` is null where it has no price, `timeMs` where
 * its speed has not been measured.
 */
export interface ScoredCandidate<T> {
  readonly candidate: T;
  readonly score: number;
  readonly costNanoUsd: number | null;
  readonly timeMs: number | null;
}

/** The shares of cost and time in the score of `balanced`. */
const COST_SHARE = 0.5;
const TIME_SHARE = 0.5;

/**
 * Ranks the upstreams of one model for a call, the best first. Ties stay in the order of declaration; those of weight 0 come after all
 * others, ranked among themselves, for they are for fallback only.
 *
 * - `cost`: what the estimate costs there, in nano-USD. Without a price it counts as dearer than any that has one.
 * - `speed`: the expected time in milliseconds, to the first token and then for the output. One that was not measured lately counts as 0,
 *   so that it is tried, and measured by that.
 * - `balanced`: half of each, both scaled to 0 for the best and 1 for the worst of the candidates; one without a price has the 1 of cost,
 *   and one that was not measured counts as 0 milliseconds here too: if that does not make it the best, no measure could.
 *
 * Source: Cortecs reference, section 4 ("Rank").
 */
export function rankByPreference<T extends RouteCandidate>(
  candidates: readonly T[],
  options: {
    readonly preference: Preference;
    readonly estimate: CallEstimate;
    readonly speedOf: (candidate: T) => MeasuredSpeed | null;
  },
): readonly ScoredCandidate<T>[] {
  const { preference, estimate } = options;
  const measured = candidates.map((candidate) => ({
    candidate,
    score: 0,
    costNanoUsd: candidate.price === null ? null : expectedCost(candidate.price.rates, estimate),
    timeMs: expectedTime(options.speedOf(candidate), estimate.outputTokens),
  }));
  const scoreOf = scorer(preference, measured);
  // Nobody else has seen them yet: writing the scores in place saves fifty copies for each call.
  for (const each of measured) each.score = scoreOf(each);
  return measured.sort((a, b) => reserveOf(a.candidate) - reserveOf(b.candidate) || byScore(a.score, b.score));
}

type Measured = Pick<ScoredCandidate<unknown>, 'costNanoUsd' | 'timeMs'>;

function scorer(preference: Preference, all: readonly Measured[]): (one: Measured) => number {
  const costOf = ({ costNanoUsd }: Measured): number => costNanoUsd ?? Infinity;
  const timeOf = ({ timeMs }: Measured): number => timeMs ?? 0;
  if (preference === 'cost') return costOf;
  if (preference === 'speed') return timeOf;
  const cost = scale(all, ({ costNanoUsd }) => costNanoUsd);
  const time = scale(all, timeOf);
  return (one) => COST_SHARE * (one.costNanoUsd === null ? 1 : cost(one.costNanoUsd)) + TIME_SHARE * time(timeOf(one));
}

/** Scales a value to 0 for the least and 1 for the largest that any has; 0 where they are all the same. */
function scale(all: readonly Measured[], valueOf: (one: Measured) => number | null): (value: number) => number {
  let least = Infinity;
  let most = -Infinity;
  for (const one of all) {
    const value = valueOf(one);
    if (value === null) continue;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  const range = most - least;
  return (value) => (range > 0 ? (value - least) / range : 0);
}

/** The difference of two scores that may both be infinite. */
const byScore = (a: number, b: number): number => (a === b ? 0 : a - b);

const reserveOf = ({ weight }: RouteCandidate): number => (weight === 0 ? 1 : 0);

/** In doubles: a ranking needs no exact nano, and whole calls are ranked in less time than one exact price takes. */
function expectedCost(rates: Rates, { promptTokens, outputTokens, media }: CallEstimate): number {
  const ofMedia = media === null ? 0 : Number(rates[MEDIA_RATES[media.unit]] ?? 0n) * media.quantity;
  return Number(rates.requestNanos) + Number(rates.inputNanos) * promptTokens + Number(rates.outputNanos) * outputTokens + ofMedia;
}

function expectedTime(speed: MeasuredSpeed | null, outputTokens: number): number | null {
  if (speed === null) return null;
  const { firstTokenMs, tokensPerSecond } = speed;
  return firstTokenMs + (tokensPerSecond === null ? 0 : (outputTokens / tokensPerSecond) * 1000);
}
