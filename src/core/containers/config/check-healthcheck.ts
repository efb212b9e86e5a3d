import type { ConfigNode } from './config-node.ts';
import type { UnitHealthcheck } from './container-config.ts';
import { parseDuration } from './sizes-and-lengths.ts';

const FIELDS: readonly string[] = ['test', 'interval', 'timeout', 'retries', 'start_period'];
const MAX_TEST_ITEMS = 64;
const MAX_RETRIES = 100;
const MAX_LENGTH_MS = 86_400_000;

/** What Docker does where nothing is said. */
const DEFAULTS = { intervalMs: 30_000, timeoutMs: 30_000, retries: 3, startPeriodMs: 0 };

/** A length of time from `minMs` to a day. */
function checkDuration(node: ConfigNode, minMs: number): number | null {
  if (!node.isGiven) return null;
  const lengthMs = parseDuration(node.plain);
  if (lengthMs === null) return node.refuse('must be a length of time such as 5s, 1m30s or 500ms');
  if (lengthMs >= minMs && lengthMs <= MAX_LENGTH_MS) return lengthMs;
  return node.refuse(minMs === 0 ? 'must be at most 24h' : 'must be from 1ms to 24h');
}

function checkTest(node: ConfigNode): readonly string[] {
  const test = node.texts({ max: MAX_TEST_ITEMS }) ?? [];
  const [kind, ...rest] = test;
  if (kind === undefined) return [];
  if (kind === 'CMD' ? rest.length === 0 : kind === 'CMD-SHELL' ? rest.length !== 1 : kind !== 'NONE' || rest.length > 0) {
    node.refuse('must be [CMD, program, arguments...], [CMD-SHELL, one command line] or [NONE]');
  }
  return test;
}

/** Reads `healthcheck` of a container; null where there is none, and the image's own counts. */
export function checkHealthcheck(node: ConfigNode): UnitHealthcheck | null {
  if (!node.isGiven) return null;
  node.only(FIELDS);
  return {
    test: checkTest(node.field('test')),
    intervalMs: checkDuration(node.field('interval'), 1) ?? DEFAULTS.intervalMs,
    timeoutMs: checkDuration(node.field('timeout'), 1) ?? DEFAULTS.timeoutMs,
    retries: node.field('retries').integer(1, MAX_RETRIES) ?? DEFAULTS.retries,
    startPeriodMs: checkDuration(node.field('start_period'), 0) ?? DEFAULTS.startPeriodMs,
  };
}
