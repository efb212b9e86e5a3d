import { describe, expect, test } from 'vitest';
import type { Upstream } from '../records.ts';
import type { State } from '../verb.ts';
import { UPSTREAM_DEFAULTS } from './defaults.ts';
import { resealVerb } from './decide-reseal.ts';
import { replaceSealed, sealedValuesOf } from './sealed-values.ts';

const upstream: Upstream = {
  ...UPSTREAM_DEFAULTS,
  id: 'u',
  kind: 'openai',
  baseUrl: 'http://x',
  apiKeySealed: 'old',
  provider: 'u',
  createdAtMs: 1,
};

const stateWith = (record: unknown): State => ({
  account: () => undefined,
  reservation: () => undefined,
  idempotency: () => undefined,
  report: () => undefined,
  rate: () => undefined,
  isHeld: () => false,
  isLoaded: () => false,
  spending: () => ({ charges: new Map(), owners: new Map(), calls: [] }),
  record: (() => record) as State['record'],
});

const command = (from: string) =>
  ({
    verb: 'reseal',
    id: 'c',
    tenantId: '_system',
    kind: 'upstream',
    recordId: 'u',
    values: [{ path: ['apiKeySealed'], from, to: 'new' }],
  }) as const;

describe('the sealed values of a record', () => {
  test('are those of its kind, each with the identity that it was sealed for', () => {
    expect(sealedValuesOf('upstream', 'u', { ...upstream, headersSealed: 'h' })).toEqual([
      { path: ['apiKeySealed'], sealed: 'old', identity: 'upstream:u' },
      { path: ['headersSealed'], sealed: 'h', identity: 'upstream:u:headers' },
    ]);
    const previous = { secretSealed: 'before', untilMs: null };
    const reporter = { id: 'r', secretSealed: 's', previous, tenants: ['t'], createdAtMs: 1 };
    expect(sealedValuesOf('usage-reporter', 'r', reporter)).toEqual([
      { path: ['secretSealed'], sealed: 's', identity: 'usage-reporter:r' },
      { path: ['previous', 'secretSealed'], sealed: 'before', identity: 'usage-reporter:r' },
    ]);
    expect(sealedValuesOf('usage-reporter', 'r', { ...reporter, previous: null })).toHaveLength(1);
    expect(sealedValuesOf('setting', 's', { id: 's', value: { version: 1, sealed: 'x' } })).toEqual([
      { path: ['value', 'sealed'], sealed: 'x', identity: 'setting:s' },
    ]);
  });

  test('a record without one, and a kind that has none', () => {
    expect(sealedValuesOf('upstream', 'u', { ...upstream, apiKeySealed: null })).toEqual([]);
    expect(sealedValuesOf('setting', 's', { id: 's', value: true })).toEqual([]);
    expect(sealedValuesOf('model', 'm', { id: 'm' } as never)).toEqual([]);
  });
});

describe('reseal', () => {
  test('puts the new text in the place of the old, and nothing else changes', () => {
    const { outcome, effects } = resealVerb.decide(stateWith(upstream), command('old'), 5);
    expect(outcome).toEqual({ ok: true, value: 1 });
    expect(effects).toEqual([{ type: 'record', kind: 'upstream', id: 'u', record: { ...upstream, apiKeySealed: 'new' } }]);
    expect(upstream.apiKeySealed).toBe('old');
  });

  test('leaves a text alone that has changed since', () => {
    expect(resealVerb.decide(stateWith(upstream), command('older'), 5)).toEqual({ outcome: { ok: true, value: 0 }, effects: [] });
  });

  test('a record that is gone is not found', () => {
    expect(resealVerb.decide(stateWith(undefined), command('old'), 5)).toMatchObject({
      outcome: { ok: false, rejection: { code: 'not_found' } },
      effects: [],
    });
  });

  test('texts deep in a record are replaced, in lists too', () => {
    const record = { id: 'r', secrets: [{ sealed: 'a' }, { sealed: 'b' }] };
    const change = { path: ['secrets', '1', 'sealed'], from: 'b', to: 'c' };
    expect(replaceSealed(record, [change])).toEqual({ record: { id: 'r', secrets: [{ sealed: 'a' }, { sealed: 'c' }] }, replaced: 1 });
    expect(replaceSealed(record, [{ ...change, path: ['secrets', '7', 'sealed'] }])).toEqual({ record, replaced: 0 });
  });
});
