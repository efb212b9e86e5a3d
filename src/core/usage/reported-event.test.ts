import { describe, expect, test } from 'vitest';
import type { PlainJson } from '../json/plain-json.ts';
import { readQuarantined, readReportedEvent, writeQuarantined } from './reported-event.ts';

/** The documented example. */
const EVENT = {
  event_id: '22222222-2222-4222-8222-222222222222',
  request_id: 'req-1',
  occurred_at: '2026-04-08T11:59:58.123456789Z',
  operation: { service: 'router', name: 'model_request' },
  api_key: 'tk_0000000000000000000000000000001',
  customer_requests: 1,
  meters: [
    { name: 'input_tokens', quantity: 11 },
    { name: 'output_tokens', quantity: 7 },
    { name: 'cached_input_tokens', quantity: 4 },
  ],
  attributes: { model: 'm1', route: '/v1/chat/completions', streaming: 'true', enclave: 'e1' },
};

const READ = {
  eventId: EVENT.event_id,
  requestId: 'req-1',
  occurredAtMs: Date.UTC(2026, 3, 8, 11, 59, 58, 123),
  operation: 'router/model_request',
  model: 'm1',
  route: '/v1/chat/completions',
  streaming: true,
  requests: 1,
  promptTokens: 11,
  completionTokens: 7,
  cachedPromptTokens: 4,
  unknownMeter: null,
};

const eventOf = (value: unknown) => {
  const read = readReportedEvent(value);
  if (!read.ok) throw new Error(read.rule);
  return read.event;
};

test('the documented event is read, its key apart', () => {
  expect(readReportedEvent(EVENT)).toEqual({ ok: true, event: READ, apiKey: EVENT.api_key });
});

test('an event of no requests, no meters and no attributes is a good one', () => {
  const { customer_requests: _r, meters: _m, attributes: _a, operation: _o, request_id: _i, ...least } = EVENT;
  expect(eventOf(least)).toEqual({
    ...READ,
    requestId: '',
    operation: '',
    model: '',
    route: '',
    streaming: false,
    requests: 0,
    promptTokens: 0,
    completionTokens: 0,
    cachedPromptTokens: 0,
  });
});

describe('requests', () => {
  const { customer_requests: _r, ...leaf } = EVENT;
  const meter = (quantity: number) => ({ meters: [{ name: 'requests', quantity }] });
  test.each([
    ['customer_requests that are not given are none', leaf, 0],
    ['a null is not given', { ...leaf, customer_requests: null }, 0],
    ['an older reporter counts them by a meter', { ...leaf, ...meter(3) }, 3],
    ['both may say the same', { ...leaf, ...meter(3), customer_requests: 3 }, 3],
    ['0 is said', { ...EVENT, customer_requests: 0 }, 0],
  ])('%s', (_what, event, requests) => {
    expect(eventOf(event).requests).toBe(requests);
  });

  test('two that differ are refused', () => {
    expect(readReportedEvent({ ...leaf, ...meter(3), customer_requests: 2 })).toMatchObject({ ok: false, rule: /must not differ/ });
  });
});

test('more cached tokens than came in count as all that came in', () => {
  const meters = [
    { name: 'cached_input_tokens', quantity: 40 },
    { name: 'input_tokens', quantity: 11 },
  ];
  expect(eventOf({ ...EVENT, meters })).toMatchObject({ promptTokens: 11, cachedPromptTokens: 11 });
});

test('a meter that is not known is named, unless it counted nothing', () => {
  expect(eventOf({ ...EVENT, meters: [{ name: 'audio_seconds', quantity: 3 }] }).unknownMeter).toBe('audio_seconds');
  expect(eventOf({ ...EVENT, meters: [{ name: 'audio_seconds', quantity: 0 }] }).unknownMeter).toBeNull();
  expect(eventOf({ ...EVENT, meters: [{ name: 'constructor', quantity: 1 }] }).unknownMeter).toBe('constructor');
});

test('fields that nobody knows are passed over', () => {
  const event = { ...EVENT, reporter: { id: 'r', service: 'router' }, operation: { ...EVENT.operation, class: 'chat' } };
  expect(eventOf(event)).toEqual(READ);
});

test.each([
  ['no object', null, null, /an event must be an object/],
  ['a list', [], null, /an event must be an object/],
  ['no id', { ...EVENT, event_id: undefined }, null, /event_id must/],
  ['a number as id', { ...EVENT, event_id: 7 }, null, /event_id must/],
  ['an id with blanks', { ...EVENT, event_id: 'a b' }, null, /event_id must/],
  ['an endless id', { ...EVENT, event_id: 'a'.repeat(129) }, null, /event_id must/],
  ['no key', { ...EVENT, api_key: undefined }, EVENT.event_id, /api_key is required/],
  ['a key that is no text', { ...EVENT, api_key: { a: 1 } }, EVENT.event_id, /api_key must be a text/],
  ['no moment', { ...EVENT, occurred_at: undefined }, EVENT.event_id, /occurred_at must be an RFC 3339/],
  ['a moment as a number', { ...EVENT, occurred_at: 1_775_649_598 }, EVENT.event_id, /occurred_at must be a text/],
  ['a day that no calendar has', { ...EVENT, occurred_at: '2026-02-30T00:00:00Z' }, EVENT.event_id, /occurred_at must be an RFC 3339/],
  ['meters that are no list', { ...EVENT, meters: {} }, EVENT.event_id, /meters must be a list/],
  ['a meter that is none', { ...EVENT, meters: [1] }, EVENT.event_id, /meters\[0\] must be an object/],
  ['a meter twice', { ...EVENT, meters: [EVENT.meters[0], EVENT.meters[0]] }, EVENT.event_id, /meters\[1\]\.name must not stand twice/],
  ['too many meters', { ...EVENT, meters: Array(51).fill({}) }, EVENT.event_id, /at most 50/],
  [
    'a negative quantity',
    { ...EVENT, meters: [{ name: 'input_tokens', quantity: -1 }] },
    EVENT.event_id,
    /meters\[0\]\.quantity must be a whole/,
  ],
  ['a part of a token', { ...EVENT, meters: [{ name: 'input_tokens', quantity: 1.5 }] }, EVENT.event_id, /quantity must be a whole/],
  ['a quantity as text', { ...EVENT, meters: [{ name: 'input_tokens', quantity: '1' }] }, EVENT.event_id, /quantity must be a whole/],
  [
    'an absurd quantity',
    { ...EVENT, meters: [{ name: 'input_tokens', quantity: 100_000_000_001 }] },
    EVENT.event_id,
    /from 0 to 100000000000/,
  ],
  [
    'a quantity past 2^53',
    { ...EVENT, meters: [{ name: 'input_tokens', quantity: 2n ** 60n }] },
    EVENT.event_id,
    /quantity must be a whole/,
  ],
  ['requests below zero', { ...EVENT, customer_requests: -1 }, EVENT.event_id, /customer_requests must be a whole/],
  ['attributes that are a list', { ...EVENT, attributes: [] }, EVENT.event_id, /attributes must be an object/],
  ['a model that is no text', { ...EVENT, attributes: { model: 7 } }, EVENT.event_id, /attributes\.model must be a text/],
  [
    'a route without end',
    { ...EVENT, attributes: { route: 'x'.repeat(501) } },
    EVENT.event_id,
    /attributes\.route must be a text of at most 500/,
  ],
])('%s is refused, and the rule named', (_what, value, eventId, rule) => {
  expect(readReportedEvent(value)).toEqual({ ok: false, eventId, rule: expect.stringMatching(rule) as unknown });
});

test('what is kept of an event in quarantine comes back whole; of a broken one nothing does', () => {
  const event = { ...READ, keyHash: 'h', maskedKey: 'tk_*' };
  const kept = JSON.parse(JSON.stringify(writeQuarantined(event))) as PlainJson;
  expect(readQuarantined(kept)).toEqual(event);
  expect(readQuarantined({ rule: 'api_key is required' })).toBeNull();
  expect(readQuarantined(null)).toBeNull();
});
