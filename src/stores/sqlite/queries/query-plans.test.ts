import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadMigrations } from '../../_shared/migrations.ts';
import { migrate } from '../migrate.ts';
import { BILL_SQL } from './bill-queries.ts';
import { LEDGER_SQL } from './ledger-queries.ts';
import { OBJECT_SQL } from './object-queries.ts';
import { RECORD_SQL } from './record-queries.ts';
import { SAMPLE_SQL } from './sample-queries.ts';
import { USAGE_SQL } from './usage-queries.ts';
import { WEBHOOK_SQL } from './webhook-queries.ts';

const ROLLUPS_BY_KEY = /SEARCH usage_rollups USING PRIMARY KEY \(tenant_id=\? AND level_ms=\? AND bucket_ms=\? AND key_id/;

describe('queries find their rows by the index that they name', () => {
  let db: Database.Database;
  beforeAll(() => {
    db = new Database(':memory:');
    migrate(db, loadMigrations('sqlite'), { hit: () => undefined });
  });
  afterAll(() => db.close());

  const planOf = (sql: string): string =>
    db
      .prepare<[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql.replaceAll(/\?|@\w+/g, 'NULL')}`)
      .all()
      .map(({ detail }) => detail)
      .join('\n');

  test.each<[string, string, RegExp]>([
    ['key by hash', RECORD_SQL.keyByHash, /SEARCH api_keys USING INDEX api_keys_hash \(hash=\?\)/],
    ['deleted key by hash', RECORD_SQL.deletedKeyByHash, /SEARCH api_keys USING INDEX api_keys_deleted_hash \(hash=\?\)/],
    [
      'events in quarantine',
      RECORD_SQL.quarantinedReports,
      /SEARCH usage_reports USING INDEX usage_reports_quarantined \(reporter_id=\? AND event_id>\?\)/,
    ],
    ['key by the hash before', RECORD_SQL.keyByHash, /SEARCH api_keys USING INDEX api_keys_previous_hash \(previous_hash=\?\)/],
    ['keys of a kind', RECORD_SQL.keysOfKind, /SEARCH api_keys USING INDEX api_keys_of_kind \(tenant_id=\? AND kind=\? AND id>\?\)$/],
    ['events of a tenant', RECORD_SQL.events, /SEARCH events USING INDEX events_of_tenant \(tenant_id=\? AND seq<\?\)$/],
    ['events of a type', RECORD_SQL.eventsOfType, /SEARCH events USING INDEX events_of_type \(tenant_id=\? AND type=\? AND seq<\?\)$/],
    ['keys of a tenant', RECORD_SQL.keysOfTenant, /SEARCH api_keys USING INDEX api_keys_of_tenant \(tenant_id=\?\)/],
    ['credits of a tenant', RECORD_SQL.creditsOfTenant, /SEARCH balance_credits USING INDEX balance_credits_of_tenant \(tenant_id=\?\)$/],
    ['a page of credits', RECORD_SQL.credits, /SEARCH balance_credits USING INDEX balance_credits_of_tenant \(tenant_id=\? AND id<\?\)$/],
    ['members of a tenant', RECORD_SQL.membersOfTenant, /SEARCH members USING INDEX members_of_tenant \(tenant_id=\?\)/],
    ['names of keys', RECORD_SQL.keyNames, /SEARCH api_keys USING PRIMARY KEY \(id=\?\)/],
    [
      'account',
      LEDGER_SQL.account,
      /SEARCH accounts USING INDEX accounts_identity \(tenant_id=\? AND kind=\? AND scope=\? AND unit=\? AND period=\?\)/,
    ],
    ['account by number', LEDGER_SQL.accountByNo, /SEARCH accounts USING INTEGER PRIMARY KEY/],
    ['reservation', LEDGER_SQL.reservation, /SEARCH reservations USING (PRIMARY KEY|INDEX sqlite_autoindex_reservations_1) \(id=\?\)/],
    ['expired reservations', LEDGER_SQL.expiredReservations, /SEARCH reservations USING INDEX reservations_due/],
    ['calls in flight', LEDGER_SQL.unsettledCalls, /SCAN reservations USING INDEX reservations_due/],
    ['calls without a charge', LEDGER_SQL.unsettledCalls, /SCAN reservations USING INDEX reservations_uncharged/],
    ['objects of upstreams', OBJECT_SQL.upstreamObjects, /SEARCH upstream_objects USING PRIMARY KEY \(tenant_id=\? AND id=\?\)/],
    [
      'charges of a month',
      BILL_SQL.charges,
      /SEARCH usage_rollups USING PRIMARY KEY \(tenant_id=\? AND level_ms=\? AND bucket_ms>\? AND bucket_ms<\?\)/,
    ],
    [
      'samples of a container',
      SAMPLE_SQL,
      /^SEARCH container_samples USING PRIMARY KEY \(container_id=\? AND level_ms=\? AND bucket_ms>\?\)$/,
    ],
    ['all charges', BILL_SQL.charged, ROLLUPS_BY_KEY],
    ['first usage', BILL_SQL.first, /SEARCH usage_rollups USING PRIMARY KEY \(tenant_id=\? AND level_ms=\?\)/],
    ['statements of a tenant', RECORD_SQL.statementsOfTenant, /SEARCH statements USING INDEX statements_of_tenant \(tenant_id=\?\)$/],
    ['corrections of a tenant', RECORD_SQL.correctionsOfTenant, /USING INDEX bill_corrections_of_tenant \(tenant_id=\?\)$/],
    ['links of a tenant', RECORD_SQL.billLinksOfTenant, /USING INDEX bill_links_of_tenant \(tenant_id=\?\)$/],
    ['totals', USAGE_SQL.totals, ROLLUPS_BY_KEY],
    ['totals of a key', USAGE_SQL.totalsOfKey, ROLLUPS_BY_KEY],
    ['series', USAGE_SQL.series, ROLLUPS_BY_KEY],
    ['counters', USAGE_SQL.keyUsage, ROLLUPS_BY_KEY],
    ['counters of some keys', USAGE_SQL.someKeyUsage, ROLLUPS_BY_KEY],
    ['oldest bucket', USAGE_SQL.oldestBucket, /SEARCH usage_rollups USING PRIMARY KEY \(tenant_id=\? AND level_ms=\?\)/],
    ['newest bucket', USAGE_SQL.newestBucket, /SEARCH usage_rollups USING PRIMARY KEY \(tenant_id=\? AND level_ms=\?\)/],
    ['events to hand out', WEBHOOK_SQL.eventsToHandOut, /USING INDEX events_undelivered$/],
    ['deliveries that are due', WEBHOOK_SQL.dueDeliveries, /SEARCH deliveries USING INDEX deliveries_open \(webhook_id=\?\)/],
    [
      'deliveries of a webhook',
      WEBHOOK_SQL.deliveries,
      /SEARCH deliveries USING INDEX deliveries_of_webhook \(webhook_id=\? AND status=\? AND created_at_ms>\? AND created_at_ms<\?\)$/,
    ],
    ['failures to tell', WEBHOOK_SQL.untoldFailures, /SCAN d USING INDEX deliveries_untold/],
    ['how deliveries go', WEBHOOK_SQL.webhookHealth, /SEARCH webhook_health USING PRIMARY KEY \(webhook_id=\?\)/],
    ['counts of the last minutes', WEBHOOK_SQL.activitySums, /SEARCH activity USING PRIMARY KEY/],
    ['spend of the last lines', WEBHOOK_SQL.budgetSpend, /SEARCH e USING INTEGER PRIMARY KEY/],
    ['the last line', WEBHOOK_SQL.lastEntry, /SEARCH ledger_entries/],
    ['keys that have expired', WEBHOOK_SQL.untoldKeyExpiries, /SEARCH api_keys USING INDEX api_keys_untold_expiry/],
    ['events of a tenant', USAGE_SQL.events, /SEARCH usage_events USING INDEX usage_events_of_tenant \(tenant_id=\?\)/],
  ])('%s', (_name, sql, plan) => {
    expect(planOf(sql)).toMatch(plan);
  });

  test('only the tail, which is short, and the lists of a request are read from end to end', () => {
    const statements = [
      ...Object.values(RECORD_SQL),
      ...Object.values(LEDGER_SQL),
      ...Object.values(USAGE_SQL),
      ...Object.values(OBJECT_SQL),
    ];
    const scanned = statements.flatMap((sql) => planOf(sql).match(/SCAN \S+/g) ?? []);
    const allowed = [
      'bucket',
      'json_each',
      'usage_tail',
      'store_state',
      'reservations',
      '(subquery-1)',
      '(subquery-2)',
      '(subquery-3)',
      '(subquery-4)',
      '(join-2)',
      'CONSTANT',
    ];
    expect([...new Set(scanned)].map((scan) => scan.slice('SCAN '.length)).filter((name) => !allowed.includes(name))).toEqual([]);
  });
});
