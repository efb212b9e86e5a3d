import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { widestBound } from '../../src/core/bounds/widest-bound.ts';
import type { RequestBound } from '../../src/core/bounds/bound-request.ts';
import { legAmount } from '../../src/core/ledger/reserve.ts';
import { callLegs, outputRange } from '../../src/core/calls/call-hold.ts';
import { chargeMicrocents, costNanoUsd, dearest, type Rates } from '../../src/core/pricing/rates.ts';
import type { Upstream } from '../../src/core/records.ts';
import type { RouteCandidate } from '../../src/core/routing/candidates.ts';
import { filterCandidates } from '../../src/core/routing/filter-candidates.ts';
import { rankByPreference, type MeasuredSpeed } from '../../src/core/routing/rank-by-preference.ts';
import { INFERENCE_DEFAULTS } from '../../src/core/routing/settings.ts';

const RUNS = { numRuns: 300 };

const rates: fc.Arbitrary<Rates> = fc.record({
  inputNanos: fc.bigInt({ min: 0n, max: 5000n }),
  outputNanos: fc.bigInt({ min: 0n, max: 5000n }),
  cachedInputNanos: fc.option(fc.bigInt({ min: 0n, max: 9000n })),
  requestNanos: fc.bigInt({ min: 0n, max: 10_000n }),
});

interface Drawn {
  readonly candidate: RouteCandidate;
  readonly speed: MeasuredSpeed | null;
}

const drawn: fc.Arbitrary<Drawn> = fc
  .record({
    provider: fc.constantFrom('a', 'b', 'c'),
    euNative: fc.boolean(),
    quantized: fc.boolean(),
    retentionDays: fc.constantFrom(null, 0, 30),
    weight: fc.constantFrom(null, 0, 1, 7),
    rates: fc.option(rates, { freq: 4 }),
    contextTokens: fc.constantFrom(undefined, 100, 5000),
    maxOutputTokens: fc.constantFrom(undefined, 10, 500),
    speed: fc.option(fc.record({ firstTokenMs: fc.nat({ max: 3000 }), tokensPerSecond: fc.option(fc.integer({ min: 1, max: 500 })) })),
  })
  .map(({ provider, euNative, quantized, retentionDays, weight, rates: own, contextTokens, maxOutputTokens, speed }) => ({
    candidate: {
      upstream: { id: 'u', provider, euNative, quantized, retentionDays } as Upstream,
      upstreamModel: 'm',
      weight,
      price: own === null ? null : { id: 'p', rates: own },
      ...(contextTokens === undefined ? {} : { contextTokens }),
      ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
    },
    speed,
  }));

const rules = fc.record({
  modelId: fc.constant('m'),
  settings: fc
    .record({
      allowedProviders: fc.option(fc.subarray(['a', 'b', 'c'], { minLength: 1 })),
      euNative: fc.boolean(),
      allowQuantization: fc.boolean(),
      allowZeroDataRetention: fc.boolean(),
    })
    .map((settings) => ({ ...INFERENCE_DEFAULTS, ...settings })),
  promptTokens: fc.option(fc.nat({ max: 6000 })),
  outputTokens: fc.option(fc.nat({ max: 600 })),
  contextTokens: fc.constantFrom(null, 4000),
});

describe('routing', () => {
  test('lets nothing through that is forbidden, and takes out nothing that is not', () => {
    fc.assert(
      fc.property(fc.array(drawn, { maxLength: 30 }), rules, (all, at) => {
        const candidates = all.map(({ candidate }) => candidate);
        const { left, filteredOut } = filterCandidates(candidates, at);
        const { settings } = at;
        const may = ({ upstream, contextTokens, maxOutputTokens }: RouteCandidate): boolean =>
          (settings.allowedProviders === null || settings.allowedProviders.includes(upstream.provider)) &&
          (upstream.euNative || !settings.euNative) &&
          (upstream.retentionDays === 0 || !settings.allowZeroDataRetention) &&
          (!upstream.quantized || settings.allowQuantization) &&
          (at.promptTokens ?? -Infinity) + (at.outputTokens ?? 0) <= (contextTokens ?? at.contextTokens ?? Infinity) &&
          (at.outputTokens ?? 0) <= (maxOutputTokens ?? Infinity);
        expect(left).toEqual(candidates.filter(may));
        expect(filteredOut).toHaveLength(candidates.length - left.length);
      }),
      RUNS,
    );
  });

  test('ranks each candidate once, the same way each time, ties as declared and weight 0 behind', () => {
    const asked = fc.record({
      preference: fc.constantFrom('cost', 'speed', 'balanced'),
      estimate: fc.record({ promptTokens: fc.nat({ max: 10_000 }), outputTokens: fc.nat({ max: 1000 }), media: fc.constant(null) }),
    });
    fc.assert(
      fc.property(fc.array(drawn, { maxLength: 30 }), asked, (all, options) => {
        const candidates = all.map(({ candidate }) => candidate);
        const speeds = new Map(all.map(({ candidate, speed }) => [candidate, speed]));
        const rank = () => rankByPreference(candidates, { ...options, speedOf: (one) => speeds.get(one) ?? null });
        const ranked = rank();
        expect(new Set(ranked.map(({ candidate }) => candidate))).toEqual(new Set(candidates));
        expect(ranked).toHaveLength(candidates.length);
        expect(rank()).toEqual(ranked);
        for (const [index, { candidate, score }] of ranked.slice(1).entries()) {
          const before = ranked[index];
          if (before === undefined) continue;
          const [reserveBefore, reserve] = [before.candidate.weight === 0, candidate.weight === 0];
          expect(reserveBefore && !reserve).toBe(false);
          if (reserveBefore !== reserve) continue;
          expect(before.score).toBeLessThanOrEqual(score);
          if (before.score === score) expect(candidates.indexOf(before.candidate)).toBeLessThan(candidates.indexOf(candidate));
        }
      }),
      RUNS,
    );
  });

  test('holds for whatever model and upstream answers, at whatever limit the hold leaves', () => {
    const target = fc.record({
      bound: fc.record({
        inputTokens: fc.nat({ max: 5000 }),
        outputPerChoice: fc.integer({ min: 1, max: 800 }),
        minOutputPerChoice: fc.constant(1),
      }),
      rates,
      promptShare: fc.double({ min: 0, max: 1, noNaN: true }),
      outputShare: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(
        fc.array(target, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 4 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (targets, choices, share) => {
          const bounds = targets.map(({ bound }): RequestBound => ({ ...bound, choices, sendLimitAs: 'max_tokens' }));
          const wide = widestBound([bounds[0] as RequestBound, ...bounds.slice(1)]);
          const held = dearest(targets.map((one) => one.rates));
          const legs = callLegs({ tenantId: 't', keyId: 'k', scopes: ['tenant:t'], inputTokens: wide.inputTokens, rates: held });
          const { min, max } = outputRange(wide);
          const units = min + BigInt(Math.floor(Number(max - min) * share));
          for (const { bound, rates: own, promptShare, outputShare } of targets) {
            const limit = Math.min(Math.floor(Number(units) / choices), bound.outputPerChoice);
            const usage = {
              promptTokens: Math.floor(bound.inputTokens * promptShare),
              completionTokens: Math.floor(limit * choices * outputShare),
              cachedPromptTokens: null,
            };
            const [tokens, money] = legs;
            if (tokens === undefined || money === undefined) throw new Error('no legs');
            expect(BigInt(usage.promptTokens + usage.completionTokens) <= legAmount(tokens, units)).toBe(true);
            expect(chargeMicrocents(costNanoUsd(own, usage)) <= legAmount(money, units)).toBe(true);
          }
        },
      ),
      RUNS,
    );
  });
});
