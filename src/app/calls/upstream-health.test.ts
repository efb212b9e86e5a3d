import { beforeEach, expect, test } from 'vitest';
import type { Upstream } from '../../core/records.ts';
import { CIRCUIT_POLICY } from '../../core/routing/circuit.ts';
import type { Log } from '../../ports/log.ts';
import { makeUpstreamHealth, type UpstreamHealth } from './upstream-health.ts';

const upstream = { id: 'u1', kind: 'openai', baseUrl: 'http://a/v1', apiKeySealed: null, createdAtMs: 0 } as Upstream;

let nowMs: number;
let lines: string[];
let health: UpstreamHealth;

beforeEach(() => {
  nowMs = 1000;
  lines = [];
  const line = (fields: object): void => void lines.push(JSON.stringify(fields));
  const log: Log = { debug: line, info: line, warn: line, error: line };
  health = makeUpstreamHealth({ elapsedMs: () => nowMs, log });
});

const fail = (times: number, code?: string): void => {
  for (let index = 0; index < times; index++) health.begin(upstream, { lastResort: false })?.end({ kind: 'failed' }, code);
};

test('an upstream of which nothing is known is good, and asking makes nothing', () => {
  expect(health.standing(upstream)).toEqual({ kind: 'good', backInMs: 0 });
  expect(health.report(upstream)).toMatchObject({ state: 'closed', lastFailure: null, retryInMs: null });
});

test('tells how it stands, when it is tried again, and what failed last', () => {
  fail(5, 'upstream_timeout');
  nowMs += 2000;
  expect(health.begin(upstream, { lastResort: false })).toBeNull();
  expect(health.report(upstream)).toEqual({
    state: 'open',
    consecutiveFailures: 5,
    window: { attempts: 0, failures: 0 },
    openedCount: 1,
    retryInMs: 3000,
    restsForMs: null,
    lastFailure: { code: 'upstream_timeout', agoMs: 2000 },
  });
  expect(lines).toEqual(['{"upstream":"u1","from":"closed","to":"open","code":"upstream_timeout","retryInMs":5000}']);
});

test('only the first end of an attempt counts', () => {
  for (let index = 0; index < 9; index++) {
    const attempt = health.begin(upstream, { lastResort: false });
    attempt?.end({ kind: 'answered' });
    attempt?.end({ kind: 'failed' });
  }
  expect(health.report(upstream)).toMatchObject({ window: { attempts: 9, failures: 0 } });
});

test('the answer that closed a circuit counts where it breaks off later', () => {
  fail(5);
  nowMs += CIRCUIT_POLICY.firstCoolDownMs;
  const probe = health.begin(upstream, { lastResort: false });
  probe?.end({ kind: 'answered' });
  expect(health.report(upstream).state).toBe('closed');
  probe?.broke();
  expect(health.report(upstream)).toMatchObject({ consecutiveFailures: 1, window: { attempts: 1, failures: 1 } });
});

test('the record read again keeps what is known; another server, credential or headers begin anew', () => {
  fail(5);
  expect(health.report({ ...upstream, region: 'fr' }).state).toBe('open');
  expect(health.report({ ...upstream, baseUrl: 'http://b/v1' }).state).toBe('closed');
  expect(health.report({ ...upstream, apiKeySealed: 'x' }).state).toBe('closed');
  expect(health.report({ ...upstream, headersSealed: 'x' }).state).toBe('closed');
});
