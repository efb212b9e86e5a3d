import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTestDns, type TestDns } from '../../test/support/dns-server.ts';
import { makeDomainLookup } from './domain-lookup.ts';

let first: TestDns;
let second: TestDns;

beforeEach(async () => {
  [first, second] = await Promise.all([startTestDns(), startTestDns()]);
});
afterEach(async () => void (await Promise.all([first.stop(), second.stop()])));

const lookup = () => makeDomainLookup({ servers: [first.server, second.server], timeoutMs: 200 });

test.each(['silent', 'failing', 'refusing', 'garbled', 'lying'] as const)(
  'after a server that is %s the next one is asked',
  async (mood) => {
    first.mood = mood;
    second.texts.set('a.example.com', ['one', ['t', 'wo']]);
    expect(await lookup().texts('a.example.com')).toEqual(['one', 'two']);
    second.mood = mood;
    await expect(lookup().texts('a.example.com')).rejects.toThrow('DNS of a.example.com');
  },
);

test('a server that says that there is nothing is believed', async () => {
  second.texts.set('a.example.com', ['one']);
  expect([await lookup().texts('a.example.com'), await lookup().alias('a.example.com'), second.asked]).toEqual([[], null, 0]);
});

test('aliases are followed to the texts behind them, and a circle of them is none', async () => {
  first.aliases.set('a.example.com', 'b.example.com');
  first.aliases.set('b.example.com', 'C.example.com');
  first.texts.set('c.example.com', ['found']);
  expect([await lookup().texts('a.example.com'), await lookup().alias('b.example.com')]).toEqual([['found'], 'c.example.com']);
  first.texts.clear();
  first.aliases.set('c.example.com', 'a.example.com');
  expect(await lookup().texts('a.example.com')).toEqual([]);
});
