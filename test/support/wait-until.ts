import { setTimeout as delay } from 'node:timers/promises';

/** Resolves as soon as `holds` does; rejects after `limitMs`, naming what was waited for. */
export async function waitUntil(holds: () => Promise<boolean>, limitMs = 10_000): Promise<void> {
  const deadlineMs = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > deadlineMs) throw new Error(`waited ${limitMs} ms in vain for: ${holds.toString()}`);
    await delay(10);
  }
}
