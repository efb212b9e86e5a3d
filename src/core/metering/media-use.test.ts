import { describe, expect, test } from 'vitest';
import { mediaUse, reportedSeconds, type MediaBound } from './media-use.ts';

const bound = (unit: MediaBound['unit']): MediaBound => ({ unit, most: 90, likely: 7 });
const NOTHING = { seconds: null, images: null };

describe('what a call used beside tokens', () => {
  test.each([
    ['nothing without a unit', undefined, { seconds: 3, images: 3 }, true, null],
    ['all characters that were sent', bound('characters'), NOTHING, false, { use: { unit: 'characters', quantity: 90 }, estimated: false }],
    [
      'the seconds that are told, begun ones whole',
      bound('seconds'),
      { seconds: 3.01, images: null },
      false,
      { use: { unit: 'seconds', quantity: 4 }, estimated: false },
    ],
    [
      'the images that came',
      bound('images'),
      { seconds: null, images: 2 },
      true,
      { use: { unit: 'images', quantity: 2 }, estimated: false },
    ],
    [
      'no image where none came',
      bound('images'),
      { seconds: null, images: 0 },
      true,
      { use: { unit: 'images', quantity: 0 }, estimated: false },
    ],
    [
      'an estimate where it is paid for and nobody tells',
      bound('seconds'),
      NOTHING,
      true,
      { use: { unit: 'seconds', quantity: 7 }, estimated: true },
    ],
    ['nothing where it is not paid for and nobody tells', bound('seconds'), NOTHING, false, null],
    [
      'no more than can be kept',
      bound('seconds'),
      { seconds: 1e300, images: null },
      true,
      { use: { unit: 'seconds', quantity: 1_000_000_000 }, estimated: false },
    ],
  ] as const)('%s', (_name, media, seen, isPriced, expected) => {
    expect(mediaUse(media, seen, isPriced)).toEqual(expected);
  });
});

describe('seconds that an answer tells', () => {
  test.each([
    ['a usage in seconds', { type: 'duration', seconds: 12.5 }, undefined, 12.5],
    ['a usage in seconds beside a length', { type: 'duration', seconds: 12 }, 11.4, 12],
    ['a length', undefined, 8.47, 8.47],
    ['a length as text', null, '8.47', 8.47],
    ['a length beside a usage in tokens', { type: 'tokens', total_tokens: 9 }, 3, 3],
    ['a usage in tokens', { type: 'tokens', seconds: 9 }, undefined, null],
    ['nothing', undefined, undefined, null],
    ['a length below nothing', undefined, -1, null],
    ['no number', undefined, 'long', null],
    ['an empty text', undefined, '', null],
  ])('%s', (_name, usage, duration, expected) => {
    expect(reportedSeconds(usage, duration)).toBe(expected);
  });
});
