import { DEFAULT_SEALED_KEYS, type SealedKeyPolicy } from '../../core/sealed/key-ring.ts';
import type { Field } from './field.ts';

const DAY_MS = 86_400_000;

/** Reads how long the keys of sealed calls are good for. Two keys open at most, so an overlap is no longer than a key's own time. */
export function parseSealed(field: Field): SealedKeyPolicy {
  const given = field.fields(['rotate_every_ms', 'overlap_ms', 'recognise_ms']);
  const rotateEveryMs = given.rotate_every_ms.or(DEFAULT_SEALED_KEYS.rotateEveryMs, (f) => f.integer({ min: 1000, max: 366 * DAY_MS }));
  const usualOverlapMs = Math.min(DEFAULT_SEALED_KEYS.overlapMs, rotateEveryMs);
  const overlapMs = given.overlap_ms.or(usualOverlapMs, (f) => f.integer({ min: 0, max: 366 * DAY_MS }));
  if (overlapMs > rotateEveryMs) given.overlap_ms.fail(`must be at most rotate_every_ms, which is ${rotateEveryMs}`);
  return {
    rotateEveryMs,
    overlapMs,
    recogniseMs: given.recognise_ms.or(DEFAULT_SEALED_KEYS.recogniseMs, (f) => f.integer({ min: 0, max: 366 * DAY_MS })),
  };
}
