import { expect, test } from 'vitest';
import { SPEEDS_SETTING } from '../../core/access/decide-speeds.ts';
import { SYSTEM_TENANT } from '../../core/records.ts';
import { runBatch } from '../../core/run-batch.ts';
import type { Command } from '../../core/verbs.ts';
import { WorkingSet } from '../../core/working-set.ts';
import { SPEED_LASTS_MS } from '../../core/routing/speed.ts';
import type { CommandWriter } from './call-types.ts';
import { makeKeptSpeeds, type KeptSpeeds } from './keep-speeds.ts';
import { makeUpstreamSpeeds, type UpstreamSpeeds } from './upstream-speeds.ts';

const SAMPLE = { firstTokenMs: 10, outputTokens: 10, outputMs: 100 };
const KNOWN = { firstTokenMs: 10, tokensPerSecond: 100 };

/** Nodes that share one store in memory, each with speeds of its own. */
function makeStore() {
  const rows = new WorkingSet();
  rows.putRecord('setting', SPEEDS_SETTING, undefined);
  rows.putRecord('tenant', SYSTEM_TENANT, undefined);
  const at = { nowMs: 1_000_000, writes: 0, isAway: false };
  const execute = async (command: Command): Promise<unknown> => {
    if (at.isAway) throw new Error('the store is away');
    at.writes += 1;
    return runBatch(rows, [command], at.nowMs)[0];
  };
  const node = (): UpstreamSpeeds & KeptSpeeds => {
    const speeds = makeUpstreamSpeeds({ clock: { nowMs: () => at.nowMs } });
    const records = { record: async () => rows.record('setting', SPEEDS_SETTING) } as unknown as Parameters<
      typeof makeKeptSpeeds
    >[0]['records'];
    const writer = { execute } as unknown as Pick<CommandWriter, 'execute'>;
    return { ...speeds, ...makeKeptSpeeds({ speeds, writer, records, ids: { next: (prefix) => `${prefix}_${at.writes}` } }) };
  };
  return { at, node };
}

test('what one node measured, another knows after it was kept', async () => {
  const { at, node } = makeStore();
  const [one, other] = [node(), node()];
  one.note('u1', 'm', SAMPLE);
  other.note('u2', 'm', SAMPLE);
  await one.save();
  await other.save();
  const third = node();
  await third.load();
  expect(third.speedsOf('m')('u1')).toMatchObject(KNOWN);
  expect(third.speedsOf('m')('u2')).toMatchObject(KNOWN);
  expect(third.speedsOf('n')('u1')).toBeNull();
  expect(at.writes).toBe(2);
});

test('the newer measure stands, whoever writes last', async () => {
  const { at, node } = makeStore();
  const [early, late] = [node(), node()];
  early.note('u', 'm', SAMPLE);
  at.nowMs += 1000;
  late.note('u', 'm', { ...SAMPLE, firstTokenMs: 20 });
  await late.save();
  await early.save();
  await early.load();
  expect(early.speedsOf('m')('u')).toMatchObject({ firstTokenMs: 20 });
});

test('nothing is written unless an answer came in, and what could not be written is written later', async () => {
  const { at, node } = makeStore();
  const one = node();
  await one.save();
  expect(at.writes).toBe(0);
  one.note('u', 'm', SAMPLE);
  at.isAway = true;
  await expect(one.save()).rejects.toThrow('the store is away');
  at.isAway = false;
  await one.save();
  await one.save();
  expect(at.writes).toBe(1);
});

test('what is older than an hour is neither known nor kept', async () => {
  const { at, node } = makeStore();
  const one = node();
  one.note('u', 'm', SAMPLE);
  at.nowMs += SPEED_LASTS_MS + 1;
  expect(one.speedsOf('m')('u')).toBeNull();
  one.note('v', 'm', SAMPLE);
  await one.save();
  const other = node();
  at.nowMs -= SPEED_LASTS_MS;
  await other.load();
  expect(other.speedsOf('m')('u')).toBeNull();
  expect(other.speedsOf('m')('v')).toMatchObject(KNOWN);
});
