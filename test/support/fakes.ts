import type { Clock } from '../../src/ports/clock.ts';
import type { Failpoints } from '../../src/ports/failpoints.ts';
import type { Ids } from '../../src/ports/ids.ts';
import type { Log, LogFields } from '../../src/ports/log.ts';
import type { KeyHasher, SecretBox } from '../../src/ports/secret-box.ts';

/** A clock that stands still until it is moved. */
export interface ManualClock extends Clock {
  set(nowMs: number): void;
  advance(byMs: number): void;
}

/** A clock that shows `startMs` until it is moved. */
export function makeManualClock(startMs: number): ManualClock {
  let now = startMs;
  return {
    nowMs: () => now,
    set: (nowMs) => {
      now = nowMs;
    },
    advance: (byMs) => {
      now += byMs;
    },
  };
}

/** Ids that count, so that a failing test says the same each time. Their secrets are long enough and all different. */
export function makeCountingIds(): Ids {
  let count = 0;
  return {
    next: (prefix) => `${prefix}_${String(++count).padStart(26, '0')}`,
    base62: (length) =>
      `${String(++count).padStart(6, '0')}${'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'.repeat(10)}`.slice(0, length),
    token: (length) => Buffer.from(String(++count).padStart(length, 't')).toString('base64url'),
  };
}

/** A box that only shows where it was used: what it seals can be read, and opens for its own identity only. */
export const makeFakeSecretBox = (): SecretBox => ({
  seal: (plaintext, identity) => Buffer.from(JSON.stringify([identity, plaintext])).toString('base64'),
  open: (sealed, identity) => {
    const [sealedFor, plaintext] = JSON.parse(Buffer.from(sealed, 'base64').toString()) as [string, string];
    if (sealedFor !== identity) throw new Error('sealed for another row');
    return plaintext;
  },
});

/** Hashes that tell their plaintext apart, and nothing more. */
export const makeFakeHasher = (): KeyHasher => ({ hash: (plaintext) => `hash:${Buffer.from(plaintext).toString('base64url')}` });

/** One line that was logged. */
export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: LogFields;
  readonly message: string;
}

/** A log that keeps its lines. */
export interface MemoryLog extends Log {
  readonly lines: LogLine[];
}

/** A log that keeps its lines for a test to read. */
export function makeMemoryLog(): MemoryLog {
  const lines: LogLine[] = [];
  const at =
    (level: LogLine['level']) =>
    (fields: LogFields, message: string): void =>
      void lines.push({ level, fields, message });
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** Failpoints that remember which were passed, in order. */
export function makeRecordingFailpoints(): Failpoints & { readonly hits: string[] } {
  const hits: string[] = [];
  return { hits, hit: (point) => void hits.push(point) };
}
