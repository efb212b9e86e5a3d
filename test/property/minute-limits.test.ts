import fc from 'fast-check';
import { expect, test } from 'vitest';
import { minuteRef } from '../../src/core/policy/minute-limits.ts';
import type { MinuteLimit, RateStanding } from '../../src/core/policy/rate-window.ts';
import { SYSTEM_TENANT } from '../../src/core/records.ts';
import { accountWith, fixedLeg, reserve, settleCall, START_MS, TENANT, TENANT_BUDGET } from '../support/ledger-fixtures.ts';
import { MemoryLedger } from '../support/ledger-memory.ts';
import { runsOf, seedOf } from './runs.ts';

type Step =
  | { readonly op: 'hold'; readonly key: number; readonly model: number; readonly tokens: number }
  | { readonly op: 'settle'; readonly call: number; readonly used: number }
  | { readonly op: 'take'; readonly tokens: number }
  | { readonly op: 'wait'; readonly ms: number };

const LIMITS: readonly MinuteLimit[] = [
  { on: 'key', id: 'k0', unit: 'requests', perMinute: 4 },
  { on: 'key', id: 'k1', unit: 'tokens', perMinute: 90 },
  { on: 'model', id: 'm0', unit: 'requests', perMinute: 5 },
  { on: 'model', id: 'm0', unit: 'tokens', perMinute: 120 },
];
const QUOTA: MinuteLimit = { on: 'upstream', id: 'u0', unit: 'tokens', perMinute: 100 };

const tokens = fc.oneof(fc.nat({ max: 60 }), fc.constantFrom(0, 1, 89, 90, 91, 120, 121));
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ op: fc.constant('hold' as const), key: fc.nat({ max: 1 }), model: fc.nat({ max: 1 }), tokens }) },
    { weight: 3, arbitrary: fc.record({ op: fc.constant('settle' as const), call: fc.nat({ max: 20 }), used: fc.nat({ max: 130 }) }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('take' as const), tokens }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('wait' as const), ms: fc.constantFrom(1, 20_000, 59_999, 60_000, 180_000) }) },
  ),
  { maxLength: 60 },
);

/** A call as the second model remembers it: nothing but a list of them. */
interface Past {
  readonly minute: number;
  readonly limits: readonly MinuteLimit[];
  readonly reservationId: string;
  readonly held: number;
  tokens: number;
  isSettled: boolean;
}

const used = (calls: readonly Past[], limit: MinuteLimit, minute: number): number =>
  calls
    .filter((call) => call.minute === minute && call.limits.includes(limit))
    .reduce((sum, call) => sum + (limit.unit === 'requests' ? 1 : call.tokens), 0);

test('limits admit, leave and take back what a plain list of the calls says', () => {
  const property = fc.property(steps, (script) => {
    const ledger = new MemoryLedger();
    ledger.putAccount(accountWith(TENANT_BUDGET, { allocated: 1_000_000n }));
    const calls: Past[] = [];
    let nowMs = START_MS;
    for (const [index, step] of script.entries()) {
      const minute = Math.floor(nowMs / 60_000);
      if (step.op === 'wait') nowMs += step.ms;
      else if (step.op === 'settle')
        settle(ledger, calls[step.call % Math.max(1, calls.length)], { used: step.used, minute, nowMs, index });
      else {
        const limits = step.op === 'take' ? [QUOTA] : LIMITS.filter(({ id }) => id === `k${step.key}` || id === `m${step.model}`);
        const reservationId = `res_${index}`;
        const outcome = ledger.run(
          step.op === 'take'
            ? { verb: 'take-rate', id: `cmd_${index}`, tenantId: SYSTEM_TENANT, limits, tokens: step.tokens }
            : reserve({
                id: `cmd_${index}`,
                reservationId,
                legs: [fixedLeg(TENANT_BUDGET, BigInt(step.tokens))],
                rates: { limits, inputTokens: step.tokens },
              }),
          nowMs,
        );
        const fits = limits.every((limit) => used(calls, limit, minute) + (limit.unit === 'requests' ? 1 : step.tokens) <= limit.perMinute);
        expect(outcome.ok).toBe(fits);
        if (fits) calls.push({ minute, limits, reservationId, held: step.tokens, tokens: step.tokens, isSettled: step.op === 'take' });
        const told = outcome.ok ? (outcome.value as { rates: readonly RateStanding[] }).rates : outcome.rejection.rates;
        const left = limits.map((limit) => Math.max(0, limit.perMinute - used(calls, limit, minute)));
        expect(told?.map(({ remaining }) => remaining)).toEqual(left);
      }
    }
  });
  fc.assert(property, { seed: seedOf(), numRuns: runsOf(200) });
});

function settle(
  ledger: MemoryLedger,
  call: Past | undefined,
  at: { readonly used: number; readonly minute: number; readonly nowMs: number; readonly index: number },
): void {
  if (call === undefined || call.isSettled) return;
  const changes = call.limits
    .filter(({ unit }) => unit === 'tokens')
    .map((limit) => ({ ref: minuteRef(TENANT, limit), minute: call.minute, change: at.used - call.held }));
  const parts = { id: `cmd_${at.index}`, reservationId: call.reservationId, rates: changes };
  expect(ledger.run(settleCall({ tokens: BigInt(at.used), microcents: 0n }, parts), at.nowMs).ok).toBe(true);
  call.isSettled = true;
  call.tokens = at.used;
}
