import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Account, AccountId } from '../../src/core/ledger/account.ts';
import type { LedgerStore } from '../../src/ports/ledger-store.ts';
import type { RecordStore } from '../../src/ports/record-store.ts';
import type { ManualClock } from '../support/fakes.ts';
import { REMEMBERED_SCRIPTS } from './remembered-scripts.ts';
import { scripts } from './random-scripts.ts';
import { runsOf, seedOf } from './runs.ts';
import { runScript, type LedgerSubject } from './run-script.ts';
import type { Script, Terms } from './script.ts';

/** A store that tells the time from `clock`, and what the property needs that no port gives. */
export interface PropertyStore {
  /** The store as it is now: changing terms may open it anew. */
  readonly store: LedgerStore & RecordStore;
  readonly clock: ManualClock;
  /** Inserts rows of accounts that no command has named yet. */
  makeAccounts(accounts: readonly Account[]): Promise<void>;
  /** Changes the terms of an account in place, or resolves to false; the choice depends on `terms` alone, so that a run repeats. */
  setTerms(id: AccountId, terms: Terms): Promise<boolean>;
  close(): Promise<void>;
}

/** More usage than one run can book. */
const ALL = 10_000;

function makeStoreSubject(opened: PropertyStore, nextBatch: () => string): LedgerSubject {
  return {
    execute: (commands, nowMs) => {
      opened.clock.set(nowMs);
      return opened.store.execute(nextBatch(), commands, 0);
    },
    makeAccounts: (accounts) => opened.makeAccounts(accounts),
    accounts: (ids) => opened.store.accounts(ids),
    reservation: (id) => opened.store.reservation(id),
    usage: (tenantId) => opened.store.usageEvents({ tenantId, limit: ALL }),
    setTerms: (id, terms) => opened.setTerms(id, terms),
  };
}

/**
 * Plays random scripts in random batches against a store and the model: outcomes, balances and states read back through the ports agree
 * after every batch, and the store's own verification finds nothing at the end.
 */
export function describeLedgerProperty(name: string, makeStore: () => Promise<PropertyStore>, options: { readonly runs: number }): void {
  describe(`random batches of commands on ${name} come to what the specification says`, () => {
    let opened: PropertyStore;
    beforeAll(async () => {
      opened = await makeStore();
    });
    afterAll(async () => {
      await opened.close();
    });

    test('after every batch, and by its own journal at the end', { timeout: 3_600_000 }, async () => {
      const seed = seedOf();
      const numRuns = runsOf(options.runs);
      console.log(`ledger property on ${name}: ${numRuns} runs, seed ${seed}`);
      let runs = 0;
      let batches = 0;
      const subject = makeStoreSubject(opened, () => `property_batch_${(batches += 1)}`);
      const play = async (script: Script): Promise<void> => {
        // Every run, those that shrink a failure too, has a tenant of its own and a later time, as a store has no way back.
        runs += 1;
        const endMs = await runScript(subject, script, { tenantId: `property-${runs}`, startMs: opened.clock.nowMs() });
        opened.clock.set(endMs + 1);
        if (runs % 2 === 0) await opened.store.foldUsage(ALL);
      };
      const examples = REMEMBERED_SCRIPTS.map((script): [Script] => [script]);
      await fc.assert(fc.asyncProperty(scripts({ batches: 30, batchSize: 8 }), play), { seed, numRuns, examples });

      const verification = await opened.store.verify();
      expect(verification.discrepancies).toEqual([]);
      expect([verification.accounts > 0, verification.entries > 0, verification.reservations > 0]).toEqual([true, true, true]);
    });
  });
}
