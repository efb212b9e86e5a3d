import { describe, expect, test } from 'vitest';
import type { IdempotencyRecord } from '../effects.ts';
import { INT64_MAX } from '../int64.ts';
import type { UsageReporter } from '../records.ts';
import type { Outcome } from '../rejection.ts';
import { runBatch } from '../run-batch.ts';
import { MAX_REPORT_AGE_MS, MAX_REPORT_SKEW_MS, type QuarantineReason, type UsageReport } from '../usage/usage-report.ts';
import { needsOf } from '../verbs.ts';
import { WorkingSet, type Changes } from '../working-set.ts';
import { keyCapId, newAccount, TOKENS, USD_MICROCENTS, type Account, type AccountId } from './account.ts';
import type { ReportItem, ReportUsageCommand } from './commands.ts';
import type { ReportUsageAnswer } from './report-usage.ts';

const NOW_MS = Date.UTC(2026, 3, 9);
const CAP = keyCapId('acme', 'k1', TOKENS);
const MONEY = keyCapId('acme', 'k1', USD_MICROCENTS);
const REPORTER: UsageReporter = { id: 'r1', secretSealed: 's', previous: null, tenants: ['acme'], createdAtMs: 0 };

interface ItemOptions {
  readonly tenantId?: string;
  readonly tokens?: bigint;
  readonly microcents?: bigint;
  readonly occurredAtMs?: number;
  readonly hash?: string;
  readonly accounts?: readonly AccountId[];
  readonly reason?: QuarantineReason;
}

const item = (eventId: string, options: ItemOptions = {}): ReportItem => {
  const { tenantId = 'acme', tokens = 10n, microcents = 7n, occurredAtMs = NOW_MS - 1000, hash = 'h', accounts = [CAP, MONEY] } = options;
  const usage = {
    id: `report:r1:${eventId}`,
    tenantId,
    keyId: 'k1',
    model: 'm1',
    upstreamId: 'reporter:r1',
    priceId: 'p1',
    route: '',
    requests: 1,
    promptTokens: Number(tokens),
    completionTokens: 0,
    cachedPromptTokens: 0,
    reasoningTokens: 0,
    costNanoUsd: microcents * 10n,
    chargeMicrocents: microcents,
    streaming: false,
    estimated: false,
    interrupted: false,
  };
  return {
    eventId,
    hash,
    occurredAtMs,
    body: { of: eventId },
    judgement:
      options.reason === undefined
        ? { kind: 'book', booking: { accounts, actuals: { tokens, microcents }, usage } }
        : { kind: 'quarantine', reason: options.reason },
  };
};

const command = (items: readonly ReportItem[], changes: Partial<ReportUsageCommand> = {}): ReportUsageCommand => ({
  verb: 'report-usage',
  id: 'cmd_1',
  tenantId: '_system',
  reporterId: 'r1',
  nonce: 'n1',
  nonceKeepMs: 600_000,
  items,
  ...changes,
});

interface World {
  readonly reporter?: UsageReporter | undefined;
  readonly accounts?: readonly Account[];
  readonly reports?: readonly UsageReport[];
  readonly delivery?: IdempotencyRecord;
}

const capped = newAccount(CAP, { nowMs: 0, unlimited: true });

function run(
  commands: readonly ReportUsageCommand[],
  world: World = {},
): { outcomes: Outcome<ReportUsageAnswer>[]; changes: Changes; rows: WorkingSet } {
  const rows = new WorkingSet();
  const accounts = new Map((world.accounts ?? [capped]).map((account) => [account.id, account]));
  for (const each of commands) {
    const needs = needsOf(each);
    for (const id of needs.accounts ?? []) rows.putAccount(id, accounts.get(id));
    for (const ref of needs.idempotency ?? []) rows.putIdempotency(ref, world.delivery);
    for (const { kind, id } of needs.records ?? []) rows.putRecord(kind, id, 'reporter' in world ? world.reporter : REPORTER);
    for (const ref of needs.reports ?? [])
      rows.putReport(
        ref,
        world.reports?.find(({ eventId }) => eventId === ref.eventId),
      );
  }
  const outcomes = runBatch(rows, commands, NOW_MS) as Outcome<ReportUsageAnswer>[];
  return { outcomes, changes: rows.changes(), rows };
}

const statuses = (outcome: Outcome<ReportUsageAnswer> | undefined): unknown =>
  outcome?.ok === true
    ? outcome.value.events.map(({ status, reason }) => (reason === null ? status : `${status} ${reason}`))
    : outcome?.rejection.code;

const report = (eventId: string, reason: QuarantineReason | null, hash = 'h'): UsageReport => ({
  reporterId: 'r1',
  eventId,
  hash,
  reason,
  receivedAtMs: 5,
  body: reason === null ? null : { of: eventId },
});

test('an event is booked on every account that exists, counted at the moment at which it happened, and remembered', () => {
  const { outcomes, changes, rows } = run([command([item('e1')])]);
  expect(statuses(outcomes[0])).toEqual(['booked']);
  expect(changes.entries).toEqual([
    { accountId: CAP, command: 'report:r1:e1', verb: 'debit', dAllocated: 0n, dSpent: 10n, dReserved: 0n, dDebt: 0n, atMs: NOW_MS },
  ]);
  expect(rows.account(CAP)?.spent).toBe(10n);
  expect(changes.usage).toMatchObject([{ id: 'report:r1:e1', atMs: NOW_MS - 1000, heldAtMs: NOW_MS - 1000 }]);
  expect(changes.reports).toEqual([
    { report: { reporterId: 'r1', eventId: 'e1', hash: 'h', reason: null, receivedAtMs: NOW_MS, body: null }, isNew: true },
  ]);
  expect(changes.idempotency).toEqual([
    {
      ref: { tenantId: '_system', operation: 'usage-delivery', target: 'r1', key: 'n1' },
      record: { hash: '', answer: true, expiresAtMs: NOW_MS + 600_000 },
    },
  ]);
});

test('it is booked whatever is left, and whatever the state of an account', () => {
  const money: Account = {
    ...newAccount(MONEY, { nowMs: 0, unlimited: false }),
    allocated: 5n,
    spent: 3n,
    reserved: 2n,
    status: 'FROZEN',
    isOverLimit: true,
  };
  const { rows, outcomes } = run([command([item('e1')])], { accounts: [{ ...capped, allocated: 4n, status: 'CLOSED' }, money] });
  expect(statuses(outcomes[0])).toEqual(['booked']);
  expect([rows.account(CAP)?.spent, rows.account(MONEY)?.spent, rows.account(MONEY)?.reserved]).toEqual([10n, 10n, 2n]);
});

test('what costs nothing leaves no line of nothing, and is counted', () => {
  const { changes } = run([command([item('e1', { tokens: 0n, microcents: 0n })])]);
  expect([changes.entries.length, changes.usage.length]).toEqual([0, 1]);
});

describe('the same event', () => {
  test('twice in a delivery, in two deliveries of a batch, or again later is booked once', () => {
    const batch = run([command([item('e1'), item('e1')]), command([item('e1')], { id: 'cmd_2', nonce: 'n2' })]);
    expect(batch.outcomes.map(statuses)).toEqual([['booked', 'duplicate'], ['duplicate']]);
    expect(batch.changes.usage).toHaveLength(1);
    const later = run([command([item('e1')])], { reports: [report('e1', null)] });
    expect(statuses(later.outcomes[0])).toEqual(['duplicate']);
    expect([later.changes.entries, later.changes.usage, later.changes.reports]).toEqual([[], [], []]);
  });

  test('with another content is a conflict, and what was booked stands', () => {
    const { outcomes, changes } = run([command([item('e1'), item('e1', { hash: 'other', tokens: 99n })])]);
    expect(statuses(outcomes[0])).toEqual(['booked', 'conflict']);
    expect(changes.entries).toMatchObject([{ dSpent: 10n }]);
  });

  test('that is in quarantine stays there, though it could be booked now: only the operator takes it out', () => {
    const { outcomes, changes } = run([command([item('e1')])], { reports: [report('e1', 'unknown_model')] });
    expect(statuses(outcomes[0])).toEqual(['duplicate unknown_model']);
    expect(changes.entries).toEqual([]);
  });
});

test.each([
  ['of a tenant that the reporter does not report for', { tenantId: 'other' }, 'foreign_tenant'],
  ['of the future', { occurredAtMs: NOW_MS + MAX_REPORT_SKEW_MS + 1 }, 'in_future'],
  ['of too long ago', { occurredAtMs: NOW_MS - MAX_REPORT_AGE_MS - 1 }, 'too_old'],
  ['that was judged so before', { reason: 'unknown_model' as const }, 'unknown_model'],
])('an event %s goes to quarantine, and the others are booked', (_what, options, reason) => {
  const { outcomes, changes, rows } = run([command([item('e1'), item('bad', options), item('e2')])]);
  expect(statuses(outcomes[0])).toEqual(['booked', `quarantined ${reason}`, 'booked']);
  expect(rows.account(CAP)?.spent).toBe(20n);
  expect(changes.usage.map(({ id }) => id)).toEqual(['report:r1:e1', 'report:r1:e2']);
  expect(changes.reports[1]?.report).toMatchObject({ eventId: 'bad', reason, body: { of: 'bad' } });
});

test('the limits of time are good themselves, and a clock that is ahead books now', () => {
  const items = [item('old', { occurredAtMs: NOW_MS - MAX_REPORT_AGE_MS }), item('ahead', { occurredAtMs: NOW_MS + MAX_REPORT_SKEW_MS })];
  const { changes } = run([command(items)]);
  expect(changes.usage.map(({ atMs }) => atMs)).toEqual([NOW_MS - MAX_REPORT_AGE_MS, NOW_MS]);
});

test('what would take an account past int64 goes to quarantine, those of its own delivery counted', () => {
  const nearly: Account = { ...capped, spent: INT64_MAX - 25n };
  const { outcomes, rows } = run([command(['e1', 'e2', 'e3'].map((id) => item(id)))], { accounts: [nearly] });
  expect(statuses(outcomes[0])).toEqual(['booked', 'booked', 'quarantined out_of_range']);
  expect(rows.account(CAP)?.spent).toBe(INT64_MAX - 5n);
});

test('a delivery that was taken before is refused, until its time is over', () => {
  const taken = (expiresAtMs: number) => run([command([item('e1')])], { delivery: { hash: '', answer: true, expiresAtMs } });
  expect(taken(NOW_MS + 1).outcomes[0]).toMatchObject({ ok: false, rejection: { code: 'conflict', field: 'delivery_id' } });
  expect(taken(NOW_MS + 1).changes.usage).toEqual([]);
  expect(statuses(taken(NOW_MS).outcomes[0])).toEqual(['booked']);
});

test('a reporter that was removed meanwhile books nothing', () => {
  const { outcomes, changes } = run([command([item('e1')])], { reporter: undefined });
  expect(outcomes[0]).toMatchObject({ ok: false, rejection: { code: 'unauthorized' } });
  expect([changes.entries, changes.usage, changes.reports, changes.idempotency]).toEqual([[], [], [], []]);
});

describe('a second attempt at what is in quarantine', () => {
  const retry = (items: readonly ReportItem[]): ReportUsageCommand => command(items, { nonce: null, nonceKeepMs: 0 });

  test('books what can be booked now, once, and remembers when it was received', () => {
    const batch = run([retry([item('e1')]), { ...retry([item('e1')]), id: 'cmd_2' }], { reports: [report('e1', 'unknown_model')] });
    expect(batch.outcomes.map(statuses)).toEqual([['booked'], ['duplicate']]);
    expect(batch.changes.usage).toHaveLength(1);
    expect(batch.changes.reports).toEqual([{ report: { ...report('e1', null), receivedAtMs: 5 }, isNew: false }]);
    expect(batch.changes.idempotency).toEqual([]);
  });

  test('leaves what still cannot be booked, with the reason of today', () => {
    const reports = [report('e1', 'unknown_model'), report('e2', 'foreign_tenant')];
    const { outcomes, changes } = run([retry([item('e1', { reason: 'model_unpriced' }), item('e2', { tenantId: 'other' })])], { reports });
    expect(statuses(outcomes[0])).toEqual(['quarantined model_unpriced', 'quarantined foreign_tenant']);
    // The second one's row is as it was.
    expect(changes.reports.map(({ report: { eventId, reason } }) => [eventId, reason])).toEqual([['e1', 'model_unpriced']]);
  });

  test('is alone: nobody changes the same row at the same time', () => {
    expect([needsOf(retry([])).tenantLock, needsOf(command([])).tenantLock]).toEqual(['exclusive', 'shared']);
  });
});
