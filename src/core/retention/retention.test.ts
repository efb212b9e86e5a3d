import { describe, expect, test } from 'vitest';
import { ROLLUP_LEVELS } from '../usage/rollups.ts';
import { cutoffsAt, DEFAULT_RETENTION } from './retention.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.parse('2026-11-22T10:07:03.250Z');

describe('what may go', () => {
  const cutoffs = cutoffsAt(
    {
      eventsMs: DAY_MS,
      deliveriesMs: 2 * DAY_MS,
      idempotencyMs: 3 * DAY_MS,
      auditMs: 4 * DAY_MS,
      reservationsMs: 5 * DAY_MS,
      usageEventsMs: 6 * DAY_MS,
    },
    NOW_MS,
  );

  test.each([
    ['an event that nobody took', cutoffs.eventsBeforeMs, NOW_MS - DAY_MS],
    ['an event that was delivered', cutoffs.deliveriesBeforeMs, NOW_MS - 2 * DAY_MS],
    ['an audit row', cutoffs.auditBeforeMs, NOW_MS - 4 * DAY_MS],
    ['a usage event', cutoffs.usageEventsBeforeMs, NOW_MS - 6 * DAY_MS],
    ['an answer, at its own end', cutoffs.idempotencyBeforeMs, NOW_MS + 1],
    ['a reservation, at the start of the day', cutoffs.ledgerBeforeMs, Date.parse('2026-11-17T00:00:00Z')],
  ])('%s', (_kind, cutoff, expected) => expect(cutoff).toBe(expected));

  test('a reservation of the last moment of a day is kept at least its time, and goes within a day after it', () => {
    const settledMs = Date.parse('2026-11-16T23:59:59.999Z');
    const retention = { ...DEFAULT_RETENTION, reservationsMs: 5 * DAY_MS };
    expect(cutoffsAt(retention, settledMs + 5 * DAY_MS).ledgerBeforeMs).toBeLessThanOrEqual(settledMs);
    expect(cutoffsAt(retention, settledMs + 5 * DAY_MS + 1).ledgerBeforeMs).toBeGreaterThan(settledMs);
  });

  test('a bucket of each level that is not kept for ever, when all of it is past the level’s time', () => {
    const kept = ROLLUP_LEVELS.filter(({ keepMs }) => keepMs !== null);
    expect(cutoffs.rollups.map(({ levelMs }) => levelMs)).toEqual(kept.map(({ levelMs }) => levelMs));
    for (const [index, { levelMs, keepMs }] of kept.entries()) {
      const lastMomentMs = (cutoffs.rollups[index]?.beforeMs ?? 0) - 1 + levelMs;
      expect(NOW_MS - lastMomentMs).toBe(keepMs);
    }
  });
});
