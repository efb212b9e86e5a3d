import type { Database } from 'better-sqlite3';
import type { Discrepancy, Verification } from '../../ports/ledger-store.ts';

/**
 * Verification reads the tables with SQL of its own and shares no rule with the code that writes them: a fault in a decision or in the
 * writer shows as a difference between rows, not twice in the same way.
 *
 * Each check is a statement that gives a row (subject, found, expected) for every contradiction.
 */
interface Check {
  readonly name: string;
  readonly sql: string;
}

/** Contradictions that a check shows at most; one is enough to say that the ledger does not hold. */
const SHOWN_PER_CHECK = 100;

// A sum of int64 may pass through values beyond int64, where SQLite would give up. Summing halves cannot, so digits are never lost.
const LOW_HALF = 4294967295;
const halves = (amount: string, name: string): string =>
  `sum(${amount} >> 32) AS ${name}_high, sum(${amount} & ${LOW_HALF}) AS ${name}_low`;
const sumDiffers = (value: string, name: string): string =>
  `(${value} >> 32 IS NOT ${name}_high + (${name}_low >> 32) OR ${value} & ${LOW_HALF} IS NOT ${name}_low & ${LOW_HALF})`;
const sumsDiffer = (a: string, b: string): string =>
  `(${a}_high + (${a}_low >> 32) IS NOT ${b}_high + (${b}_low >> 32) OR ${a}_low & ${LOW_HALF} IS NOT ${b}_low & ${LOW_HALF})`;
const sumText = (name: string): string => `coalesce(${name}_high * ${LOW_HALF + 1} + ${name}_low, 'nothing')`;

/** The legs of reservations; a `legs` that is no JSON shows in a check of its own and counts as none here. */
const LEGS = `
  SELECT reservations.id, reservations.state, reservations.purpose,
    CAST(leg.value ->> 0 AS INTEGER) AS account_no,
    CAST(leg.value ->> 1 AS INTEGER) AS held,
    CAST(CASE WHEN json_valid(charged) THEN charged ->> leg.key END AS INTEGER) AS charged
  FROM reservations, json_each(CASE WHEN json_valid(legs) THEN legs ELSE '[]' END) AS leg`;

/** The verbs whose entries belong to a reservation; a debit may belong to one (a call settled late) or stand alone. */
const RESERVATION_VERBS = "('reserve', 'commit', 'release', 'expire')";

function balanceCheck(column: 'allocated' | 'spent' | 'reserved' | 'debt'): Check {
  // Allocations of an unlimited account sum to zero: clearing its limit took all of them away.
  const balance = `coalesce(accounts.${column}, 0)`;
  return {
    name: `account.${column} is the sum of its entries`,
    sql: `
      WITH sums AS (SELECT account_no, ${halves(`d_${column}`, 'total')} FROM ledger_entries GROUP BY account_no),
        balances AS (
          SELECT tenant_id || '|' || kind || '|' || scope || '|' || unit || '|' || period AS subject, ${balance} AS balance,
            coalesce(total_high, 0) AS total_high, coalesce(total_low, 0) AS total_low
          FROM accounts LEFT JOIN sums ON sums.account_no = accounts.no
        )
      SELECT subject, balance AS found, ${sumText('total')} AS expected FROM balances WHERE ${sumDiffers('balance', 'total')}`,
  };
}

const LEDGER_CHECKS: readonly Check[] = [
  balanceCheck('allocated'),
  balanceCheck('spent'),
  balanceCheck('reserved'),
  balanceCheck('debt'),
  {
    name: 'account.reserved is the sum of the legs of active reservations',
    sql: `
      WITH legs AS (${LEGS}),
        sums AS (SELECT account_no, ${halves('held', 'held')} FROM legs WHERE state = 'ACTIVE' GROUP BY account_no),
        holds AS (
          SELECT tenant_id || '|' || kind || '|' || scope || '|' || unit || '|' || period AS subject, reserved,
            coalesce(held_high, 0) AS held_high, coalesce(held_low, 0) AS held_low
          FROM accounts LEFT JOIN sums ON sums.account_no = accounts.no
        )
      SELECT subject, reserved AS found, ${sumText('held')} AS expected FROM holds WHERE ${sumDiffers('reserved', 'held')}`,
  },
  {
    name: 'a reservation is written as it should be',
    sql: `
      SELECT id AS subject, legs || ' ' || coalesce(charged, 'null') AS found, state AS expected FROM reservations
      WHERE NOT json_valid(legs)
        OR (charged IS NOT NULL AND NOT json_valid(charged))
        OR CASE WHEN json_valid(legs) AND json_valid(charged) THEN json_array_length(legs) <> json_array_length(charged) END
        OR (state = 'ACTIVE') <> (finalized_at_ms IS NULL)
        OR (charged IS NULL) <> (settled_at_ms IS NULL)
        OR (state IN ('COMMITTED', 'RELEASED') AND settled_at_ms IS NOT finalized_at_ms)
        OR (state = 'ACTIVE' AND charged IS NOT NULL)`,
  },
  {
    name: 'a leg names an account',
    sql: `
      WITH legs AS (${LEGS})
      SELECT id AS subject, account_no AS found, 'an account' AS expected FROM legs WHERE account_no NOT IN (SELECT no FROM accounts)`,
  },
  {
    // One row for each reservation and account: what its legs say beside what the journal says.
    name: 'a reservation agrees with its entries',
    sql: `
      WITH legs AS (${LEGS}),
        lines AS (
          SELECT id, account_no, state, 1 AS is_leg, held, coalesce(charged, 0) AS charged,
            NULL AS verb, 0 AS d_held, 0 AS d_reserved, 0 AS d_charged
          FROM legs
          UNION ALL
          SELECT command, account_no, NULL, 0, 0, 0, verb,
            CASE verb WHEN 'reserve' THEN d_reserved ELSE 0 END,
            d_reserved,
            CASE WHEN verb IN ('commit', 'debit') THEN d_spent + d_debt ELSE 0 END
          FROM ledger_entries WHERE verb IN ('reserve', 'commit', 'release', 'expire', 'debit') AND command IN (SELECT id FROM reservations)
        ),
        sides AS (
          SELECT id, account_no, max(state) AS state, sum(is_leg) AS legs,
            total(verb = 'reserve') AS reserves, total(verb = 'commit') AS commits, total(verb = 'release') AS releases,
            total(verb = 'expire') AS expiries, total(verb = 'debit') AS debits,
            ${halves('held', 'leg')}, ${halves('charged', 'charge')},
            ${halves('d_held', 'journal')}, ${halves('d_charged', 'booked')}, ${halves('d_reserved', 'rest')}
          FROM lines GROUP BY id, account_no
        )
      SELECT id || ' on account ' || account_no AS subject,
        'held ' || ${sumText('leg')} || ', charged ' || ${sumText('charge')} || ', ' || coalesce(state, 'no leg') AS found,
        'held ' || ${sumText('journal')} || ', charged ' || ${sumText('booked')} || ', still held ' || ${sumText('rest')}
          || ', ' || commits || ' commits, ' || releases || ' releases, ' || expiries || ' expiries, ' || debits || ' debits' AS expected
      FROM sides
      WHERE reserves <> legs OR ${sumsDiffer('leg', 'journal')} OR ${sumsDiffer('charge', 'booked')}
        OR CASE state
          WHEN 'ACTIVE' THEN commits + releases + expiries + debits > 0
          WHEN 'COMMITTED' THEN commits <> legs OR releases + expiries + debits > 0 OR ${sumDiffers('0', 'rest')}
          WHEN 'RELEASED' THEN releases <> legs OR commits + expiries + debits > 0 OR ${sumDiffers('0', 'rest')}
          WHEN 'EXPIRED' THEN expiries <> legs OR commits + releases > 0 OR debits NOT IN (0, legs) OR ${sumDiffers('0', 'rest')}
          ELSE true
        END`,
  },
  {
    name: 'an entry bears the moment of its reservation',
    sql: `
      SELECT 'entry ' || seq AS subject, at_ms AS found, moment AS expected
      FROM (
        SELECT seq, at_ms, CASE verb WHEN 'reserve' THEN created_at_ms WHEN 'debit' THEN settled_at_ms ELSE finalized_at_ms END AS moment
        FROM ledger_entries JOIN reservations ON reservations.id = ledger_entries.command
        WHERE verb IN ('reserve', 'commit', 'release', 'expire', 'debit')
      )
      WHERE at_ms IS NOT moment`,
  },
  {
    name: 'an entry names an account',
    sql: `SELECT 'entry ' || seq AS subject, account_no AS found, 'an account' AS expected FROM ledger_entries
      WHERE account_no NOT IN (SELECT no FROM accounts)`,
  },
  {
    name: 'an entry of a reservation names one',
    sql: `SELECT 'entry ' || seq AS subject, command AS found, 'a reservation' AS expected FROM ledger_entries
      WHERE verb IN ${RESERVATION_VERBS} AND command NOT IN (SELECT id FROM reservations)`,
  },
];

const ROLLUP_SUMS = ['requests', 'prompt_tokens', 'completion_tokens', 'cached_prompt_tokens', 'cost_nano_usd', 'charge_microcents'];

/** Compares two ways to sum the same usage, by tenant, key and model. `one` and `other` select a part of the rollups. */
function usageCheck(name: string, sides: { one: string; other: string; key: string }): Check {
  const sums = (condition: string, sign: string): string =>
    ROLLUP_SUMS.map((column) => `sum(CASE WHEN ${condition} THEN ${column} ELSE 0 END) AS ${sign}_${column}`).join(', ');
  const texts = (sign: string): string => ROLLUP_SUMS.map((column) => `${sign}_${column}`).join(` || ' ' || `);
  return {
    name,
    sql: `
      WITH sums AS (
        SELECT tenant_id, ${sides.key} AS sum_key, model, ${sums(sides.one, 'one')}, ${sums(sides.other, 'other')}
        FROM usage_rollups WHERE ${sides.one} OR ${sides.other} GROUP BY tenant_id, sum_key, model
      )
      SELECT tenant_id || ' ' || sum_key || ' ' || model AS subject, ${texts('one')} AS found, ${texts('other')} AS expected
      FROM sums WHERE ${ROLLUP_SUMS.map((column) => `one_${column} <> other_${column}`).join(' OR ')}`,
  };
}

const DAY_LEVEL_MS = 86_400_000;

const USAGE_CHECKS: readonly Check[] = [
  usageCheck('usage of all keys is the sum of each', {
    one: `(level_ms = 0 AND key_id = '')`,
    other: `(level_ms = 0 AND key_id > '')`,
    key: `''`,
  }),
  usageCheck('usage of all time is the sum of the days', { one: '(level_ms = 0)', other: `(level_ms = ${DAY_LEVEL_MS})`, key: 'key_id' }),
  {
    name: 'a call is charged what its usage says',
    sql: `
      WITH legs AS (${LEGS}),
        used AS (SELECT id, charge_microcents FROM usage_tail UNION ALL SELECT id, charge_microcents FROM usage_events)
      SELECT used.id AS subject, legs.charged AS found, used.charge_microcents AS expected
      FROM used JOIN legs ON legs.id = used.id JOIN accounts ON accounts.no = legs.account_no
      WHERE legs.purpose = 'call' AND accounts.unit <> 'TOKENS' AND legs.charged IS NOT used.charge_microcents`,
  },
];

interface DifferenceRow {
  readonly subject: string;
  readonly found: bigint | string | number | null;
  readonly expected: bigint | string | number | null;
}

/** Prepares the verification; it reads one snapshot, and every row of the ledger. */
export function makeVerifier(db: Database): () => Verification {
  const count = (table: string): number => db.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck().get() ?? 0;
  const run = ({ name, sql }: Check): Discrepancy[] =>
    db
      .prepare<[], DifferenceRow>(`SELECT subject, found, expected FROM (${sql}) LIMIT ${SHOWN_PER_CHECK}`)
      .safeIntegers()
      .all()
      .map(({ subject, found, expected }) => ({ check: name, subject, found: String(found), expected: String(expected) }));
  return db.transaction((): Verification => ({
    accounts: count('accounts'),
    entries: count('ledger_entries'),
    reservations: count('reservations'),
    discrepancies: [...LEDGER_CHECKS, ...USAGE_CHECKS].flatMap(run),
  }));
}
