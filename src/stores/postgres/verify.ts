import { crc32 } from 'node:zlib';
import type { TrailWitness } from '../../ports/audit-trail.ts';
import type { Discrepancy } from '../../ports/discrepancy.ts';
import type { Verification } from '../../ports/ledger-store.ts';
import { ChainCheck } from '../_shared/audit-chain.ts';
import { BILLED_TENANTS, STATEMENT_ROWS, StatementCheck, type BilledTenant, type StatementRow } from '../_shared/statement-check.ts';
import { AUDIT_COLUMNS, trailValues } from '../_shared/journal-rows.ts';
import { ACCOUNT_ID } from './columns.ts';
import { WHOLE_TABLES, type Reader } from './reader.ts';
import type { Row } from './statement.ts';

/** At most so many contradictions of each check are reported: one is enough to know, and a broken table has millions. */
const MAX_REPORTED = 100;

/** A journal's sum is kept below this. */
const JOURNAL_SUM_MASK = 4503599627370495n;

/** The number in a text, 0 where it is none: what cannot be read shows as a contradiction instead of ending the verification. */
const numberIn = (text: string): string =>
  `CASE WHEN ${text} ~ '^-?[0-9]{1,19}$' THEN (${text})::numeric WHEN ${text} IS NOT NULL THEN 0 END`;
const accountIn = (text: string): string => `CASE WHEN ${text} ~ '^[0-9]{1,18}$' THEN (${text})::bigint ELSE 0 END`;

/** What is no list counts as an empty one here, and shows in a check of its own. */
const listIn = (json: string): string => `CASE WHEN json_typeof(${json}) = 'array' THEN ${json} WHEN ${json} IS NOT NULL THEN '[]' END`;

/** Every leg with its reservation: its account, its place, what it holds, and what it was charged. */
const LEGS = `
  SELECT r.id, r.state, r.purpose, r.created_at_ms, r.finalized_at_ms, r.settled_at_ms, ${accountIn('leg.pair ->> 0')} AS account_no,
         ${numberIn('leg.pair ->> 1')} AS amount, ${numberIn('r.charged ->> (leg.place - 1)::int')} AS charged
  FROM reservations r CROSS JOIN LATERAL json_array_elements(${listIn('r.legs')}) WITH ORDINALITY AS leg(pair, place)`;

/** Lines of the journal, and what was folded of it: balances are the sums of both. */
const LINES_AND_FOLDED = (column: string): string =>
  `SELECT account_no, ${column} FROM ledger_entries UNION ALL SELECT account_no, ${column} FROM ledger_checkpoints`;

/** Reservations settled before this moment are on their way out, and may have lost lines already; 0 where none are. */
const LEAVING_BEFORE_MS = `coalesce((SELECT before_ms FROM retention_marks WHERE kind = 'ledger' AND step <> 'done'), 0)`;

/** What one reservation's entries of one verb add up to on one account: count, held, charged, and moment. */
const sumsOf = (verb: string): string => `
  SELECT command, account_no, count(*) AS n, sum(d_reserved) AS held, sum(d_spent) + sum(d_debt) AS charge, sum(d_allocated) AS allocated,
         min(at_ms) AS first_ms, max(at_ms) AS last_ms
  FROM ledger_entries WHERE verb = '${verb}' GROUP BY command, account_no`;

/** Entries that a settlement leaves on a leg: one with this hold, charge and moment. */
const one = (held: string, charge: string, atMs: string): string => `concat_ws('/', 1, ${held}, ${charge}, ${atMs}, ${atMs})`;
const summed = (alias: string): string =>
  `CASE WHEN ${alias}.n IS NULL THEN '-' ELSE concat_ws('/', ${alias}.n, ${alias}.held, ${alias}.charge, ${alias}.first_ms, ${alias}.last_ms) END`;

/** Sums of a level's counters by `columns`, as one text. */
const COUNTERS = `concat_ws('/', sum(requests), sum(prompt_tokens), sum(completion_tokens), sum(cached_prompt_tokens), sum(cost_nano_usd),
  sum(charge_microcents), max(last_at_ms))`;

/** A balance against the sum of its differences. An unlimited account has been allocated nothing. */
const balance = (column: string): string => `
    SELECT ${ACCOUNT_ID} AS subject, coalesce(a.${column}, 0)::text AS found, coalesce(j.total, 0)::text AS expected
    FROM accounts a
    LEFT JOIN (SELECT account_no, sum(d_${column}) AS total FROM (${LINES_AND_FOLDED(`d_${column}`)}) AS lines GROUP BY account_no) AS j ON j.account_no = a.no`;

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

const DAY_MS = 86_400_000;
/** Of days that begin before this moment, some events may be forgotten: the day of the mark is one. */
const FORGOTTEN_BEFORE_MS = `coalesce((SELECT before_ms FROM retention_marks WHERE kind = 'usage_events'), extract(epoch FROM now()) * 1000 - ${34 * DAY_MS})`;
const SUMS = ['requests', 'prompt_tokens', 'completion_tokens', 'cached_prompt_tokens', 'cost_nano_usd', 'charge_microcents'];
const eachSum = (template: (column: string) => string, joiner = ', '): string => SUMS.map(template).join(joiner);

/** The columns of usage that say what its money accounts are charged. */
const MONEY = 'charge_microcents, debit_currency, debit_per_usd_nanos, debit_microcents';

/** What usage `u` charges account `a` in money: a balance what it says to have taken from one in that currency, every other its charge in USD. */
const DUE = `CASE WHEN a.kind <> 'balance' THEN u.charge_microcents
  WHEN a.unit = u.debit_currency || '_MICROCENTS' THEN u.debit_microcents ELSE -1 END`;

/** The checks: each yields a row (subject, found, expected) for whatever contradicts itself. No code of the writer takes part. */
const CHECKS: Readonly<Record<string, string>> = {
  'account.allocated': balance('allocated'),
  'account.spent': balance('spent'),
  'account.reserved': balance('reserved'),
  'account.debt': balance('debt'),
  'account.held': `
    SELECT ${ACCOUNT_ID} AS subject, a.reserved::text AS found, coalesce(held.amount, 0)::text AS expected
    FROM accounts a LEFT JOIN (
      SELECT account_no, sum(amount) AS amount FROM (${LEGS}) AS legs WHERE state = 'ACTIVE' GROUP BY account_no
    ) AS held ON held.account_no = a.no`,
  'entry.account': `
    SELECT e.seq::text AS subject, 'account ' || e.account_no AS found, 'a known account' AS expected
    FROM ledger_entries e WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.no = e.account_no)`,
  'checkpoint.account': `
    SELECT 'checkpoint ' || c.account_no AS subject, 'account ' || c.account_no AS found, 'a known account' AS expected
    FROM ledger_checkpoints c WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.no = c.account_no)`,
  'entry.reservation': `
    SELECT e.seq::text AS subject, 'reservation ' || e.command AS found, 'a known reservation' AS expected
    FROM ledger_entries e
    WHERE e.verb IN ('reserve', 'commit', 'release', 'expire') AND NOT EXISTS (SELECT FROM reservations r WHERE r.id = e.command)`,
  'entry.verb': `
    SELECT seq::text AS subject, concat_ws(' ', verb, d_allocated, d_spent, d_reserved, d_debt) AS found, 'a known verb, within what it may do' AS expected
    FROM ledger_entries WHERE NOT ${ALLOWED}`,
  'entry.once': `
    SELECT concat_ws(' ', verb, command, 'on account', account_no) AS subject, count(*)::text AS found, '1' AS expected
    FROM ledger_entries WHERE verb <> 'allocate' GROUP BY command, verb, account_no HAVING count(*) > 1`,
  'reservation.tenant': `
    SELECT r.id AS subject, r.tenant_id AS found, a.tenant_id AS expected
    FROM (${LEGS}) AS legs JOIN reservations r ON r.id = legs.id JOIN accounts a ON a.no = legs.account_no`,
  // What a settlement wrote where there is no leg shows here too, because a leg is looked for on either side.
  'reservation.hold': `
    SELECT coalesce(legs.id, e.command) AS subject, ${summed('e')} AS found,
           CASE WHEN legs.id IS NULL THEN '-' ELSE ${one('legs.amount', '0', 'legs.created_at_ms')} END AS expected
    FROM (${LEGS}) AS legs FULL JOIN (${sumsOf('reserve')}) AS e ON e.command = legs.id AND e.account_no = legs.account_no
    WHERE NOT EXISTS (SELECT FROM reservations r WHERE r.id = coalesce(legs.id, e.command) AND r.settled_at_ms < ${LEAVING_BEFORE_MS})`,
  'reservation.settlement': `
    SELECT legs.id AS subject,
           concat_ws(' ', 'commit', ${summed('commits')}, 'release', ${summed('releases')}, 'expire', ${summed('expiries')}, 'debit', ${summed('debits')},
             'charged', coalesce(legs.charged::text, '-')) AS found,
           CASE legs.state
             WHEN 'COMMITTED' THEN concat_ws(' ', 'commit', ${one('-legs.amount', 'legs.charged', 'legs.finalized_at_ms')}, 'release - expire - debit - charged',
               coalesce(commits.charge::text, 'something'))
             WHEN 'RELEASED' THEN concat_ws(' ', 'commit - release', ${one('-legs.amount', '0', 'legs.finalized_at_ms')}, 'expire - debit - charged 0')
             WHEN 'EXPIRED' THEN concat_ws(' ', 'commit - release - expire', ${one('-legs.amount', '0', 'legs.finalized_at_ms')}, 'debit',
               CASE WHEN debits.n IS NULL THEN '-' ELSE ${one('0', 'legs.charged', 'legs.settled_at_ms')} END, 'charged',
               CASE WHEN legs.settled_at_ms IS NULL THEN '-' ELSE coalesce(debits.charge, 0)::text END)
             ELSE 'commit - release - expire - debit - charged -'
           END AS expected
    FROM (${LEGS}) AS legs
    LEFT JOIN (${sumsOf('commit')}) AS commits ON commits.command = legs.id AND commits.account_no = legs.account_no
    LEFT JOIN (${sumsOf('release')}) AS releases ON releases.command = legs.id AND releases.account_no = legs.account_no
    LEFT JOIN (${sumsOf('expire')}) AS expiries ON expiries.command = legs.id AND expiries.account_no = legs.account_no
    LEFT JOIN (${sumsOf('debit')}) AS debits ON debits.command = legs.id AND debits.account_no = legs.account_no
    WHERE legs.settled_at_ms IS NULL OR legs.settled_at_ms >= ${LEAVING_BEFORE_MS}`,
  'reservation.foreign-entry': `
    SELECT e.seq::text AS subject, 'account ' || e.account_no AS found, 'an account of reservation ' || e.command AS expected
    FROM ledger_entries e JOIN reservations r ON r.id = e.command LEFT JOIN (${LEGS}) AS legs ON legs.id = e.command AND legs.account_no = e.account_no
    WHERE legs.id IS NULL OR e.d_allocated <> 0`,
  'reservation.legs': `
    SELECT r.id AS subject, r.legs::text AS found, 'a list of accounts and amounts' AS expected
    FROM reservations r
    WHERE json_typeof(r.legs) <> 'array' OR json_typeof(coalesce(r.charged, '[]')) <> 'array'
      OR EXISTS (
        SELECT FROM json_array_elements(${listIn('r.legs')}) AS pair
        WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.no = ${accountIn('pair ->> 0')})
      )`,
  'reservation.state': `
    SELECT id AS subject,
           concat_ws(' ', state, coalesce(finalized_at_ms::text, '-'), coalesce(settled_at_ms::text, '-'), coalesce(json_array_length(${listIn('charged')})::text, '-')) AS found,
           CASE
             WHEN state = 'ACTIVE' THEN 'ACTIVE - - -'
             WHEN state = 'EXPIRED' AND purpose = 'call' AND settled_at_ms IS NULL THEN concat_ws(' ', state, coalesce(finalized_at_ms::text, 'some time'), '- -')
             WHEN state = 'EXPIRED' AND purpose = 'call' AND settled_at_ms >= finalized_at_ms
               THEN concat_ws(' ', state, finalized_at_ms, settled_at_ms, json_array_length(${listIn('legs')}))
             WHEN state IN ('COMMITTED', 'RELEASED', 'EXPIRED')
               THEN concat_ws(' ', state, coalesce(finalized_at_ms::text, 'some time'), coalesce(finalized_at_ms::text, 'some time'), json_array_length(${listIn('legs')}))
             ELSE 'a known state'
           END AS expected
    FROM reservations`,
  'usage.charge': `
    SELECT u.id AS subject, (${DUE})::text AS found, legs.charged::text AS expected
    FROM (SELECT id, ${MONEY} FROM usage_events UNION ALL SELECT id, ${MONEY} FROM usage_tail) AS u
    JOIN (${LEGS}) AS legs ON legs.id = u.id AND legs.purpose = 'call' AND legs.settled_at_ms IS NOT NULL
    JOIN accounts a ON a.no = legs.account_no AND a.unit <> 'TOKENS'`,
  'usage.debit': `
    SELECT id AS subject, debit_microcents::text AS found,
           CASE WHEN debit_currency = '' THEN '0' ELSE ceil(cost_nano_usd::numeric * debit_per_usd_nanos / 10000000000)::text END AS expected
    FROM (SELECT id, cost_nano_usd, ${MONEY} FROM usage_events UNION ALL SELECT id, cost_nano_usd, ${MONEY} FROM usage_tail) AS u
    WHERE debit_currency <> '' OR debit_microcents <> 0`,
  'balance.credits': `
    SELECT concat_ws(' ', tenant_id, unit) AS subject, a.allocated::text AS found, coalesce(paid.total, 0)::text AS expected
    FROM (SELECT tenant_id, unit, allocated FROM accounts WHERE kind = 'balance') AS a
    FULL JOIN (
      SELECT tenant_id, (body ->> 'currency') || '_MICROCENTS' AS unit, sum(${numberIn("body ->> 'microcents'")}) AS total
      FROM balance_credits GROUP BY 1, 2
    ) AS paid USING (tenant_id, unit)`,
  'usage.report': `
    SELECT u.id || ' on account ' || a.no AS subject, e.d_spent::text AS found,
           CASE a.unit WHEN 'TOKENS' THEN u.tokens ELSE ${DUE} END::text AS expected
    FROM (
      SELECT id, prompt_tokens + completion_tokens AS tokens, ${MONEY} FROM usage_events WHERE id LIKE 'report:%'
      UNION ALL
      SELECT id, prompt_tokens + completion_tokens, ${MONEY} FROM usage_tail WHERE id LIKE 'report:%'
    ) AS u
    JOIN ledger_entries e ON e.command = u.id AND e.verb = 'debit' JOIN accounts a ON a.no = e.account_no`,
  'usage.keys': `
    SELECT concat_ws(' ', tenant_id, level_ms, bucket_ms, model) AS subject, coalesce(whole.counters, '-') AS found, coalesce(parts.counters, '-') AS expected
    FROM (SELECT tenant_id, level_ms, bucket_ms, model, ${COUNTERS} AS counters FROM usage_rollups WHERE key_id = '' GROUP BY 1, 2, 3, 4) AS whole
    FULL JOIN (SELECT tenant_id, level_ms, bucket_ms, model, ${COUNTERS} AS counters FROM usage_rollups WHERE key_id <> '' GROUP BY 1, 2, 3, 4) AS parts
      USING (tenant_id, level_ms, bucket_ms, model)`,
  'usage.moments': `
    SELECT u.id AS subject, concat_ws(' ', u.tenant_id, u.held_at_ms, u.at_ms) AS found,
           concat_ws(' ', r.tenant_id, r.created_at_ms, coalesce(r.settled_at_ms::text, '-')) AS expected
    FROM (SELECT id, tenant_id, at_ms, held_at_ms FROM usage_events UNION ALL SELECT id, tenant_id, at_ms, held_at_ms FROM usage_tail) AS u
    JOIN reservations r ON r.id = u.id`,
  // Old events are forgotten in no order: of an old day, or the first that has any, some may be gone already.
  'usage.events': `
    SELECT concat_ws(' ', tenant_id, key_id, model, bucket_ms) AS subject, concat_ws('/', ${eachSum((column) => column)}) AS found,
           concat_ws('/', ${eachSum((column) => `CASE WHEN bucket_ms = day_ms OR bucket_ms < ${FORGOTTEN_BEFORE_MS} THEN greatest(${column}, raw_${column}) ELSE raw_${column} END`)}) AS expected
    FROM (
      SELECT tenant_id, key_id, model, bucket_ms, day_ms, ${eachSum((column) => `sum(${column}) AS ${column}, sum(raw_${column}) AS raw_${column}`)}
      FROM (
        SELECT tenant_id, key_id, model, bucket_ms, ${eachSum((column) => column)}, ${eachSum((column) => `0 AS raw_${column}`)}
        FROM usage_rollups WHERE level_ms = ${DAY_MS} AND key_id <> ''
        UNION ALL
        SELECT tenant_id, key_id, model, at_ms - at_ms % ${DAY_MS}, ${eachSum(() => '0')}, ${eachSum((column) => column)} FROM usage_events
      ) AS lines, (SELECT min(at_ms - at_ms % ${DAY_MS}) AS day_ms FROM usage_events) AS first
      WHERE bucket_ms >= day_ms GROUP BY tenant_id, key_id, model, bucket_ms, day_ms
    ) AS sums`,
  // Days and all time are both kept for ever.
  'usage.days': `
    SELECT concat_ws(' ', tenant_id, key_id, model) AS subject, coalesce(whole.counters, '-') AS found, coalesce(days.counters, '-') AS expected
    FROM (SELECT tenant_id, key_id, model, ${COUNTERS} AS counters FROM usage_rollups WHERE level_ms = 0 GROUP BY 1, 2, 3) AS whole
    FULL JOIN (SELECT tenant_id, key_id, model, ${COUNTERS} AS counters FROM usage_rollups WHERE level_ms = 86400000 GROUP BY 1, 2, 3) AS days
      USING (tenant_id, key_id, model)`,
};

const COUNTS = `
  SELECT (SELECT count(*) FROM accounts) AS accounts, (SELECT count(*) FROM ledger_entries) AS entries,
         (SELECT count(*) FROM reservations) AS reservations`;

type Query = (text: string) => Promise<readonly Row[]>;

/** Lines read at once. */
const LINES_PER_FETCH = 10_000;

/** The journal's sum of each account by number, made anew of its lines, and of what was folded of them. */
async function journalSums(query: Query): Promise<Map<string, bigint>> {
  const folded = (await query('SELECT account_no::text AS no, journal_sum FROM ledger_checkpoints')) as unknown as FoldedSum[];
  const sums = new Map(folded.map(({ no, journal_sum: sum }) => [no, sum]));
  await query(
    `DECLARE journal CURSOR FOR SELECT account_no::text AS no, command || '|' || verb || '|' || at_ms AS line FROM ledger_entries`,
  );
  for (;;) {
    const lines = (await query(`FETCH ${LINES_PER_FETCH} FROM journal`)) as unknown as { no: string; line: string }[];
    for (const { no, line } of lines) sums.set(no, (sums.get(no) ?? 0n) + BigInt(crc32(line)));
    if (lines.length < LINES_PER_FETCH) break;
  }
  await query('CLOSE journal');
  return sums;
}

interface FoldedSum {
  readonly no: string;
  readonly journal_sum: bigint;
}

interface SummedAccount {
  readonly no: string;
  readonly subject: string;
  readonly terms: string;
  readonly terms_sum: bigint;
  readonly journal_sum: bigint;
}

const SUMMED_ACCOUNTS = `
  SELECT no::text, ${ACCOUNT_ID} AS subject, terms_sum, journal_sum,
         concat_ws('|', ${ACCOUNT_ID}, CASE WHEN allocated IS NULL THEN 'unlimited' ELSE 'limited' END, overdraft_limit,
           is_over_limit::int, status, coalesce(overage_policy, ''), created_at_ms) AS terms
  FROM accounts ORDER BY no`;

/**
 * What balances do not show: lines that add up to nothing, and what of an account no line explains. The server has no CRC-32, so the
 * rows come here.
 */
async function checkSums(query: Query): Promise<Discrepancy[]> {
  const sums = await journalSums(query);
  const [terms, journal]: [Discrepancy[], Discrepancy[]] = [[], []];
  for (const account of (await query(SUMMED_ACCOUNTS)) as unknown as SummedAccount[]) {
    const { subject, terms_sum: termsSum, journal_sum: journalSum } = account;
    const expectedTerms = BigInt(crc32(account.terms));
    if (termsSum !== expectedTerms) terms.push({ check: 'account.terms', subject, found: `${termsSum}`, expected: `${expectedTerms}` });
    const expected = (sums.get(account.no) ?? 0n) & JOURNAL_SUM_MASK;
    if (journalSum !== expected) journal.push({ check: 'account.journal', subject, found: `${journalSum}`, expected: `${expected}` });
  }
  return [...terms.slice(0, MAX_REPORTED), ...journal.slice(0, MAX_REPORTED)];
}

interface HeadRow {
  readonly tenant_id: string;
  readonly no: bigint;
  readonly hash: string;
  readonly pruned_no: bigint | null;
  readonly pruned_hash: string | null;
  readonly pruned_mac: string | null;
}

type TrailLine = Readonly<Record<string, string | number | bigint | null>> & {
  readonly tenant_id: string;
  readonly no: bigint | null;
  readonly previous: string | null;
  readonly hash: string | null;
};

/** Walks the trail of every tenant along its chain. */
async function checkTrail(query: Query, witness: TrailWitness | undefined): Promise<Discrepancy[]> {
  const heads = (await query('SELECT tenant_id, no, hash, pruned_no, pruned_hash, pruned_mac FROM audit_heads')) as unknown as HeadRow[];
  const check = new ChainCheck(
    heads.map((row) => ({
      tenantId: row.tenant_id,
      no: Number(row.no),
      hash: row.hash,
      prunedNo: row.pruned_no === null ? null : Number(row.pruned_no),
      prunedHash: row.pruned_hash,
      prunedMac: row.pruned_mac,
    })),
    witness,
  );
  await query(
    `DECLARE trail CURSOR FOR SELECT ${AUDIT_COLUMNS.map((column) => (column === 'metadata' ? 'metadata::text AS metadata' : column)).join(', ')},
       no, previous, hash FROM audit ORDER BY tenant_id, no NULLS FIRST, seq`,
  );
  for (;;) {
    const lines = (await query(`FETCH ${LINES_PER_FETCH} FROM trail`)) as unknown as TrailLine[];
    for (const line of lines) {
      const link = line.no === null ? null : { no: Number(line.no), previous: line.previous ?? '', hash: line.hash ?? '' };
      check.row({ tenantId: line.tenant_id, values: trailValues(line), link });
    }
    if (lines.length < LINES_PER_FETCH) break;
  }
  await query('CLOSE trail');
  return check.end();
}

/** Walks the bills of every tenant. */
async function checkBills(query: Query): Promise<Discrepancy[]> {
  const check = new StatementCheck();
  await query(`DECLARE bills CURSOR FOR ${STATEMENT_ROWS}`);
  for (;;) {
    const rows = (await query(`FETCH ${LINES_PER_FETCH} FROM bills`)) as unknown as StatementRow[];
    for (const row of rows) check.row(row);
    if (rows.length < LINES_PER_FETCH) break;
  }
  await query('CLOSE bills');
  for (const row of (await query(BILLED_TENANTS)) as unknown as BilledTenant[]) check.tenant(row);
  return check.end();
}

/** Runs every check in one snapshot. Reads whole tables; writers are not held up. */
export function verify(reader: Reader, witness?: TrailWitness): Promise<Verification> {
  return reader.transaction('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', async (query) => {
    await query(WHOLE_TABLES);
    const [counts] = (await query(COUNTS)) as unknown as { accounts: bigint; entries: bigint; reservations: bigint }[];
    const discrepancies: Discrepancy[] = [];
    for (const [check, rows] of Object.entries(CHECKS)) {
      const found = (await query(
        `SELECT subject, found, expected FROM (${rows}) AS checked WHERE found IS DISTINCT FROM expected ORDER BY subject LIMIT ${MAX_REPORTED}`,
      )) as unknown as Omit<Discrepancy, 'check'>[];
      discrepancies.push(...found.map((one) => ({ check, ...one })));
    }
    discrepancies.push(...(await checkSums(query)), ...(await checkTrail(query, witness)), ...(await checkBills(query)));
    return {
      accounts: Number(counts?.accounts),
      entries: Number(counts?.entries),
      reservations: Number(counts?.reservations),
      discrepancies,
    };
  });
}
