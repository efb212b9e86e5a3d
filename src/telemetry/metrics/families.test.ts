import { expect, test } from 'vitest';
import { CounterFamily, HistogramFamily, ReadFamily } from './families.ts';

test('a counter gives the same cell for the same labels, and each its own series', () => {
  const family = new CounterFamily({ name: 'calls_total', help: 'Calls.', labels: ['model', 'kind'] });
  family.cell('a', 'x').value += 2;
  family.cell('a', 'x').value += 3;
  family.cell('a', 'y').value += 1;
  expect(family.cell('a', 'x')).toBe(family.cell('a', 'x'));
  expect(family.samples()).toEqual([
    { labels: { model: 'a', kind: 'x' }, value: 5 },
    { labels: { model: 'a', kind: 'y' }, value: 1 },
  ]);
});

test('labels that could be read as others are not', () => {
  const family = new CounterFamily({ name: 'calls_total', help: 'Calls.', labels: ['model', 'kind'] });
  family.cell('a,b', 'c').value += 1;
  family.cell('a', 'b,c').value += 1;
  expect(family.samples()).toHaveLength(2);
});

test('a counter without labels is there from the start, in the unit of its name', () => {
  const family = new CounterFamily({ name: 'cost_usd_total', help: 'Cost.', scale: 1e-9 });
  expect(family.samples()).toEqual([{ labels: {}, value: 0 }]);
  family.cell().value += 1_500_000_000;
  expect(family.samples()).toEqual([{ labels: {}, value: 1.5 }]);
});

test('beyond 2,000 series everything new is counted in one', () => {
  const family = new CounterFamily({ name: 'calls_total', help: 'Calls.', labels: ['model', 'tenant'] });
  for (let tenant = 0; tenant < 5000; tenant++) family.cell('m', `t${tenant}`).value += 1;
  const samples = family.samples();
  expect(samples).toHaveLength(2001);
  expect(samples.at(-1)).toEqual({ labels: { model: 'other', tenant: 'other' }, value: 3000 });
  family.cell('m', 't5').value += 1;
  expect(family.cell('m', 't5').value).toBe(2);
});

test('a histogram counts a value in its range and in all above, its bound included', () => {
  const family = new HistogramFamily({ name: 'seconds', help: 'Time.', labels: ['route'], bounds: [1, 2, 5] });
  for (const value of [0.5, 1, 1.5, 5, 7]) family.of('/x').observe(value);
  const bucket = (le: string, value: number) => ({ metricName: 'seconds_bucket', labels: { route: '/x', le }, value });
  expect(family.samples()).toEqual([
    bucket('1', 2),
    bucket('2', 3),
    bucket('5', 4),
    bucket('+Inf', 5),
    { metricName: 'seconds_sum', labels: { route: '/x' }, value: 15 },
    { metricName: 'seconds_count', labels: { route: '/x' }, value: 5 },
  ]);
});

test('what somebody else keeps is read when it is asked for, and is nothing before there is anybody', () => {
  const family = new ReadFamily({ name: 'queue', help: 'Queue.', type: 'gauge' });
  expect(family.samples()).toEqual([]);
  let value = 1;
  family.readFrom(() => value);
  value = 7;
  expect(family.samples()).toEqual([{ labels: {}, value: 7 }]);
});
