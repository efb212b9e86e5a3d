import fc from 'fast-check';
import { expect, test } from 'vitest';
import { boundSealed, tellingBytes, type SealedModel } from './bound-sealed.ts';

const model = (more: Partial<SealedModel['model']> = {}): SealedModel => ({
  model: {
    contextTokens: 1000,
    maxOutputTokens: 200,
    promptOverheadTokens: 16,
    maxImageTokens: null,
    maxAudioTokens: null,
    maxFileTokens: null,
    ...more,
  },
});

test.each([
  ['bytes', { kind: 'chat', sealedBytes: 300, models: [model()], maxOutputTokens: 50 }, 316, 50],
  ['the context', { kind: 'chat', sealedBytes: 5000, models: [model()], maxOutputTokens: 50 }, 1016, 50],
  ['bytes alone, of many prompts', { kind: 'embeddings', sealedBytes: 5000, models: [model()], maxOutputTokens: 50 }, 5016, 0],
  ['bytes alone, of completions', { kind: 'completions', sealedBytes: 5000, models: [model()], maxOutputTokens: null }, 5016, 200],
  ['the context, of media', { kind: 'chat', sealedBytes: 30, models: [model({ maxImageTokens: 5 })], maxOutputTokens: null }, 1016, 200],
  [
    'the largest of several models',
    { kind: 'messages', sealedBytes: 5000, models: [model(), model({ contextTokens: 3000, maxOutputTokens: 900 })], maxOutputTokens: null },
    3016,
    900,
  ],
  [
    'an upstream’s own limits',
    { kind: 'chat', sealedBytes: 5000, models: [{ ...model(), contextTokens: 40, maxOutputTokens: 7 }], maxOutputTokens: null },
    56,
    7,
  ],
] as const)('a body is bounded by %s', (_what, options, inputTokens, output) => {
  expect(boundSealed(options)).toMatchObject({ inputTokens, outputPerChoice: output, minOutputPerChoice: output, sendLimitAs: null });
});

test('more bytes than are telling change nothing, and fewer never raise the bound', () => {
  const models = [model(), model({ contextTokens: 3000 })];
  const boundOf = (sealedBytes: number): number => boundSealed({ kind: 'chat', sealedBytes, models, maxOutputTokens: 1 }).inputTokens;
  const telling = tellingBytes('chat', models);
  fc.assert(
    fc.property(fc.nat({ max: 10_000 }), fc.nat({ max: 10_000 }), (a, b) => {
      expect(boundOf(telling + a)).toBe(boundOf(telling));
      expect(boundOf(Math.min(a, b))).toBeLessThanOrEqual(boundOf(Math.max(a, b)));
    }),
  );
});
