import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Upstream } from '../../core/records.ts';
import { makeUpstreamPool, type UpstreamPool } from './upstream-pool.ts';

const upstream: Upstream = {
  id: 'u1',
  kind: 'openai',
  baseUrl: 'http://models.internal:9001/v1',
  apiKeySealed: 'sealed-1',
  provider: 'p',
  region: null,
  euNative: false,
  quantized: false,
  retentionDays: null,
  continuousUsage: false,
  timeoutMs: null,
  createdAtMs: 0,
};

let opened: string[];
let made: (string | null)[];
let madeWith: object[];
let closed: number[];
let pool: UpstreamPool;

beforeEach(() => {
  vi.useFakeTimers();
  opened = [];
  made = [];
  madeWith = [];
  closed = [];
  pool = makeUpstreamPool({
    secretBox: {
      seal: (text) => text,
      open: (sealed, identity) => {
        opened.push(identity);
        // What follows a dot is the key that it is sealed with.
        return sealed.startsWith('{') ? sealed : `key of ${sealed.replace(/\..*/, '')}`;
      },
    },
    makeClient: (_upstream, apiKey, headers) => {
      madeWith.push(headers);
      const index = made.push(apiKey) - 1;
      return { send: () => Promise.reject(new Error('unused')), close: async () => void closed.push(index) };
    },
  });
});

afterEach(() => {
  vi.useRealTimers();
});

describe('a connection', () => {
  test('is made once for a record, with its credential opened for that very row', () => {
    const first = pool.open(upstream);
    expect(pool.open(upstream)).toBe(first);
    expect({ made, opened }).toEqual({ made: ['key of sealed-1'], opened: ['upstream:u1'] });
  });

  test('stays where the record was read again, or changed in what does not concern it', () => {
    const first = pool.open(upstream);
    expect(pool.open({ ...upstream })).toBe(first);
    expect(pool.open({ ...upstream, provider: 'q', timeoutMs: 5 })).toBe(first);
  });

  test.each([{ baseUrl: 'http://elsewhere/v1' }, { apiKeySealed: 'sealed-2' }, { kind: 'demo' as const }, { createdAtMs: 1 }])(
    'is made anew where the server or the credential is another: %j',
    (change) => {
      const first = pool.open(upstream);
      expect(pool.open({ ...upstream, ...change })).not.toBe(first);
      expect(made).toHaveLength(2);
    },
  );

  test('is kept where the same credential is sealed anew, also by who still has the record from before', () => {
    const first = pool.open(upstream);
    const resealed = { ...upstream, apiKeySealed: 'sealed-1.another-key' };
    expect([pool.open(resealed), pool.open(upstream), pool.open(resealed)]).toEqual([first, first, first]);
    expect(made).toHaveLength(1);
    expect(pool.open({ ...resealed, baseUrl: 'http://elsewhere/v1' })).not.toBe(first);
  });

  test('that was replaced lives on for its last requests, and is closed then', () => {
    pool.open(upstream);
    pool.open({ ...upstream, apiKeySealed: 'sealed-2' });
    expect(closed).toEqual([]);
    vi.advanceTimersByTime(15 * 60_000);
    expect(closed).toEqual([0]);
  });

  test('names what nobody may read of it: its key and its host', () => {
    expect(pool.open(upstream).secrets).toEqual(['key of sealed-1', 'models.internal:9001', 'models.internal']);
    expect(pool.open({ ...upstream, id: 'u2', apiKeySealed: null, baseUrl: '' }).secrets).toEqual([]);
  });
});

test('headers are opened for that very row, made into the connection, and are nothing that anybody may read', () => {
  const first = pool.open({ ...upstream, headerNames: ['X-Team'], headersSealed: '{"X-Team":"castle"}' });
  expect(madeWith).toEqual([{ 'X-Team': 'castle' }]);
  expect(opened).toEqual(['upstream:u1', 'upstream:u1:headers']);
  expect(first.secrets).toContain('castle');
  expect(pool.open({ ...upstream, headersSealed: '{"X-Team":"keep"}' })).not.toBe(first);
  expect(pool.open({ ...upstream, headersSealed: null }).secrets).not.toContain('keep');
  expect(madeWith).toEqual([{ 'X-Team': 'castle' }, { 'X-Team': 'keep' }, {}]);
});

test('closing the pool closes every connection, the replaced ones too', async () => {
  pool.open(upstream);
  pool.open({ ...upstream, apiKeySealed: 'sealed-2' });
  pool.open({ ...upstream, id: 'u2' });
  await pool.close();
  expect(closed.toSorted((a, b) => a - b)).toEqual([0, 1, 2]);
});
