import type { PlainJson } from '../json/plain-json.ts';
import type { MeasuredSpeed } from './rank-by-preference.ts';

/**
 * What one answer showed: how long it was to its first token, how many tokens of output followed, and how long those took. With
 * `firstTokenMs` null the answer came whole, and `outputMs` is all of its time.
 */
export interface SpeedSample {
  readonly firstTokenMs: number | null;
  readonly outputTokens: number;
  readonly outputMs: number;
}

/**
 * Decaying averages of the answers of one upstream with one model, and the moment of the last one, in Unix milliseconds. `paceTokens` are
 * the tokens that the pace rests on, those of older answers counted less.
 */
export interface Speed extends MeasuredSpeed {
  readonly paceTokens: number;
  readonly atMs: number;
}

/** The share of a new answer in the averages: after five others two thirds of its weight are gone. */
const NEWEST_SHARE = 0.2;
/** What a pace rests on that was kept without saying so. */
const PACE_TOKENS_UNTOLD = 100;
/** What was measured longer ago says nothing about now: the upstream counts as unmeasured, so that it is tried again. */
export const SPEED_LASTS_MS = 3_600_000;
/** An answer that came in one piece shows no pace; no model gives more tokens a second. */
const MAX_TOKENS_PER_SECOND = 1_000_000;

/**
 * The averages after one more answer. Averages that are too old are begun anew. The pace is all tokens over all time, so that a few tokens
 * that came at once, and whose pace is beyond all measure, count for no more than they are. Of an answer that came whole the time to its first token
 * is taken to be the one that is known, at most nine tenths of all; where it has no output, all of its time is.
 */
export function noteSpeed(before: Speed | undefined, sample: SpeedSample, nowMs: number): Speed {
  const past = before === undefined || isOld(before, nowMs) ? null : before;
  const { outputTokens, outputMs } = sample;
  const firstTokenMs = sample.firstTokenMs ?? (outputTokens > 0 ? Math.min(past?.firstTokenMs ?? 0, outputMs * 0.9) : outputMs);
  const paceMs = sample.firstTokenMs === null ? outputMs - firstTokenMs : outputMs;
  const isSeen = sample.firstTokenMs !== null || outputTokens === 0;
  return {
    firstTokenMs: isSeen ? mix(past?.firstTokenMs ?? null, Math.max(0, firstTokenMs)) : (past?.firstTokenMs ?? 0),
    ...notePace(past, { tokens: outputTokens, ms: paceMs }),
    atMs: nowMs,
  };
}

function notePace(past: Speed | null, { tokens, ms }: { tokens: number; ms: number }): Pick<Speed, 'tokensPerSecond' | 'paceTokens'> {
  if (tokens <= 0) return { tokensPerSecond: past?.tokensPerSecond ?? null, paceTokens: past?.paceTokens ?? 0 };
  const pastPace = past?.tokensPerSecond ?? null;
  const pastTokens = past === null || pastPace === null ? 0 : past.paceTokens * (1 - NEWEST_SHARE);
  const pastMs = pastPace === null ? 0 : (pastTokens * 1000) / pastPace;
  const paceTokens = pastTokens + tokens;
  return { tokensPerSecond: Math.min((paceTokens * 1000) / Math.max(pastMs + ms, 0.001), MAX_TOKENS_PER_SECOND), paceTokens };
}

/** What is known at `nowMs`; null where nothing is, or nothing that is recent enough. */
export const speedAt = (speed: Speed | undefined, nowMs: number): MeasuredSpeed | null =>
  speed === undefined || isOld(speed, nowMs) ? null : speed;

const isOld = ({ atMs }: Speed, nowMs: number): boolean => nowMs - atMs > SPEED_LASTS_MS;

const mix = (before: number | null, now: number): number => (before === null ? now : before + NEWEST_SHARE * (now - before));

/** Speeds as they are kept, by name; those that are too old are left out. */
export function writeSpeeds(speeds: ReadonlyMap<string, Speed>, nowMs: number): PlainJson {
  const recent = [...speeds].filter(([, speed]) => !isOld(speed, nowMs));
  return Object.fromEntries(
    recent.map(([name, { firstTokenMs, tokensPerSecond, paceTokens, atMs }]) => [
      name,
      [round(firstTokenMs), tokensPerSecond === null ? null : round(tokensPerSecond), atMs, round(paceTokens)],
    ]),
  );
}

/** Three decimals are more than a clock can tell. */
const round = (value: number): number => Math.round(value * 1000) / 1000;

/** Reads what {@link writeSpeeds} wrote; what is nothing of the kind is passed over. */
export function readSpeeds(value: PlainJson | undefined): Map<string, Speed> {
  const speeds = new Map<string, Speed>();
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return speeds;
  for (const [name, kept] of Object.entries(value)) {
    if (!Array.isArray(kept)) continue;
    const [firstTokenMs, tokensPerSecond, atMs, paceTokens = PACE_TOKENS_UNTOLD] = kept as readonly PlainJson[];
    if (!isLength(firstTokenMs) || !isLength(atMs) || !isLength(paceTokens)) continue;
    if (tokensPerSecond !== null && !(isLength(tokensPerSecond) && tokensPerSecond > 0)) continue;
    speeds.set(name, { firstTokenMs, tokensPerSecond, paceTokens, atMs });
  }
  return speeds;
}

const isLength = (value: PlainJson | undefined): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0;
