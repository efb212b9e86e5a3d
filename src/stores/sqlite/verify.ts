import { crc32 } from 'node:zlib';
import type { Database } from 'better-sqlite3';
import type { TrailWitness } from '../../ports/audit-trail.ts';
import type { Discrepancy } from '../../ports/discrepancy.ts';
import type { Verification } from '../../ports/ledger-store.ts';
import { ChainCheck, type StoredHead } from '../_shared/audit-chain.ts';
import { BILLED_TENANTS, STATEMENT_ROWS, StatementCheck, type BilledTenant, type StatementRow } from '../_shared/statement-check.ts';
import { trailValues } from '../_shared/journal-rows.ts';

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

/** A journal's sum is kept below this. */
const JOURNAL_SUM_MASK = 4503599627370495n;

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

/** Lines of the journal, and what was folded of it: balances are the sums of both. */
const linesAndFolded = (column: string): string =>
  `SELECT account_no, ${column} FROM ledger_entries UNION ALL SELECT account_no, ${column} FROM ledger_checkpoints`;

/** Reservations settled before that are on their way out, and may have lost lines already. */
const IS_LEAVING = `coalesce(settled_at_ms < (SELECT before_ms FROM retention_marks WHERE kind = 'ledger' AND step <> 'done'), false)`;

/** The verbs whose entries belong to a reservation; a debit may belong to one (a call settled late) or stand alone. */
const RESERVATION_VERBS = "('reserve', 'commit', 'release', 'expire')";

function balanceCheck(column: 'allocated' | 'spent' | 'reserved' | 'debt'): Check {
  // Allocations of an unlimited account sum to zero: clearing its limit took all of them away.
  const balance = `coalesce(accounts.${column}, 0)`;
  return {
    name: `account.${column} is the sum of its entries`,
    sql: `
      WITH sums AS (SELECT account_no, ${halves(`d_${column}`, 'total')} FROM (${linesAndFolded(`d_${column}`)}) GROUP BY account_no),
        balances AS (
          SELECT tenant_id || '|' || kind || '|' || scope || '|' || unit || '|' || period AS subject, ${balance} AS balance,
            coalesce(total_high, 0) AS total_high, coalesce(total_low, 0) AS total_low
          FROM accounts LEFT JOIN sums ON sums.account_no = accounts.no
        )
      SELECT subject, balance AS found, ${sumText('total')} AS expected FROM balances WHERE ${sumDiffers('balance', 'total')}`,
  };
}

const ACCOUNT_ID = `tenant_id || '|' || kind || '|' || scope || '|' || unit || '|' || period`;

/** What each verb may do to an account. */
const ALLOWED = `CASE verb
  WHEN 'reserve' THEN d_allocated = 0 AND d_spent = 0 AND d_reserved >= 0 AND d_debt = 0
  WHEN 'commit' THEN d_allocated = 0 AND d_spent >= 0 AND d_reserved <= 0 AND d_debt >= 0
  WHEN 'release' THEN d_allocated = 0 AND d_spent = 0 AND d_reserved <= 0 AND d_debt = 0
  WHEN 'expire' THEN d_allocated = 0 AND d_spent = 0 AND d_reserved <= 0 AND d_debt = 0
  WHEN 'debit' THEN d_allocated = 0 AND d_spent >= 0 AND d_reserved = 0 AND d_debt >= 0
  WHEN 'allocate' THEN d_spent = 0 AND d_reserved = 0 AND d_debt = 0
  WHEN 'credit' THEN d_allocated >= 0 AND d_spent = 0 AND d_reserved = 0 AND d_debt = 0
  WHEN 'fund_debit' THEN d_allocated <= 0 AND d_spent = 0 AND d_reserved = 0 AND d_debt = 0
  WHEN 'reset' THEN d_spent = 0 AND d_reserved = 0 AND d_debt = 0
  WHEN 'reset_spent' THEN d_reserved = 0 AND d_debt = 0
  WHEN 'repay_debt' THEN d_allocated >= 0 AND d_spent = 0 AND d_reserved = 0 AND d_debt <= 0
  ELSE false END`;

/** What balances do not show: lines that add up to nothing, and what of an account no line explains. */
const WRITTEN_CHECKS: readonly Check[] = [
  {
    name: 'an account has the lines that were counted into it',
    sql: `
      WITH sums AS (
        SELECT account_no, sum(line_sum) & ${JOURNAL_SUM_MASK} AS total FROM (
          SELECT account_no, crc32(command || '|' || verb || '|' || at_ms) AS line_sum FROM ledger_entries
          UNION ALL
          SELECT account_no, journal_sum FROM ledger_checkpoints
        ) GROUP BY account_no
      )
      SELECT ${ACCOUNT_ID} AS subject, journal_sum AS found, coalesce(total, 0) AS expected
      FROM accounts LEFT JOIN sums ON sums.account_no = accounts.no WHERE journal_sum <> coalesce(total, 0)`,
  },
  {
    name: 'an account has the terms that were written',
    sql: `
      SELECT subject, found, expected FROM (
        SELECT ${ACCOUNT_ID} AS subject, terms_sum AS found,
          crc32(${ACCOUNT_ID} || '|' || CASE WHEN allocated IS NULL THEN 'unlimited' ELSE 'limited' END || '|' || overdraft_limit || '|'
            || is_over_limit || '|' || status || '|' || coalesce(overage_policy, '') || '|' || created_at_ms) AS expected
        FROM accounts
      ) WHERE found <> expected`,
  },
  {
    name: 'entries are numbered without a gap, but for those that were folded',
    sql: `
      SELECT 'entries' AS subject, first || ' to ' || last AS found, entries || ' and ' || folded || ' folded' AS expected
      FROM (SELECT min(seq) AS first, max(seq) AS last, count(*) AS entries FROM ledger_entries),
        (SELECT coalesce(sum(lines), 0) AS folded FROM ledger_checkpoints)
      WHERE coalesce(last, 0) <> entries + folded OR first < 1`,
  },
  {
    name: 'an entry does what its verb may do',
    sql: `
      SELECT 'entry ' || seq AS subject, verb || ' ' || d_allocated || ' ' || d_spent || ' ' || d_reserved || ' ' || d_debt AS found,
        'a known verb, within what it may do' AS expected
      FROM ledger_entries WHERE NOT ${ALLOWED}`,
  },
  {
    name: 'an account is booked once by each command',
    sql: `
      SELECT verb || ' ' || command || ' on account ' || account_no AS subject, count(*) AS found, 1 AS expected
      FROM ledger_entries WHERE verb <> 'allocate' GROUP BY command, verb, account_no HAVING count(*) > 1`,
  },
];

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
      WHERE NOT json_valid(legs) OR json_type(CASE WHEN json_valid(legs) THEN legs ELSE '[]' END) <> 'array'
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
    name: 'a leg names an account of the same tenant',
    sql: `
      SELECT reservations.id AS subject, reservations.tenant_id AS found, accounts.tenant_id AS expected
      FROM (${LEGS}) AS legs JOIN reservations ON reservations.id = legs.id JOIN accounts ON accounts.no = legs.account_no
      WHERE reservations.tenant_id <> accounts.tenant_id`,
  },
  {
    // One row for each reservation and account: what its legs say beside what the journal says.
    name: 'a reservation agrees with its entries',
    sql: `
      WITH legs AS (${LEGS}),
        leaving AS (SELECT id FROM reservations WHERE ${IS_LEAVING}),
        lines AS (
          SELECT id, account_no, state, 1 AS is_leg, held, coalesce(charged, 0) AS charged,
            NULL AS verb, 0 AS d_held, 0 AS d_reserved, 0 AS d_charged
          FROM legs WHERE id NOT IN (SELECT id FROM leaving)
          UNION ALL
          SELECT command, account_no, NULL, 0, 0, 0, verb,
            CASE verb WHEN 'reserve' THEN d_reserved ELSE 0 END,
            d_reserved,
            CASE WHEN verb IN ('commit', 'debit') THEN d_spent + d_debt ELSE 0 END
          FROM ledger_entries WHERE verb IN ('reserve', 'commit', 'release', 'expire', 'debit') AND command IN (SELECT id FROM reservations)
            AND command NOT IN (SELECT id FROM leaving)
        ),
        sides AS (
          SELECT id, account_no, max(state) AS state, sum(is_leg) AS legs,
            total(verb = 'reserve') AS reserves, total(verb = 'commit') AS commits, total(verb = 'release') AS releases,
            total(verb = 'expire') AS expiries, total(verb = 'debit') AS debits,
            ${halves('held', 'leg')}, ${halves('charged', 'charge')},
            ${halves('d_held', 'journal')}, ${halves('d_charged', 'booked')}, ${halves('d_reserved', 'rest')}
          FROM lines GROUP BY id, account_no
        )
      SELECT id || ' on account ' || coalesce(account_no, 'nothing') AS subject,
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
    name: 'a checkpoint names an account',
    sql: `SELECT 'checkpoint ' || account_no AS subject, account_no AS found, 'an account' AS expected FROM ledger_checkpoints
      WHERE account_no NOT IN (SELECT no FROM accounts)`,
  },
  {
    name: 'an entry of a reservation names one',
    sql: `SELECT 'entry ' || seq AS subject, command AS found, 'a reservation' AS expected FROM ledger_entries
      WHERE verb IN ${RESERVATION_VERBS} AND command NOT IN (SELECT id FROM reservations)`,
  },
];

const ROLLUP_SUMS = ['requests', 'prompt_tokens', 'completion_tokens', 'cached_prompt_tokens', 'cost_nano_usd', 'charge_microcents'];

/** Compares two ways to sum the same usage, by tenant, model and `by`. `one` and `other` select a part of the rollups. */
function usageCheck(name: string, sides: { one: string; other: string; by: string }): Check {
  const sums = (condition: string, sign: string): string =>
    [
      ...ROLLUP_SUMS.map((column) => `sum(CASE WHEN ${condition} THEN ${column} ELSE 0 END) AS ${sign}_${column}`),
      `max(CASE WHEN ${condition} THEN last_at_ms ELSE 0 END) AS ${sign}_last_at_ms`,
    ].join(', ');
  const columns = [...ROLLUP_SUMS, 'last_at_ms'];
  const texts = (sign: string): string => columns.map((column) => `${sign}_${column}`).join(` || ' ' || `);
  return {
    name,
    sql: `
      WITH sums AS (
        SELECT tenant_id, ${sides.by} AS sum_by, model, ${sums(sides.one, 'one')}, ${sums(sides.other, 'other')}
        FROM usage_rollups WHERE ${sides.one} OR ${sides.other} GROUP BY tenant_id, sum_by, model
      )
      SELECT tenant_id || ' ' || sum_by || ' ' || model AS subject, ${texts('one')} AS found, ${texts('other')} AS expected
      FROM sums WHERE ${columns.map((column) => `one_${column} <> other_${column}`).join(' OR ')}`,
  };
}

const DAY_LEVEL_MS = 86_400_000;

/** The columns of usage that say what its money accounts are charged. */
const MONEY = 'charge_microcents, debit_currency, debit_per_usd_nanos, debit_microcents';

/** What usage charges an account in money: a balance what it says to have taken from one in that currency, every other its charge in USD. */
const DUE = `CASE WHEN accounts.kind <> 'balance' THEN charge_microcents
  WHEN accounts.unit = debit_currency || '_MICROCENTS' THEN debit_microcents ELSE -1 END`;

const USAGE_CHECKS: readonly Check[] = [
  usageCheck('usage of all keys is the sum of each', {
    one: `(key_id = '')`,
    other: `(key_id > '')`,
    by: `level_ms || ' ' || bucket_ms`,
  }),
  usageCheck('usage of all time is the sum of the days', { one: '(level_ms = 0)', other: `(level_ms = ${DAY_LEVEL_MS})`, by: 'key_id' }),
  {
    name: 'a call is charged what its usage says',
    sql: `
      WITH legs AS (${LEGS}),
        used AS (SELECT id, ${MONEY} FROM usage_tail UNION ALL SELECT id, ${MONEY} FROM usage_events)
      SELECT subject, found, expected FROM (
        SELECT used.id AS subject, legs.charged AS found, ${DUE} AS expected
        FROM used JOIN legs ON legs.id = used.id JOIN accounts ON accounts.no = legs.account_no
        WHERE legs.purpose = 'call' AND accounts.unit <> 'TOKENS'
      ) WHERE found IS NOT expected`,
  },
  {
    name: 'what a balance lost by a call is its cost by its rate, rounded up',
    sql: `
      SELECT subject, found, expected FROM (
        SELECT id AS subject, debit_microcents AS found,
          whole * rate + high / 10000 + ((high % 10000) * 1000000 + low + 9999999999) / 10000000000 AS expected
        FROM (
          SELECT id, debit_microcents, rate, whole, rest * (rate / 1000000) AS high, rest * (rate % 1000000) AS low FROM (
            SELECT id, debit_microcents, debit_per_usd_nanos AS rate, cost_nano_usd / 10000000000 AS whole, cost_nano_usd % 10000000000 AS rest
            FROM (SELECT id, cost_nano_usd, ${MONEY} FROM usage_tail UNION ALL SELECT id, cost_nano_usd, ${MONEY} FROM usage_events)
            WHERE debit_currency <> '' OR debit_microcents <> 0 OR debit_per_usd_nanos <> 0
          )
        )
      ) WHERE found <> expected`,
  },
  {
    name: 'a balance was allocated what was paid in',
    sql: `
      WITH credits AS (
        SELECT tenant_id, (body ->> 'currency') || '_MICROCENTS' AS unit, ${halves(`CAST(body ->> 'microcents' AS INTEGER)`, 'paid')}
        FROM balance_credits GROUP BY 1, 2
      ), balances AS (
        SELECT ${ACCOUNT_ID.replaceAll('tenant_id', 'accounts.tenant_id').replaceAll('unit', 'accounts.unit')} AS subject, allocated,
          coalesce(paid_high, 0) AS paid_high, coalesce(paid_low, 0) AS paid_low
        FROM accounts LEFT JOIN credits ON credits.tenant_id = accounts.tenant_id AND credits.unit = accounts.unit
        WHERE kind = 'balance'
        UNION ALL
        SELECT 'a credit of ' || tenant_id || ' in ' || unit, NULL, paid_high, paid_low FROM credits
        WHERE NOT EXISTS (
          SELECT 1 FROM accounts WHERE kind = 'balance' AND accounts.tenant_id = credits.tenant_id AND accounts.unit = credits.unit
        )
      )
      SELECT subject, allocated AS found, ${sumText('paid')} AS expected FROM balances WHERE ${sumDiffers('allocated', 'paid')}`,
  },
  {
    name: 'reported usage is charged as it says',
    sql: `
      WITH used AS (
        SELECT id, prompt_tokens + completion_tokens AS tokens, ${MONEY} FROM usage_tail WHERE id LIKE 'report:%'
        UNION ALL
        SELECT id, prompt_tokens + completion_tokens, ${MONEY} FROM usage_events WHERE id LIKE 'report:%'
      )
      SELECT subject, found, expected FROM (
        SELECT used.id || ' on account ' || no AS subject, d_spent AS found,
          CASE unit WHEN 'TOKENS' THEN tokens ELSE ${DUE} END AS expected
        FROM used JOIN ledger_entries ON command = used.id AND verb = 'debit' JOIN accounts ON no = account_no
      ) WHERE found <> expected`,
  },
  {
    name: 'usage bears the moments of its call',
    sql: `
      WITH used AS (SELECT id, tenant_id, at_ms, held_at_ms FROM usage_tail UNION ALL SELECT id, tenant_id, at_ms, held_at_ms FROM usage_events)
      SELECT used.id AS subject, used.tenant_id || ' ' || held_at_ms || ' ' || at_ms AS found,
        reservations.tenant_id || ' ' || created_at_ms || ' ' || coalesce(settled_at_ms, '-') AS expected
      FROM used JOIN reservations ON reservations.id = used.id
      WHERE used.tenant_id <> reservations.tenant_id OR held_at_ms <> created_at_ms OR at_ms IS NOT settled_at_ms`,
  },
  {
    // Of the first day that has raw events, some may be forgotten already.
    name: 'usage of a day is the sum of its events',
    sql: `
      WITH first AS (SELECT min(at_ms - at_ms % ${DAY_LEVEL_MS}) AS day_ms FROM usage_events),
        lines AS (
          SELECT tenant_id, key_id, model, bucket_ms, ${ROLLUP_SUMS.join(', ')}, ${ROLLUP_SUMS.map((column) => `0 AS raw_${column}`).join(', ')}
          FROM usage_rollups, first WHERE level_ms = ${DAY_LEVEL_MS} AND key_id > '' AND bucket_ms >= day_ms
          UNION ALL
          SELECT tenant_id, key_id, model, at_ms - at_ms % ${DAY_LEVEL_MS}, ${ROLLUP_SUMS.map(() => '0').join(', ')}, ${ROLLUP_SUMS.join(', ')}
          FROM usage_events
        ),
        sums AS (
          SELECT tenant_id, key_id, model, bucket_ms,
            ${ROLLUP_SUMS.map((column) => `sum(${column}) AS ${column}, sum(raw_${column}) AS raw_${column}`).join(', ')}
          FROM lines GROUP BY tenant_id, key_id, model, bucket_ms
        )
      SELECT tenant_id || ' ' || key_id || ' ' || model || ' ' || bucket_ms AS subject, ${ROLLUP_SUMS.join(` || ' ' || `)} AS found,
        ${ROLLUP_SUMS.map((column) => `raw_${column}`).join(` || ' ' || `)} AS expected
      FROM sums, first
      WHERE ${ROLLUP_SUMS.map((column) => `raw_${column} > ${column}`).join(' OR ')}
        OR (bucket_ms > day_ms AND (${ROLLUP_SUMS.map((column) => `raw_${column} < ${column}`).join(' OR ')}))`,
  },
];

interface DifferenceRow {
  readonly subject: string;
  readonly found: bigint | string | number | null;
  readonly expected: bigint | string | number | null;
}

interface LinkRow {
  readonly tenant_id: string;
  readonly no: number | null;
  readonly previous: string | null;
  readonly hash: string | null;
}

/** Walks the trail of every tenant along its chain. */
function checkTrail(db: Database, witness: TrailWitness | undefined): Discrepancy[] {
  const heads = db
    .prepare<[], StoredHead>(
      `SELECT tenant_id AS tenantId, no, hash, pruned_no AS prunedNo, pruned_hash AS prunedHash, pruned_mac AS prunedMac FROM audit_heads`,
    )
    .all();
  const check = new ChainCheck(heads, witness);
  const rows = db.prepare<[], LinkRow & Record<string, string | number | null>>(
    'SELECT * FROM audit ORDER BY tenant_id, no NULLS FIRST, seq',
  );
  for (const row of rows.iterate()) {
    const { tenant_id: tenantId, no, previous, hash } = row;
    check.row({ tenantId, values: trailValues(row), link: no === null ? null : { no, previous: previous ?? '', hash: hash ?? '' } });
  }
  return check.end();
}

/** Walks the bills of every tenant. */
function checkBills(db: Database): Discrepancy[] {
  const check = new StatementCheck();
  for (const row of db.prepare<[], StatementRow>(STATEMENT_ROWS).iterate()) check.row(row);
  for (const row of db.prepare<[], BilledTenant>(BILLED_TENANTS).safeIntegers().iterate()) check.tenant(row);
  return check.end();
}

/** Prepares the verification; it reads one snapshot, and every row of the ledger. */
export function makeVerifier(db: Database): (witness?: TrailWitness) => Verification {
  // In a function of this connection; everything else is SQL.
  db.function('crc32', { deterministic: true }, (text) => BigInt(crc32(String(text))));
  const count = (table: string): number => db.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck().get() ?? 0;
  const run = ({ name, sql }: Check): Discrepancy[] =>
    db
      .prepare<[], DifferenceRow>(`SELECT subject, found, expected FROM (${sql}) LIMIT ${SHOWN_PER_CHECK}`)
      .safeIntegers()
      .all()
      .map(({ subject, found, expected }) => ({ check: name, subject, found: String(found), expected: String(expected) }));
  return db.transaction((witness?: TrailWitness): Verification => ({
    accounts: count('accounts'),
    entries: count('ledger_entries'),
    reservations: count('reservations'),
    discrepancies: [...[...LEDGER_CHECKS, ...WRITTEN_CHECKS, ...USAGE_CHECKS].flatMap(run), ...checkTrail(db, witness), ...checkBills(db)],
  }));
}
