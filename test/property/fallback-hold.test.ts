import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { callLegs, exceedsHold } from '../../src/core/calls/call-hold.ts';
import { settlementOf } from '../../src/core/calls/settlement.ts';
import { dearest } from '../../src/core/pricing/rates.ts';
import type { Model, Price, Upstream } from '../../src/core/records.ts';
import {
  CIRCUIT_POLICY,
  CLOSED_CIRCUIT,
  beginAttempt,
  endAttempt,
  standingOf,
  type AttemptOutcome,
} from '../../src/core/routing/circuit.ts';
import { priceTableOf, routeOf } from '../../src/core/routing/candidates.ts';
import { orderByStanding, rankCandidates } from '../../src/core/routing/rank.ts';

const nanos = fc.integer({ min: 0, max: 100_000 });
const price = fc.record({ inputNanos: nanos, outputNanos: nanos, cachedInputNanos: fc.option(nanos), requestNanos: nanos });
const upstreams = fc.array(fc.record({ weight: fc.option(fc.nat({ max: 5 })), price: fc.option(price) }), { minLength: 1, maxLength: 6 });

/** A call of at most `inputTokens` and `output` tokens, and what it used of them, in thousandths. */
const call = fc.record({
  inputTokens: fc.nat({ max: 10_000 }),
  output: fc.nat({ max: 10_000 }),
  promptShare: fc.nat({ max: 1000 }),
  completionShare: fc.nat({ max: 1000 }),
  cachedShare: fc.nat({ max: 1000 }),
});

describe('the hold of a call that several upstreams may answer', () => {
  test('is never below what the call costs, whichever of them answers', () => {
    fc.assert(
      fc.property(upstreams, call, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (declared, used, draw) => {
        const model = {
          id: 'm',
          upstreams: declared.map(({ weight }, index) => ({ id: `u${index}`, model: 'm', ...(weight === null ? {} : { weight }) })),
        } as unknown as Model;
        const prices = declared.flatMap(({ price: own }, index): Price[] =>
          own === null ? [] : [{ ...own, id: `p${index}`, modelId: 'm', upstreamId: `u${index}`, appliesFromMs: 0, createdAtMs: 0 }],
        );
        const route = routeOf({
          model,
          upstreamOf: (id) => ({ id }) as Upstream,
          prices: priceTableOf(prices, { modelId: model.id, nowMs: 1 }),
          allowUnpriced: true,
        });
        if (route.kind !== 'candidates') throw new Error(route.kind);
        const candidates = rankCandidates(route.candidates, draw);
        expect(candidates).toHaveLength(declared.length);

        const rates = dearest(candidates.flatMap((candidate) => (candidate.price === null ? [] : [candidate.price.rates])));
        const legs = callLegs({ tenantId: 't', keyId: 'k', scopes: ['tenant:t'], inputTokens: used.inputTokens, rates });
        const promptTokens = Math.floor((used.inputTokens * used.promptShare) / 1000);
        const completionTokens = Math.floor((used.output * used.completionShare) / 1000);
        const usage = {
          promptTokens,
          completionTokens,
          totalTokens: promptTokens + completionTokens,
          cachedPromptTokens: Math.floor((promptTokens * used.cachedShare) / 1000),
          reasoningTokens: null,
        };
        const context = {
          keyId: 'k',
          model: 'm',
          route: '/chat/completions',
          streaming: false,
          promptTokens,
          candidates: candidates.map(({ upstream, price: pinned }) => ({ upstreamId: upstream.id, price: pinned })),
        };
        for (const index of candidates.keys()) {
          const { actuals } = settlementOf(
            { reservationId: 'r', tenantId: 't', context },
            { candidate: index, usage, estimated: false, interrupted: false },
          );
          expect(exceedsHold(legs, BigInt(used.output), actuals)).toBe(false);
        }
      }),
    );
  });
});

const outcome: fc.Arbitrary<AttemptOutcome> = fc.oneof(
  fc.constantFrom<AttemptOutcome>({ kind: 'answered' }, { kind: 'failed' }, { kind: 'broke' }, { kind: 'given_up' }),
  fc.record({ kind: fc.constant('rate_limited' as const), restMs: fc.option(fc.nat({ max: 100_000 })) }),
);

describe('a circuit under any history of attempts', () => {
  const step = fc.record({ waitMs: fc.nat({ max: 20_000 }), outcome, lastsMs: fc.nat({ max: 30_000 }), lastResort: fc.boolean() });

  test('is tried again at the latest after the longest cool-down, and never by two probes at once', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        let circuit = CLOSED_CIRCUIT;
        let nowMs = 0;
        let underWay: { epoch: number; outcome: AttemptOutcome; endsAtMs: number; isProbe: boolean }[] = [];
        const endUntil = (untilMs: number): void => {
          for (const attempt of underWay.toSorted((a, b) => a.endsAtMs - b.endsAtMs)) {
            if (attempt.endsAtMs > untilMs) continue;
            circuit = endAttempt(circuit, attempt, { nowMs: attempt.endsAtMs, policy: CIRCUIT_POLICY });
          }
          underWay = underWay.filter(({ endsAtMs }) => endsAtMs > untilMs);
        };
        for (const { waitMs, outcome: next, lastsMs, lastResort } of steps) {
          nowMs += waitMs;
          endUntil(nowMs);
          const standing = standingOf(circuit, nowMs);
          expect(standing.backInMs).toBeLessThanOrEqual(CIRCUIT_POLICY.maxCoolDownMs);
          if (standing.kind === 'open' && !lastResort) continue;
          const begun = beginAttempt(circuit, nowMs, CIRCUIT_POLICY);
          const isProbe = begun !== circuit;
          if (isProbe) expect(underWay.filter((each) => each.isProbe && each.epoch === circuit.epoch)).toEqual([]);
          circuit = begun;
          underWay.push({ epoch: circuit.epoch, outcome: next, endsAtMs: nowMs + lastsMs, isProbe });
        }
        endUntil(Infinity);
        // Left alone for long enough, every upstream may be tried again.
        expect(standingOf(circuit, nowMs + 200_000).kind).toBe('good');
      }),
    );
  });

  test('never opens without a failure', () => {
    const harmless = outcome.filter(({ kind }) => kind !== 'failed' && kind !== 'broke');
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat({ max: 5000 }), harmless), { maxLength: 200 }), (steps) => {
        let circuit = CLOSED_CIRCUIT;
        let nowMs = 0;
        for (const [waitMs, next] of steps) {
          nowMs += waitMs;
          circuit = endAttempt(circuit, { epoch: circuit.epoch, outcome: next }, { nowMs, policy: CIRCUIT_POLICY });
          expect(circuit.state).toBe('closed');
        }
      }),
    );
  });

  test('orders every candidate once, whatever the standings', () => {
    const standing = fc.record({ kind: fc.constantFrom('good', 'resting', 'open'), backInMs: fc.nat() });
    fc.assert(
      fc.property(fc.array(standing, { maxLength: 10 }), (standings) => {
        const candidates = standings.map((_each, index) => ({
          upstream: { id: String(index) } as Upstream,
          upstreamModel: 'm',
          weight: null,
          price: null,
        }));
        const ordered = orderByStanding(candidates, ({ upstream }) => standings[Number(upstream.id)] ?? { kind: 'good', backInMs: 0 });
        expect(new Set(ordered)).toEqual(new Set(candidates));
        const kinds = ordered.map(({ upstream }) => standings[Number(upstream.id)]?.kind ?? 'good');
        const groups = { good: 0, resting: 1, open: 2 };
        expect(kinds).toEqual(kinds.toSorted((a, b) => groups[a] - groups[b]));
      }),
    );
  });
});
