import { describe, expect, test } from 'vitest';
import { MemoryLedger } from '../../../test/support/ledger-memory.ts';
import { readCallContext, writeCallContext, type CallContext } from './call-context.ts';
import { objectsOfResponse } from './upstream-object.ts';

const KEPT = { upstreamId: 'u1', model: 'm1', tokens: 9 };

describe('what an upstream keeps of a response', () => {
  test('is the response with its tokens, and its items without', () => {
    const response = { id: 'resp_1', output: [{ id: 'msg_1' }, { id: 'fc_1' }, { id: 'msg_1' }, {}, null, { id: 5 }] };
    expect(objectsOfResponse(response, KEPT)).toEqual([
      { id: 'resp_1', ...KEPT },
      { id: 'msg_1', ...KEPT, tokens: null },
      { id: 'fc_1', ...KEPT, tokens: null },
    ]);
  });

  test('is nothing where it has no id', () => {
    for (const response of [{}, { id: '' }, { id: 1 }]) expect(objectsOfResponse(response, KEPT)).toEqual([]);
  });

  test('is bounded', () => {
    const output = Array.from({ length: 1000 }, (_, index) => ({ id: `msg_${index}` }));
    expect(objectsOfResponse({ id: 'r', output }, KEPT)).toHaveLength(257);
  });
});

describe('remembering', () => {
  const ledger = new MemoryLedger();
  ledger.putTenant('acme', 'ACTIVE');

  test('the last to say so holds an object, and a forgotten one is gone', () => {
    const keep = (upstreamId: string) =>
      ledger.run({ verb: 'keep-upstream-objects', id: 'c', tenantId: 'acme', objects: [{ ...KEPT, id: 'resp_1', upstreamId }] }, 5);
    keep('u1');
    keep('u2');
    expect([...ledger.upstreamObjects.values()]).toEqual([{ tenantId: 'acme', id: 'resp_1', ...KEPT, upstreamId: 'u2', atMs: 5 }]);
    ledger.run({ verb: 'forget-upstream-object', id: 'd', tenantId: 'acme', objectId: 'resp_1' }, 6);
    expect(ledger.upstreamObjects.size).toBe(0);
  });
});

describe('the context of a call with media', () => {
  const rates = { inputNanos: 1n, outputNanos: 2n, cachedInputNanos: null, requestNanos: 3n };
  const plain: CallContext = {
    keyId: 'k',
    model: 'm1',
    route: '/audio/speech',
    streaming: false,
    promptTokens: 0,
    candidates: [{ upstreamId: 'u1', price: { id: 'p1', rates } }],
  };

  test('comes back as it was written', () => {
    const priced = { ...rates, characterNanos: 15_000n, imageNanos: 1_000_000_000_000n };
    const context: CallContext = {
      ...plain,
      candidates: [{ upstreamId: 'u1', price: { id: 'p1', rates: priced } }],
      media: { unit: 'characters', quantity: 12 },
    };
    expect(readCallContext(writeCallContext(context))).toEqual(context);
  });

  test('without any it is written as it ever was', () => {
    expect(writeCallContext(plain)).toEqual({
      key: 'k',
      model: 'm1',
      route: '/audio/speech',
      stream: false,
      prompt: 0,
      upstreams: [['u1', 'p1', 1, 2, null, 3]],
    });
  });
});
