import { expect, test } from 'vitest';
import type { ExchangeRate, Tenant } from '../records.ts';
import type { BillCorrection, Statement, StatementLine, UsageLine } from './bill-records.ts';
import { convertedMicrocents, partsByRate, withRates } from './convert.ts';
import { contentOf, correctionLine, statementNumber, totalOf, usageLines, type UsageCharge } from './make-statement.ts';

const used = (keyId: string, model: string, chargeMicrocents: bigint, requests = 1): UsageCharge => ({
  keyId,
  model,
  requests,
  promptTokens: requests * 10,
  completionTokens: requests,
  chargeMicrocents,
});

const KEY_NAMES = new Map([
  ['key_1', 'zeta'],
  ['key_2', 'alpha'],
]);

test('lines are in the order of key names, then models; a key that nobody knows has its id', () => {
  const lines = usageLines({
    month: '2026-11',
    used: [used('key_1', 'b', 1n), used('key_1', 'a', 2n), used('key_2', 'b', 3n), used('key_9', 'a', 4n)],
    billed: [],
    keyNames: KEY_NAMES,
  });
  expect(lines.map(({ keyName, model }) => `${keyName} ${model}`)).toEqual(['alpha b', 'key_9 a', 'zeta a', 'zeta b']);
  expect(totalOf(lines)).toBe(10n);
});

test('what earlier statements have of that month is taken off, of whatever parts; nothing is left where they have all', () => {
  const billed: StatementLine[] = [
    ...usageLines({ month: '2026-10', used: [used('key_1', 'a', 7n, 2)], billed: [], keyNames: KEY_NAMES }),
    ...usageLines({ month: '2026-10', fromMs: 5, used: [used('key_1', 'a', 1n)], billed: [], keyNames: KEY_NAMES }),
    ...usageLines({ month: '2026-11', used: [used('key_1', 'a', 99n)], billed: [], keyNames: KEY_NAMES }),
    { kind: 'correction', correctionId: 'c', concerns: null, reason: 'x', atMs: 0, chargeMicrocents: '-4' },
  ];
  const left = (chargeMicrocents: bigint, requests: number): UsageLine[] =>
    usageLines({ month: '2026-10', used: [used('key_1', 'a', chargeMicrocents, requests)], billed, keyNames: KEY_NAMES });
  expect(left(8n, 3)).toEqual([]);
  expect(left(20n, 5)).toMatchObject([{ month: '2026-10', requests: 2, promptTokens: 20, completionTokens: 2, chargeMicrocents: '12' }]);
  // What costs nothing is used all the same.
  expect(left(8n, 4)).toMatchObject([{ requests: 1, chargeMicrocents: '0' }]);
});

test('a total is exact beyond what a double holds', () => {
  const line = usageLines({ month: '2026-10', used: [used('key_1', 'a', 9_223_372_036_854_775_807n)], billed: [], keyNames: KEY_NAMES });
  const correction = { id: 'c', chargeMicrocents: '-1', reason: 'x', createdAtMs: 0, concernsNumber: null } as BillCorrection;
  expect(totalOf([...line, correctionLine(correction)])).toBe(9_223_372_036_854_775_806n);
});

test('a number has four digits, and more where it needs them', () => {
  expect([statementNumber('acme', 7), statementNumber('acme', 12_345)]).toEqual(['acme-0007', 'acme-12345']);
});

test('everything that a statement and its lines say is in what its hash is of, and the hash is not', () => {
  const statement = { id: 'in_1', totalMicrocents: '5', hash: 'h', previousHash: 'p' } as Statement;
  const lines = usageLines({ month: '2026-10', used: [used('key_1', 'a', 5n)], billed: [], keyNames: KEY_NAMES });
  const content = contentOf(statement, lines);
  expect(contentOf({ ...statement, hash: 'other' }, lines)).toBe(content);
  expect(contentOf({ ...statement, previousHash: 'other' }, lines)).not.toBe(content);
  expect(contentOf(statement, [])).not.toBe(content);
  expect(contentOf(JSON.parse(JSON.stringify(statement)) as Statement, JSON.parse(JSON.stringify(lines)) as StatementLine[])).toBe(content);
});

const rate = (perUsdNanos: number, appliesFrom: string, currency = 'EUR'): ExchangeRate => ({
  id: appliesFrom,
  currency,
  perUsdNanos,
  appliesFromMs: Date.parse(appliesFrom),
  createdAtMs: 0,
});

test.each([
  [1n, 500_000_000, 0n],
  [3n, 500_000_000, 2n],
  [5n, 500_000_000, 2n],
  [-3n, 500_000_000, -2n],
  [10n ** 18n, 920_000_000, 92n * 10n ** 16n],
  [0n, 920_000_000, 0n],
])('%s micro-cents at %s nano-units for a USD are %s: halves go to the even one', (microcents, perUsdNanos, expected) => {
  expect(convertedMicrocents(microcents, perUsdNanos)).toBe(expected);
});

test('a month has a part for each rate; a rate of the same worth, of another currency or from noon on makes none of its own that day', () => {
  const rates = [
    rate(900_000_000, '2026-01-01T00:00:00Z'),
    rate(900_000_000, '2026-02-03T00:00:00Z'),
    rate(1, '2026-02-05T00:00:00Z', 'GBP'),
    rate(910_000_000, '2026-02-10T12:00:00Z'),
    rate(920_000_000, '2026-02-28T00:00:00Z'),
  ];
  const days = partsByRate('2026-02', rates, 'EUR').map(({ fromMs, toMs }) =>
    [fromMs, toMs].map((ms) => new Date(ms).toISOString().slice(5, 10)),
  );
  expect(days).toEqual([
    ['02-01', '02-11'],
    ['02-11', '02-28'],
    ['02-28', '03-01'],
  ]);
  expect(partsByRate('2026-02', [], 'EUR')).toHaveLength(1);
});

test('nothing is converted for USD, nor where a line has no rate', () => {
  const lines = usageLines({ month: '2026-02', used: [used('key_1', 'a', 100n)], billed: [], keyNames: KEY_NAMES });
  const of = (currency: string, rates: readonly ExchangeRate[]) =>
    withRates(lines, { tenant: { id: 'acme', currency } as Tenant, month: '2026-02', rates });
  expect(of('USD', [])).toEqual({ lines });
  expect(of('EUR', [rate(900_000_000, '2026-02-02T00:00:00Z')])).toEqual({ lines });
  expect(of('EUR', [rate(900_000_000, '2026-01-02T00:00:00Z')])).toMatchObject({
    lines: [{ perUsdNanos: 900_000_000 }],
    converted: { currency: 'EUR', totalMicrocents: '90' },
  });
});
