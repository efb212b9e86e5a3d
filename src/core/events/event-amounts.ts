import type { PlainJson } from '../json/plain-json.ts';

/** Fields of an event's data that are amounts, int64, which the event keeps as decimal text: events hold no bigint. */
const AMOUNTS: ReadonlySet<string> = new Set([
  'allocated',
  'remaining',
  'spent',
  'reserved',
  'debt',
  'overdraft_limit',
  'limit',
  'debt_incurred',
  'total_debt',
  'requested_amount',
  'estimated_amount',
  'actual_amount',
  'overage',
  'released_amount',
  'credited',
]);

/** Parts of the data in which those names mean amounts as well; elsewhere, as in a subject, they are a caller's own. */
const STATES = ['previous_state', 'new_state'] as const;

const DECIMAL = /^-?\d+$/;

type Fields = Readonly<Record<string, PlainJson>>;

const isFields = (value: PlainJson | undefined): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

const withAmounts = (fields: Fields): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      AMOUNTS.has(name) && typeof value === 'string' && DECIMAL.test(value) ? BigInt(value) : value,
    ]),
  );

/** The data of an event as it goes out: amounts are exact integers. Source: Cycles governance, the `EventData` schemas. */
export function exactEventData(data: PlainJson): unknown {
  if (!isFields(data)) return data;
  const exact = withAmounts(data);
  for (const name of STATES) {
    const state = data[name];
    if (isFields(state)) exact[name] = withAmounts(state);
  }
  return exact;
}
