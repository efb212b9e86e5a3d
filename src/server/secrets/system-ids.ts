import { randomBytes } from 'node:crypto';
import type { Clock } from '../../ports/clock.ts';
import type { Ids } from '../../ports/ids.ts';

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const TIME_CHARACTERS = 10;
const RANDOM_CHARACTERS = 16;
/** The largest multiple of 62 that a byte can hold: bytes from here on are thrown away, else the first characters would come more often. */
const BASE62_LIMIT = 248;

function encodeTime(ms: number): string {
  let rest = ms;
  let text = '';
  for (let i = 0; i < TIME_CHARACTERS; i++) {
    text = CROCKFORD.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

/** Adds one to a number of base-32 digits, most significant first; wraps around at the end. */
function increment(digits: Uint8Array): void {
  for (let i = digits.length - 1; i >= 0; i--) {
    const digit = digits[i] ?? 0;
    if (digit < 31) {
      digits[i] = digit + 1;
      return;
    }
    digits[i] = 0;
  }
}

/** Random bytes are fetched in portions of this size: asking the system for sixteen of them costs as much as for thousands. */
const POOL_BYTES = 4096;

/** Hands out random bytes, each once. Not for secrets: those are fetched when they are made. */
function makeRandomPool(): (length: number) => Uint8Array {
  let pool = randomBytes(POOL_BYTES);
  let used = 0;
  return (length) => {
    if (used + length > pool.length) {
      pool = randomBytes(POOL_BYTES);
      used = 0;
    }
    used += length;
    return pool.subarray(used - length, used);
  };
}

/**
 * Ids and secrets from the system's random source.
 *
 * Ids are ULIDs: they never sort before one that the same source made earlier, also within a millisecond and when the clock goes back.
 */
export function makeSystemIds(options: { clock: Clock }): Ids {
  let lastMs = -1;
  let timeText = '';
  const digits = new Uint8Array(RANDOM_CHARACTERS);
  const random = makeRandomPool();

  return {
    next(prefix) {
      const nowMs = options.clock.nowMs();
      if (nowMs > lastMs) {
        lastMs = nowMs;
        timeText = encodeTime(nowMs);
        const bytes = random(RANDOM_CHARACTERS);
        for (let i = 0; i < RANDOM_CHARACTERS; i++) digits[i] = (bytes[i] ?? 0) & 31;
      } else {
        increment(digits);
      }
      let text = '';
      for (let i = 0; i < RANDOM_CHARACTERS; i++) text += CROCKFORD.charAt(digits[i] ?? 0);
      return `${prefix}_${timeText}${text}`;
    },
    base62(length) {
      let text = '';
      while (text.length < length) {
        for (const byte of randomBytes(length - text.length)) {
          if (byte < BASE62_LIMIT) text += BASE62.charAt(byte % 62);
        }
      }
      return text;
    },
    token: (length) => randomBytes(length).toString('base64url'),
  };
}
