import { afterAll, expect, test } from 'vitest';
import { makeTestFolder } from './in-process.ts';

const folder = makeTestFolder();
afterAll(() => folder.dispose());

/** Starts with a section, stops, and gives the rates that stand, oldest first. */
async function startWith(section: string): Promise<{ currency: string; perUsdNanos: number; ahead: boolean }[]> {
  const running = await folder.start({ yaml: `exchange_rates: ${section}\n` });
  await running.stop();
  const rates = await folder.withStore((store) => store.records('exchange-rate'));
  return rates
    .toSorted((a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1))
    .map(({ currency, perUsdNanos, appliesFromMs, createdAtMs }) => ({ currency, perUsdNanos, ahead: appliesFromMs > createdAtMs }));
}

test('rates of the file are versions: added where another applies, taken back only while they lie ahead', async () => {
  const eur = { currency: 'EUR', perUsdNanos: 920_000_000, ahead: false };
  const later = { currency: 'EUR', perUsdNanos: 900_000_000, ahead: true };
  const both = '[{ currency: EUR, per_usd: 0.92 }, { currency: EUR, per_usd: "0.90", applies_from: "2999-01-01T00:00:00Z" }]';
  expect(await startWith(both)).toEqual([eur, later]);
  expect(await startWith(both)).toEqual([eur, later]);
  expect(await startWith('[{ currency: EUR, per_usd: 0.92 }]')).toEqual([eur]);
  const next = { ...eur, perUsdNanos: 930_000_000 };
  expect(await startWith('[{ currency: EUR, per_usd: 0.93 }]')).toEqual([eur, next]);
  // Of those whose moment has come the latest applies.
  const dated = '[{ currency: EUR, per_usd: 0.5 }, { currency: EUR, per_usd: 0.95, applies_from: "2020-01-01T00:00:00Z" }]';
  const last = { ...eur, perUsdNanos: 950_000_000 };
  expect(await startWith(dated)).toEqual([eur, next, last]);
  expect(await startWith('[]')).toEqual([eur, next, last]);
});

test.each([
  ['[{ currency: EURO, per_usd: 1 }]', 'currency must be a code of ISO 4217'],
  ['[{ currency: USD, per_usd: 1 }]', 'currency must not be USD'],
  ['[{ currency: EUR, per_usd: 0 }]', 'per_usd must be a decimal number above 0'],
  ['[{ currency: EUR, per_usd: 1, applies_from: "soon" }]', 'applies_from must be an RFC 3339 timestamp'],
  ['[{ currency: EUR, per_usd: 1 }, { currency: EUR, per_usd: 2 }]', 'is "EUR" for the second time'],
])('%s stops the start with a sentence that names the field', async (section, words) => {
  await expect(folder.start({ yaml: `exchange_rates: ${section}\n` })).rejects.toThrow(words);
});
