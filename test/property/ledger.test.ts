import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../src/core/rejection.ts';
import type { Command } from '../../src/core/verbs.ts';
import type { Changes } from '../../src/core/working-set.ts';
import { START_MS } from '../support/ledger-fixtures.ts';
import { MemoryLedger } from '../support/ledger-memory.ts';
import { expectLaws, expectSettledAnswer } from './laws.ts';
import { scripts } from './random-scripts.ts';
import { REMEMBERED_SCRIPTS } from './remembered-scripts.ts';
import { runsOf, seedOf } from './runs.ts';
import { runScript, type LedgerSubject } from './run-script.ts';
import type { Script } from './script.ts';

/** The decisions over plain maps, with every law checked after every batch. */
function makeMemorySubject(tally: Map<string, number>): LedgerSubject {
  const ledger = new MemoryLedger();
  let changes: Changes | undefined;
  return {
    execute: (commands, nowMs) => {
      const result = ledger.batch(commands, nowMs);
      ({ changes } = result);
      return Promise.resolve({ outcomes: result.outcomes, nowMs });
    },
    makeAccounts: (accounts) => {
      for (const account of accounts) ledger.putAccount(account);
      return Promise.resolve();
    },
    setTerms: (id, terms) => {
      ledger.putAccount({ ...ledger.account(id), ...terms });
      return Promise.resolve(true);
    },
    accounts: () => Promise.resolve(ledger.accounts),
    reservation: (id) => Promise.resolve(ledger.reservations.get(id)),
    usage: () => Promise.resolve(ledger.usage),
    afterBatch: ({ commands, outcomes, isQuiet }) => {
      for (const [index, command] of commands.entries()) count(tally, command, outcomes[index]);
      expectLaws(ledger);
      for (const [index, command] of commands.entries())
        expectAnswer(ledger, command, { outcome: outcomes[index], isAlone: commands.length === 1 && !isQuiet });
      if (isQuiet && changes !== undefined) {
        const written = Object.values<readonly unknown[]>({ ...changes }).flat();
        expect(written, 'L5: what is refused or answered again changes nothing').toEqual([]);
      }
    },
  };
}

function count(tally: Map<string, number>, command: Command, outcome: Outcome<unknown> | undefined): void {
  const name = `${command.verb} ${outcome?.ok === false ? outcome.rejection.code : 'ok'}`;
  tally.set(name, (tally.get(name) ?? 0) + 1);
}

/** L3 after a hold that was alone in its batch, and L6 for what a settlement answered. */
function expectAnswer(
  ledger: MemoryLedger,
  command: Command,
  { outcome, isAlone }: { outcome: Outcome<unknown> | undefined; isAlone: boolean },
): void {
  if (outcome?.ok !== true) return;
  if (command.verb === 'commit' || command.verb === 'release') {
    expectSettledAnswer(ledger.reservation(command.reservationId), outcome.value as { charged?: string; released: string });
  }
  if (command.verb === 'reserve' && isAlone) {
    for (const { accountId } of ledger.reservation(command.reservationId).legs) {
      const { allocated, spent, reserved, debt } = ledger.account(accountId);
      if (allocated !== null)
        expect(allocated - spent - reserved - debt >= 0n, `L3: ${accountId} was admitted beyond what remained`).toBe(true);
    }
  }
}

const play = async (script: Script, tally: Map<string, number>): Promise<void> => {
  await runScript(makeMemorySubject(tally), script, { tenantId: 'acme', startMs: START_MS });
};

const SHAPES = [
  { batches: 120, batchSize: 1, runs: 700 },
  { batches: 30, batchSize: 8, runs: 500 },
];

describe('random commands come to what the specification says, and every law holds after every batch', () => {
  test('one after another, and in batches of up to eight', { timeout: 3_600_000 }, async () => {
    const seed = seedOf();
    const tally = new Map<string, number>();
    const examples = REMEMBERED_SCRIPTS.map((script): [Script] => [script]);
    for (const { batches, batchSize, runs } of SHAPES) {
      const numRuns = runsOf(runs);
      console.log(`ledger property in batches of up to ${batchSize}: ${numRuns} runs, seed ${seed}`);
      const property = fc.asyncProperty(scripts({ batches, batchSize }), (script) => play(script, tally));
      await fc.assert(property, { seed, numRuns, examples });
    }
    const missing = EXPECTED_OUTCOMES.filter((name) => !tally.has(name));
    expect(missing, 'the generator no longer reaches these').toEqual([]);
  });
});

/** What the random commands must come to at least once each, else the generator proves less than it says. */
const EXPECTED_OUTCOMES = [
  ...['ok', 'idempotency_mismatch', 'tenant_closed', 'tenant_suspended', 'budget_not_found', 'unit_mismatch', 'budget_required'].map(
    (code) => `reserve ${code}`,
  ),
  ...['budget_frozen', 'budget_closed', 'over_limit', 'debt_outstanding', 'amount_out_of_range', 'budget_exceeded'].map(
    (code) => `reserve ${code}`,
  ),
  ...['cap_exceeded', 'window_exceeded', 'held'].map((code) => `reserve ${code}`),
  ...['ok', 'idempotency_mismatch', 'reservation_not_found', 'tenant_closed', 'reservation_expired'].map((code) => `commit ${code}`),
  ...['reservation_finalized', 'unit_mismatch', 'amount_out_of_range', 'budget_exceeded', 'over_limit'].map((code) => `commit ${code}`),
  ...['ok', 'idempotency_mismatch', 'reservation_not_found', 'tenant_closed', 'reservation_expired', 'reservation_finalized'].map(
    (code) => `release ${code}`,
  ),
  ...['ok', 'idempotency_mismatch', 'reservation_not_found', 'tenant_closed', 'reservation_expired'].map((code) => `extend ${code}`),
  ...['reservation_finalized', 'max_extensions_exceeded'].map((code) => `extend ${code}`),
  ...['ok', 'idempotency_mismatch', 'tenant_closed', 'tenant_suspended', 'amount_out_of_range', 'budget_not_found'].map(
    (code) => `debit ${code}`,
  ),
  ...['unit_mismatch', 'budget_frozen', 'budget_closed', 'budget_exceeded', 'over_limit'].map((code) => `debit ${code}`),
  ...['ok', 'idempotency_mismatch', 'tenant_closed', 'budget_not_found', 'budget_frozen', 'budget_closed', 'conflict'].map(
    (code) => `fund ${code}`,
  ),
  ...['amount_out_of_range', 'budget_exceeded'].map((code) => `fund ${code}`),
  ...['ok', 'tenant_closed', 'amount_out_of_range', 'budget_frozen', 'budget_closed'].map((code) => `allocate ${code}`),
  'expire ok',
  'keep-call ok',
  'settle-call ok',
  'settle-call reservation_not_found',
];
