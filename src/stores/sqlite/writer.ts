import type { Database } from 'better-sqlite3';
import { runBatch } from '../../core/run-batch.ts';
import type { Command } from '../../core/verbs.ts';
import { WorkingSet, type Changes } from '../../core/working-set.ts';
import type { Failpoints } from '../../ports/failpoints.ts';
import type { BatchResult } from '../../ports/ledger-store.ts';
import { makeUsageFolder } from './fold-usage.ts';
import { emptyCaches, makeRowLoader } from './load-rows.ts';
import type { WriterRequest } from './messages.ts';
import { unpackCommand } from './packed-command.ts';
import { makePruner } from './prune.ts';
import { LAST_BATCH_MS } from './store-time.ts';
import { makeWebhookWriter } from './webhook-writes.ts';
import { makeChangeWriter } from './write-changes.ts';

/** The single writer of a database. */
export interface Writer {
  readonly answer: (request: WriterRequest) => unknown;
}

/** What a writer needs beside its connection. `flush` brings everything that was written so far to the disk, and throws where it cannot. */
export interface WriterDeps {
  readonly failpoints: Failpoints;
  readonly flush: () => void;
}

/** Runs on the thread that owns `db`. Every request is one transaction, done or undone as a whole. */
export function makeWriter(db: Database, { failpoints, flush }: WriterDeps): Writer {
  const caches = emptyCaches(db);
  const load = makeRowLoader(db, caches);
  const write = makeChangeWriter(db, caches);
  const foldUsage = makeUsageFolder(db, failpoints);
  const prune = makePruner(db);
  const writeWebhooks = makeWebhookWriter(db);
  const putHeartbeat = db.prepare<[string, number]>('INSERT OR REPLACE INTO heartbeats (owner_id, seen_at_ms) VALUES (?, ?)');
  const seenOwners = db.prepare<[number], string>('SELECT owner_id FROM heartbeats WHERE seen_at_ms >= ? ORDER BY owner_id').pluck();
  const transaction = makeTransaction(db);
  const keepTime = db.prepare<[number]>('UPDATE store_state SET last_ms = ?');

  let lastMs = db.prepare<[], number>(`SELECT ${LAST_BATCH_MS}`).pluck().get() ?? 0;
  let writtenMs = lastMs;
  const timeOf = (clockMs: number): number => (lastMs = Math.max(lastMs, clockMs));

  /** For what cannot be made good: a clock that jumped ahead and made nothing durable since is not believed. */
  const cautiousTimeOf = (clockMs: number): number => Math.min(clockMs, writtenMs);

  const execute = (commands: readonly Command[], clockMs: number): BatchResult => {
    const nowMs = timeOf(clockMs);
    try {
      return transaction((commit) => {
        const rows = new WorkingSet();
        load(rows, commands);
        failpoints.hit('batch.loaded');
        const outcomes = runBatch(rows, commands, nowMs);
        failpoints.hit('batch.decided');
        const changes = rows.changes();
        if (isNothing(changes)) return { outcomes, nowMs, changedRecords: [] };
        write(changes, nowMs);
        failpoints.hit('batch.written');
        commit();
        writtenMs = nowMs;
        failpoints.hit('batch.committed');
        return { outcomes, nowMs, changedRecords: changes.records.map(({ kind, id }) => ({ kind, id })) };
      });
    } catch (error) {
      caches.accounts.clear();
      caches.reservations.clear();
      caches.tenants.clear();
      throw error;
    } finally {
      caches.accounts.trim();
      caches.reservations.trim();
      caches.tenants.trim();
    }
  };

  /** Nobody else is alive on this data folder (its lock), so runs that a batch of this one did not see are over. */
  const heartbeat = (ownerId: string, withinMs: number, nowMs: number): string[] =>
    transaction((commit) => {
      putHeartbeat.run(ownerId, nowMs);
      commit();
      return seenOwners.all(nowMs - withinMs);
    });

  return {
    answer: (request) => {
      switch (request.type) {
        case 'execute': {
          const result = execute(request.commands.map(unpackCommand), request.clockMs);
          if (request.flush) flush();
          return result;
        }
        case 'fold-usage':
          return transaction((commit) => foldUsage(request.limit, cautiousTimeOf(request.clockMs), commit));
        case 'prune':
          return transaction((commit) => {
            // The journal's last line tells the time of the last batch, and may be folded away now.
            keepTime.run(writtenMs);
            return prune(cautiousTimeOf(request.clockMs), request, commit);
          });
        case 'heartbeat':
          return heartbeat(request.ownerId, request.withinMs, timeOf(request.clockMs));
        case 'webhooks':
          return transaction((commit) => writeWebhooks(request.write, timeOf(request.clockMs), commit));
      }
    },
  };
}

const isNothing = (changes: Changes): boolean => Object.values(changes).every((list: readonly unknown[]) => list.length === 0);

/** Runs `work` in a transaction that ends when `work` calls `commit`, and is undone where it returns or throws without that. */
function makeTransaction(db: Database): <T>(work: (commit: () => void) => T) => T {
  const begin = db.prepare('BEGIN');
  const commit = db.prepare('COMMIT');
  const rollback = db.prepare('ROLLBACK');
  return (work) => {
    begin.run();
    try {
      return work(() => commit.run());
    } finally {
      // A failed COMMIT leaves the transaction open or not, depending on the failure.
      if (db.inTransaction) rollback.run();
    }
  };
}
