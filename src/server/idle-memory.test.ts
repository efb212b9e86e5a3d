import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { collectAll, startIdleMemory } from './idle-memory.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

test('memory is given back once after a burst, and not while calls begin or are in flight', () => {
  const workload = { calls: 0, active: 0 };
  let collections = 0;
  const memory = startIdleMemory({ workload: () => ({ ...workload }), collect: () => (collections += 1), checkMs: 10 });
  const after = (calls: number, active: number): number => {
    Object.assign(workload, { calls, active });
    vi.advanceTimersByTime(10);
    return collections;
  };
  expect(after(0, 0)).toBe(0);
  expect(after(5000, 3)).toBe(0);
  expect(after(5000, 3)).toBe(0);
  expect(after(5001, 0)).toBe(0);
  expect(after(5001, 0)).toBe(1);
  expect(after(5001, 0)).toBe(1);
  expect(after(5900, 0)).toBe(1);
  expect(after(5900, 0)).toBe(1);
  expect(after(6001, 0)).toBe(1);
  expect(after(6001, 0)).toBe(2);
  memory.stop();
  expect(after(9000, 0) + after(9000, 0)).toBe(4);
});

test('the collection that it uses works on this Node', async () => {
  const weak = (() => new WeakRef({ large: Array.from({ length: 1000 }) }))();
  // A reference that was just made is kept until the turn ends.
  await new Promise((resolve) => setImmediate(resolve));
  collectAll();
  expect(weak.deref()).toBeUndefined();
});
