import { describe, expect, test } from 'vitest';
import type { Upstream } from '../records.ts';
import type { RouteCandidate } from './candidates.ts';
import { describeFilteredOut, filterCandidates, type CandidateRules, type FilterName } from './filter-candidates.ts';
import { INFERENCE_DEFAULTS, type InferenceSettings } from './settings.ts';

const candidate = (upstream: Partial<Upstream>, own: Partial<RouteCandidate> = {}): RouteCandidate => ({
  upstream: { id: 'u', provider: 'acme', euNative: false, quantized: false, retentionDays: null, ...upstream } as Upstream,
  upstreamModel: 'm',
  weight: null,
  price: null,
  ...own,
});

const NO_RULES: CandidateRules = { modelId: 'm', settings: null, promptTokens: 100, outputTokens: null, contextTokens: null };
const filterOf = (one: RouteCandidate, rules: Partial<CandidateRules>): FilterName | null =>
  filterCandidates([one], { ...NO_RULES, ...rules }).filteredOut[0]?.filter ?? null;
const under = (settings: Partial<InferenceSettings>): Partial<CandidateRules> => ({ settings: { ...INFERENCE_DEFAULTS, ...settings } });

describe('a filter', () => {
  test.each<[string, Partial<Upstream>, Partial<RouteCandidate>, Partial<CandidateRules>, FilterName | null]>([
    ['none where nothing is set', {}, {}, {}, null],
    ['none under the defaults', { quantized: true }, {}, under({}), null],
    ['the listed provider stays', { provider: 'scaleway' }, {}, under({ allowedProviders: ['mistral', 'scaleway'] }), null],
    ['another provider goes', { provider: 'ovh' }, {}, under({ allowedProviders: ['mistral', 'scaleway'] }), 'allowed_providers'],
    ['letters count', { provider: 'Scaleway' }, {}, under({ allowedProviders: ['scaleway'] }), 'allowed_providers'],
    ['what is not of the EU goes', {}, {}, under({ euNative: true }), 'eu_native'],
    ['what is of the EU stays', { euNative: true }, {}, under({ euNative: true }), null],
    ['nothing retained stays', { retentionDays: 0 }, {}, under({ allowZeroDataRetention: true }), null],
    ['a day of retention goes', { retentionDays: 1 }, {}, under({ allowZeroDataRetention: true }), 'allow_zero_data_retention'],
    ['an undeclared retention goes', {}, {}, under({ allowZeroDataRetention: true }), 'allow_zero_data_retention'],
    ['quantized goes', { quantized: true }, {}, under({ allowQuantization: false }), 'allow_quantization'],
    ['whole weights stay', {}, {}, under({ allowQuantization: false }), null],
    ['the first filter is named', { quantized: true }, {}, under({ allowQuantization: false, euNative: true }), 'eu_native'],
    ['a context that just holds the prompt', {}, { contextTokens: 100 }, {}, null],
    ['a context below the prompt', {}, { contextTokens: 99 }, {}, 'context_length'],
    ['a context below prompt and output', {}, { contextTokens: 149 }, { outputTokens: 50 }, 'context_length'],
    ["the model's context, where it counts", {}, {}, { contextTokens: 99 }, 'context_length'],
    ["the upstream's own context before it", {}, { contextTokens: 100 }, { contextTokens: 99 }, null],
    ['no prompt to hold against it', {}, { contextTokens: 1 }, { promptTokens: null }, null],
    ['an output limit that is enough', {}, { maxOutputTokens: 50 }, { outputTokens: 50 }, null],
    ['an output limit below', {}, { maxOutputTokens: 49 }, { outputTokens: 50 }, 'output_limit'],
    ['an output limit where none was asked for', {}, { maxOutputTokens: 1 }, {}, null],
  ])('%s', (_name, upstream, own, rules, expected) => {
    expect(filterOf(candidate(upstream, own), rules)).toBe(expected);
  });

  test('keeps the order of those that stay, and says why the others go', () => {
    const all = ['a', 'b', 'c'].map((id) => candidate({ id, euNative: id !== 'b' }));
    const { left, filteredOut } = filterCandidates(all, { ...NO_RULES, ...under({ euNative: true }) });
    expect(left.map(({ upstream }) => upstream.id)).toEqual(['a', 'c']);
    expect(describeFilteredOut(filteredOut)).toBe('eu_native removed b (acme): It is not based and regulated in the EU.');
  });

  test('names twenty of those that go, and counts the rest', () => {
    const all = Array.from({ length: 25 }, (_, index) => candidate({ id: `u${index}` }));
    const text = describeFilteredOut(filterCandidates(all, { ...NO_RULES, ...under({ euNative: true }) }).filteredOut);
    expect(text.match(/eu_native removed/g)).toHaveLength(20);
    expect(text).toMatch(/and 5 more\.$/);
  });
});
