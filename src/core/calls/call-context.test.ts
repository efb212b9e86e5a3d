import { describe, expect, test } from 'vitest';
import type { PlainJson } from '../json/plain-json.ts';
import { readCallContext, readCheckpoint, writeCallContext, writeCheckpoint, type CallContext } from './call-context.ts';

const throughJson = (value: PlainJson): PlainJson => JSON.parse(JSON.stringify(value)) as PlainJson;

const context: CallContext = {
  keyId: 'key_1',
  model: 'm1',
  route: '/chat/completions',
  streaming: true,
  promptTokens: 12,
  candidates: [
    { upstreamId: 'u1', price: { id: 'p1', rates: { inputNanos: 150n, outputNanos: 600n, cachedInputNanos: null, requestNanos: 0n } } },
    {
      upstreamId: 'u2',
      price: { id: 'p2', rates: { inputNanos: 1n, outputNanos: 1_000_000_000n, cachedInputNanos: 0n, requestNanos: 1_000_000_000_000n } },
    },
    { upstreamId: 'u3', price: null },
    {
      upstreamId: 'u4',
      price: { id: 'p4', rates: { inputNanos: 1n, outputNanos: 2n, cachedInputNanos: null, cacheWriteInputNanos: 0n, requestNanos: 3n } },
    },
    {
      upstreamId: 'u5',
      price: { id: 'p5', rates: { inputNanos: 1n, outputNanos: 2n, cachedInputNanos: null, requestNanos: 3n, secondNanos: 4n } },
    },
    {
      upstreamId: 'u6',
      price: {
        id: 'p6',
        rates: {
          inputNanos: 1n,
          outputNanos: 2n,
          cachedInputNanos: 3n,
          cacheWriteInputNanos: 4n,
          requestNanos: 5n,
          secondNanos: 6n,
          characterNanos: 7n,
          imageNanos: 8n,
        },
      },
    },
  ],
  media: { unit: 'seconds', quantity: 9 },
  rate: { currency: 'EUR', perUsdNanos: 92_000_000_000_000 },
};

describe('the context of a call', () => {
  test('comes back as it was written, through JSON too', () => {
    expect(readCallContext(throughJson(writeCallContext(context)))).toEqual(context);
  });

  test('remembers which model each upstream answers for, where that is another than the one that was asked', () => {
    const [first, second] = context.candidates;
    if (first === undefined || second === undefined) throw new Error('two candidates are needed');
    const several = { ...context, candidates: [first, { ...second, model: 'm2' }, { ...second, upstreamId: 'u3', model: 'm3' }] };
    expect(readCallContext(throughJson(writeCallContext(several)))).toEqual(several);
    expect(writeCallContext(context)).not.toHaveProperty('models');
  });

  test.each([null, 'x', 7, [], {}, { key: 'k' }, { key: 'k', model: 'm', route: '/', stream: true, prompt: 1, upstreams: [] }])(
    'is nothing where the value is something else: %j',
    (value) => {
      expect(readCallContext(value)).toBeNull();
    },
  );
});

describe('a checkpoint', () => {
  test('comes back as it was written', () => {
    const checkpoint = { candidate: 2, outputTokens: 99 };
    expect(readCheckpoint(throughJson(writeCheckpoint(checkpoint)))).toEqual(checkpoint);
  });

  test.each([null, [], 'x', {}, { upstream: -1, output: 1.5 }])('of a call that has none tells that nothing was seen: %j', (value) => {
    expect(readCheckpoint(value)).toEqual({ candidate: 0, outputTokens: 0 });
  });
});
