import { describe, expect, test } from 'vitest';
import { makeSourceLimits, sourceOf } from './source-limits.ts';

const make = (nowMs: () => number = () => 0) => makeSourceLimits({ nowMs, maxConnections: 3, maxPerSource: 2 });

describe('tries that failed', () => {
  test('are answered later and later, for each source apart', () => {
    const limits = make();
    expect(Array.from({ length: 10 }, () => limits.fail('192.0.2.1'))).toEqual([0, 0, 0, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    expect(limits.fail('192.0.2.2')).toBe(0);
    for (let tries = 0; tries < 2000; tries += 1) expect(limits.fail('192.0.2.1')).toBe(10_000);
  });

  test('are forgotten ten minutes after the last one', () => {
    let nowMs = 0;
    const limits = make(() => nowMs);
    for (let tries = 0; tries < 5; tries += 1) limits.fail('192.0.2.1');
    nowMs = 600_000;
    expect(limits.fail('192.0.2.1')).toBe(2000);
    nowMs = 1_200_001;
    expect(limits.fail('192.0.2.1')).toBe(0);
  });

  test('of more sources than are remembered push the oldest out', () => {
    const limits = make();
    for (let tries = 0; tries < 5; tries += 1) limits.fail('192.0.2.1');
    for (let source = 0; source < 10_000; source += 1) limits.fail(`10.0.${source >> 8}.${source & 255}`);
    expect(limits.fail('192.0.2.1')).toBe(0);
  });
});

test('connections are counted for each source and in all, and out again once', () => {
  const limits = make();
  const leave = limits.enter('192.0.2.1');
  expect([leave, limits.enter('192.0.2.1')]).not.toContain(null);
  expect(limits.enter('192.0.2.1')).toBeNull();
  expect(limits.enter('192.0.2.2')).not.toBeNull();
  expect(limits.enter('192.0.2.3')).toBeNull();
  leave?.();
  leave?.();
  expect(limits.enter('192.0.2.3')).not.toBeNull();
  expect(limits.enter('192.0.2.4')).toBeNull();
});

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8::1', '2001:db8:0:0'],
  ['2001:db8:1:2::', '2001:db8:1:2'],
  ['::1', '0:0:0:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
])('%s counts for %s', (address, source) => expect(sourceOf(address)).toBe(source));
