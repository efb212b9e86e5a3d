/**
 * What of a call is counted in other units than tokens: seconds of audio that came in, characters that were spoken, images that were made.
 */

/** A unit that a model may have a price for, beside tokens. */
export type MediaUnit = 'seconds' | 'characters' | 'images';

/** So much of a unit; a whole number. */
export interface MediaUse {
  readonly unit: MediaUnit;
  readonly quantity: number;
}

/** What a call can use of its unit at most, and what it uses as far as we can tell without its answer. */
export interface MediaBound {
  readonly unit: MediaUnit;
  readonly most: number;
  readonly likely: number;
}

/** What an answer told of media; null where it told nothing. */
export interface SeenMedia {
  readonly seconds: number | null;
  readonly images: number | null;
}

/** No call uses more of a unit; what an upstream reports above it counts as this. */
const MAX_QUANTITY = 1_000_000_000;

/**
 * What a call used of its unit. Characters are those of the request, for all of them were spoken. Seconds and images are what the
 * answer tells; where it tells nothing they are estimated where the call pays for them (`isPriced`), and otherwise left out. A begun
 * second counts as a whole one.
 */
export function mediaUse(
  bound: MediaBound | undefined,
  seen: SeenMedia,
  isPriced: boolean,
): { readonly use: MediaUse; readonly estimated: boolean } | null {
  if (bound === undefined) return null;
  const { unit } = bound;
  if (unit === 'characters') return { use: { unit, quantity: bound.most }, estimated: false };
  const told = seen[unit];
  if (told !== null) return { use: { unit, quantity: Math.min(Math.max(Math.ceil(told), 0), MAX_QUANTITY) }, estimated: false };
  return isPriced ? { use: { unit, quantity: bound.likely }, estimated: true } : null;
}

/** Seconds of audio that an answer tells: from a usage counted in them, else from its `duration`. Null where it tells none. */
export function reportedSeconds(usage: unknown, duration: unknown): number | null {
  const fields = typeof usage === 'object' && usage !== null ? (usage as Readonly<Record<string, unknown>>) : {};
  for (const value of [fields['type'] === 'duration' ? fields['seconds'] : null, duration]) {
    const seconds = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
    if (typeof seconds === 'number' && Number.isFinite(seconds) && seconds >= 0) return seconds;
  }
  return null;
}
