import { expect, test } from 'vitest';
import type { TellEventsCommand } from '../../core/events/commands.ts';
import type { Command } from '../../core/verbs.ts';
import { makeDenialRecorder, type Denial } from './record-denial.ts';

function makeSubject(fails = false) {
  const commands: TellEventsCommand[] = [];
  let nowMs = 0;
  let serial = 0;
  const warnings: string[] = [];
  const log = {
    debug: () => undefined,
    info: () => undefined,
    error: () => undefined,
    warn: (_: unknown, text: string) => void warnings.push(text),
  };
  const recorder = makeDenialRecorder({
    writer: {
      execute: (command: Command) => {
        if (fails) return Promise.reject(new Error('full'));
        commands.push(command as TellEventsCommand);
        return Promise.resolve({ ok: true, value: 0 }) as never;
      },
    },
    ids: { next: (prefix) => `${prefix}_${(serial += 1)}` },
    log,
    elapsedMs: () => nowMs,
  });
  const told = () =>
    commands.flatMap(({ tenantId, tellings }) => tellings.map(({ data }): Record<string, unknown> => ({ tenantId, ...(data as object) })));
  return { recorder, commands, told, warnings, advance: (ms: number) => void (nowMs += ms) };
}

const denial = (parts: Partial<Denial> = {}): Denial => ({
  tenantId: 'acme',
  scope: 'tenant:acme/app:bot',
  unit: 'TOKENS',
  reasonCode: 'BUDGET_EXCEEDED',
  requestedAmount: 2n ** 60n,
  remaining: -5n,
  ...parts,
});

test('a denial is told with what was asked and what was left, exact', async () => {
  const { recorder, commands } = makeSubject();
  recorder.record(denial({ action: { kind: 'llm' }, subject: { tenant: 'acme' }, policyId: 'pol_1' }));
  await recorder.close();
  expect(commands).toMatchObject([
    {
      verb: 'tell-events',
      tenantId: 'acme',
      tellings: [
        {
          type: 'reservation.denied',
          scope: 'tenant:acme/app:bot',
          data: {
            scope: 'tenant:acme/app:bot',
            unit: 'TOKENS',
            reason_code: 'BUDGET_EXCEEDED',
            requested_amount: '1152921504606846976',
            remaining: '-5',
            action: { kind: 'llm' },
            subject: { tenant: 'acme' },
            policy_id: 'pol_1',
          },
        },
      ],
    },
  ]);
});

test('ten of one kind in a second are told singly, the rest as one with their number, and the next second begins anew', async () => {
  const { recorder, told, advance } = makeSubject();
  for (let i = 0; i < 25; i++) recorder.record(denial());
  recorder.record(denial({ reasonCode: 'BUDGET_FROZEN' }));
  advance(1000);
  recorder.record(denial());
  await recorder.close();
  const counts = told().map(({ reason_code: code, count }) => [code, count]);
  expect(counts.filter(([code, count]) => code === 'BUDGET_EXCEEDED' && count === undefined)).toHaveLength(11);
  expect(counts).toContainEqual(['BUDGET_EXCEEDED', 15]);
  expect(counts).toContainEqual(['BUDGET_FROZEN', undefined]);
});

test('tenants and scopes are told apart, and no number of scopes buys more than a thousand events a second', async () => {
  const { recorder, told } = makeSubject();
  for (let i = 0; i < 5000; i++) recorder.record(denial({ scope: `tenant:acme/agent:a${i}` }));
  recorder.record(denial({ tenantId: 'other' }));
  await recorder.close();
  expect(told().filter(({ count }) => count === undefined)).toHaveLength(1000);
  expect(
    told()
      .filter(({ count }) => count !== undefined)
      .map(({ tenantId, count }) => [tenantId, count]),
  ).toEqual([
    ['acme', 4000],
    ['other', 1],
  ]);
});

test('a store that fails costs a warning, never the caller', async () => {
  const { recorder, warnings } = makeSubject(true);
  recorder.record(denial());
  await recorder.close();
  expect(warnings).toEqual(['denials could not be told']);
});
