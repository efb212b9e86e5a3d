import { describe, expect, test } from 'vitest';
import { answerProblems, expectAnswer, expectCyclesError, expectEvent } from '../support/cycles-answers.ts';

const committed = { status: 'COMMITTED', charged: { unit: 'TOKENS', amount: 5 } };
const error = { error: 'NOT_FOUND', message: 'no such reservation', request_id: 'req_1', trace_id: '0'.repeat(31) + '1' };
const event = {
  event_id: 'evt_1',
  event_type: 'budget.funded',
  category: 'budget',
  timestamp: '2026-11-22T10:00:00Z',
  tenant_id: 'acme',
  source: 'cycles-admin',
  data: { ledger_id: 'led_1', operation: 'CREDIT', new_state: { allocated: 2n ** 60n } },
};

describe('an answer is held against the closed schema of its operation and status', () => {
  test('what is right passes, with numbers and bigints', () => {
    expectAnswer('commitReservation', 200, committed);
    expectAnswer('commitReservation', 200, { ...committed, charged: { unit: 'TOKENS', amount: 2n ** 63n - 1n } });
    expectAnswer('deleteWebhookSubscription', 204, undefined);
    expectAnswer('getBalances', 200, { balances: [], has_more: false });
    expectAnswer('getBalances', 200, { balances: [], has_more: false }, 'governance');
    expectAnswer('listEvents', 200, { events: [event], has_more: false });
    expectEvent(event);
  });

  test.each([
    ['an unknown field', { ...committed, extra: 1 }],
    ['an unknown field inside', { ...committed, charged: { unit: 'TOKENS', amount: 5, extra: 1 } }],
    ['null for an absent field', { ...committed, released: null }],
    ['a missing field', { status: 'COMMITTED' }],
    ['another state', { ...committed, status: 'ACTIVE' }],
    ['an amount that is no whole number', { ...committed, charged: { unit: 'TOKENS', amount: '5' } }],
    ['an amount beyond 64 bits', { ...committed, charged: { unit: 'TOKENS', amount: 2n ** 63n } }],
    ['a negative amount', { ...committed, charged: { unit: 'TOKENS', amount: -1 } }],
    ['an unknown unit', { ...committed, charged: { unit: 'EUR', amount: 1 } }],
    ['no body', undefined],
  ])('%s is found', (_what, body) => {
    expect(answerProblems('commitReservation', 200, body)).not.toEqual([]);
  });

  test('a status that the operation does not have is found, and an operation that nobody has', () => {
    expect(answerProblems('commitReservation', 201, committed)).toEqual(['commitReservation does not answer 201']);
    expect(answerProblems('listReservations', 404, error)).toEqual(['listReservations does not answer 404']);
    expect(answerProblems('commitReservations', 200, committed)).toEqual(['no operation is called commitReservations']);
    expect(answerProblems('deleteWebhookSubscription', 204, {})).toEqual(['deleteWebhookSubscription has no body at 204']);
  });

  test('errors have the codes of their plane and no other field', () => {
    expectAnswer('commitReservation', 404, error);
    expectCyclesError('runtime', error);
    expect(answerProblems('commitReservation', 404, { ...error, error: 'TENANT_NOT_FOUND' })).not.toEqual([]);
    expectAnswer('getTenant', 404, { ...error, error: 'TENANT_NOT_FOUND' });
    expect(answerProblems('getTenant', 404, { ...error, error: 'MAX_EXTENSIONS_EXCEEDED' })).not.toEqual([]);
    expect(answerProblems('getTenant', 404, { ...error, code: 404 })).not.toEqual([]);
    expect(() => expectCyclesError('runtime', { ...error, error: 'METHOD_NOT_ALLOWED' })).toThrow('an error of the runtime plane');
  });

  test('the data of an event is that of its type, wherever the event stands', () => {
    const wrong = { ...event, data: { ...event.data, reservation_id: 'res_1' } };
    expect(answerProblems('listEvents', 200, { events: [event, wrong], has_more: false })).toContain(
      '/events/1/data/reservation_id schema is false',
    );
    expect(answerProblems('getEvent', 200, wrong)).not.toEqual([]);
    expect(answerProblems('getEvent', 200, { ...event, category: 'tenant' })).toEqual(['/category is not that of budget.funded']);
    expect(() => expectEvent({ ...event, event_type: 'budget.melted' })).toThrow('an event');
  });
});
