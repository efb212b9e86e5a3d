import pg from 'pg';
import { DEFAULT_RETENTION } from '../../core/retention/retention.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Failpoints } from '../../ports/failpoints.ts';
import type { LedgerStore } from '../../ports/ledger-store.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { WebhookStore } from '../../ports/webhook-store.ts';
import { newerSchemaNotice, StoreRefusal } from '../_shared/migrations.ts';
import { leave, openSession, type Timeouts } from './session.ts';
import { makeLane, type BatchClock } from './lane.ts';
import { migrate } from './migrate.ts';
import { makeOverviewReads } from './overview.ts';
import { prune } from './prune.ts';
import { makeReader, type Reader } from './reader.ts';
import { makeAuditReads } from './audit-reads.ts';
import { makeBillReads } from './bill-reads.ts';
import { makeGovernanceReads } from './governance.ts';
import { makeRecordReads, type Readers } from './records.ts';
import { makeReservationReads } from './reservation-reads.ts';
import { isRefusedByServer, toThrowable } from './sql-errors.ts';
import { TYPES } from './statement.ts';
import { foldUsage, makeUsageReads } from './usage.ts';
import { verify } from './verify.ts';
import { makeWebhookStore } from './webhooks.ts';

/** The oldest server that is taken. */
const LEAST_SERVER_VERSION = 15;

const DEFAULT_TIMEOUTS: Timeouts = { connectMs: 5_000, lockMs: 2_000, statementMs: 10_000, answerMs: 15_000, closeMs: 3_000 };

/** How to open a PostgreSQL store. Lengths are milliseconds. */
export interface PostgresStoreOptions {
  /** `postgresql://user:password@host:port/database`, with the driver's parameters. */
  readonly url: string;
  /** Names this node's connections in the server's list of them. */
  readonly nodeId?: string;
  /** Writers, each with a connection of its own. */
  readonly lanes?: number;
  /** Connections for queries. Three more serve what must not wait behind them. */
  readonly readers?: number;
  readonly timeouts?: Partial<Timeouts>;
  /** How long a batch waits for a connection before it fails. */
  readonly reconnectMs?: number;
  /** How long a batch is tried again, and how long it takes to learn what became of a lost COMMIT. */
  readonly giveUpMs?: number;
  /** Replaces the server's time (tests). */
  readonly clock?: Clock;
  readonly failpoints?: Failpoints;
  /** Where warnings go: lost connections, batches run again. */
  readonly log?: { warn(message: string): void };
}

/** The time of batches: the server's, or the test clock's, and never below one given before. */
function makeBatchClock(clock: Clock | undefined): BatchClock {
  let lastMs = 0;
  return {
    next(serverNowMs) {
      lastMs = Math.max(lastMs, clock?.nowMs() ?? serverNowMs);
      return lastMs;
    },
  };
}

/** Refuses a server on which commits would not be durable, or whose behaviour is not known. Each refusal is one sentence. */
async function checkServer(client: pg.Client, warn: (message: string) => void): Promise<void> {
  const show = async (name: string): Promise<string> => {
    const { rows } = await client.query<{ value: string }>('SELECT current_setting($1) AS value', [name]);
    return rows[0]?.value ?? '';
  };
  const version = Number(await show('server_version_num'));
  if (version < LEAST_SERVER_VERSION * 10_000) {
    throw new StoreRefusal(
      `DATABASE_URL leads to PostgreSQL ${await show('server_version')}, but Castellan needs version ${LEAST_SERVER_VERSION} or newer.`,
    );
  }
  if ((await show('synchronous_commit')) === 'off') {
    throw new StoreRefusal(
      'DATABASE_URL leads to a PostgreSQL server with synchronous_commit=off, which may forget what it has confirmed: set synchronous_commit to on for this role or database.',
    );
  }
  const encoding = await show('server_encoding');
  if (encoding !== 'UTF8') {
    throw new StoreRefusal(
      `DATABASE_URL leads to a database in the encoding ${encoding}, but Castellan needs UTF8: create it with ENCODING 'UTF8'.`,
    );
  }
  if ((await show('fsync')) === 'off') warn('PostgreSQL runs with fsync=off: a crash of its machine may lose or break everything');
}

async function prepareDatabase(
  options: Pick<PostgresStoreOptions, 'url'> & { timeouts: Timeouts },
  failpoints: Failpoints | undefined,
  warn: (message: string) => void,
): Promise<void> {
  const client = new pg.Client({
    connectionString: options.url,
    connectionTimeoutMillis: options.timeouts.connectMs,
    types: TYPES,
    keepAlive: true,
  });
  client.on('error', (error) => warn(`a connection to PostgreSQL was lost: ${error.message}`));
  try {
    await client.connect();
    await checkServer(client, warn);
    const newerVersion = await migrate(client, { failpoints });
    if (newerVersion !== null) warn(newerSchemaNotice(newerVersion));
  } catch (error) {
    if (error instanceof StoreRefusal || !(error instanceof Error)) throw error;
    if (isRefusedByServer(error)) throw new StoreRefusal(`DATABASE_URL leads to a PostgreSQL server that refuses us: ${error.message}.`);
    throw error instanceof AggregateError || 'code' in error ? toThrowable(error) : error;
  } finally {
    await leave(client.end(), options.timeouts.closeMs, () => client.connection.stream.destroy());
  }
}

/**
 * Opens the store on a PostgreSQL server, after bringing its schema up to date. Any number of nodes may have one database open.
 *
 * Throws `StoreRefusal` where the server refuses us, is too old, commits without flushing (`synchronous_commit=off`), is not in UTF-8 or
 * has a newer schema than this program knows, and a `Fault` (`store_unavailable`) where it cannot be reached.
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<LedgerStore & RecordStore & WebhookStore> {
  const { url, clock } = options;
  const timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
  const { failpoints } = options;
  const warn = (message: string): void => options.log?.warn(message);
  await prepareDatabase({ url, timeouts }, failpoints, warn);

  const applicationName = options.nodeId === undefined ? 'castellan' : `castellan ${options.nodeId}`;
  const batchClock = makeBatchClock(clock);
  const lanes = Array.from({ length: options.lanes ?? 4 }, () =>
    makeLane({
      open: () => openSession({ url, applicationName, timeouts }),
      clock: batchClock,
      failpoints,
      warn,
      reconnectMs: options.reconnectMs ?? 2_000,
      giveUpMs: options.giveUpMs ?? 10_000,
    }),
  );
  const openReader = (connections: number): Reader => makeReader({ url, applicationName, connections, timeouts, warn });
  const reader = openReader(options.readers ?? 6);
  const readers: Readers = { general: reader, lookups: openReader(2), pulse: openReader(1) };

  const parts = [...lanes, reader, readers.lookups, readers.pulse];
  let closing: Promise<void> | undefined;
  return {
    lanes: lanes.length,
    execute(batchId, commands, lane) {
      const writer = lanes[lane];
      if (writer === undefined) throw new RangeError(`there is no lane ${lane}`);
      return writer.execute(batchId, commands);
    },
    foldUsage: (limit) => foldUsage(reader, limit, () => failpoints?.hit('fold.written')),
    prune: (retention = DEFAULT_RETENTION, isStopping = () => false, trailSecret) =>
      prune(reader, { retention, clock, isStopping, trailSecret: trailSecret ?? null }),
    verify: (witness) => verify(reader, witness),
    close: () => (closing ??= Promise.all(parts.map((part) => part.close())).then(() => undefined)),
    ...makeRecordReads(readers, clock),
    ...makeReservationReads(reader),
    ...makeUsageReads(reader),
    ...makeBillReads(reader),
    ...makeWebhookStore(reader, clock),
    ...makeGovernanceReads(reader),
    ...makeOverviewReads(reader),
    ...makeAuditReads(reader),
  };
}
