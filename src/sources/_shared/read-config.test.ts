import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkConfig } from '../../core/containers/config/check-config.ts';
import { makeConfigReader } from './read-config.ts';

const reader = makeConfigReader();
const read = (text: string) => reader.read(text);
const NUMBER = 'must be a number in decimal digits without leading zeros; put it in quotes if it is a text';
const NESTED = 'must not be nested more than 20 deep';
const TOO_MUCH = 'must have at most 65536 words, marks and backslashes';
const MIB = 1024 * 1024;

test.each<readonly [string, unknown]>([
  ['', null],
  ['# nothing', null],
  ['---\na: 1\n...\n', { a: 1 }],
  ['\ufeffa: 1', { a: 1 }],
  ['a: [1, -2.5, true, null, "x"]', { a: [1, -2.5, true, null, 'x'] }],
  ['a: |\n  [[\n  ]]]\n', { a: '[[\n]]]\n' }],
  ['a: "]"', { a: ']' }],
  // Words that older YAML takes for true and false, for a time, for a number of base 60.
  ['a: yes\nb: no\nc: on\nd: 2020-01-01\ne: 22:22', { a: 'yes', b: 'no', c: 'on', d: '2020-01-01', e: '22:22' }],
  ['1: a\ntrue: b', { 1: 'a', true: 'b' }],
  ['a: 1e3', { a: 1000 }],
  ['a: 9007199254740991', { a: 9007199254740991 }],
  ['a: 1_000', { a: '1_000' }],
])('%j is read', (text, value) => {
  expect(read(text)).toStrictEqual({ ok: true, value });
});

test('what is written in fields of texts is taken letter by letter', () => {
  const text =
    'cvm-version: 0.10\nenv: [{A: 1.10}, {B: 0644}, {C: True}, {D: 0x1f}, {E: .nan}, F, {G: ~}]\ncommand: [--port, 8080, "1"]\nuser: 0100';
  expect(read(text)).toStrictEqual({
    ok: true,
    value: {
      'cvm-version': '0.10',
      env: [{ A: '1.10' }, { B: '0644' }, { C: 'True' }, { D: '0x1f' }, { E: '.nan' }, 'F', { G: null }],
      command: ['--port', '8080', '1'],
      user: '0100',
    },
  });
});

test('names that mean something to objects are names like any other', () => {
  const result = read('a: {__proto__: {x: 1}, constructor: 2}');
  expect(result.ok && JSON.stringify(result.value)).toBe('{"a":{"__proto__":{"x":1},"constructor":2}}');
  expect(({} as { x?: number }).x).toBeUndefined();
});

describe('refused with its place', () => {
  test.each<readonly [string, string, string]>([
    ['a: &x 1', 'a', 'must not have an anchor (`&name`)'],
    ['&x a: 1', 'tinfoil-config.yml', 'must have names of fields without anchors and tags'],
    ['a: &x {}\nb: *x', 'b', 'must not be an alias (`*name`): write the value out'],
    ['a: *gone', 'a', 'must not be an alias (`*name`): write the value out'],
    ['*gone : 1', 'tinfoil-config.yml', 'is not valid YAML at line 1, column 1: With stringKeys, all keys must be strings'],
    ['a: {<<: {b: 1}}', 'a', 'must not have a merge key (`<<`): write the fields out'],
    ['a:\n  "<<": 1', 'a', 'must not have a merge key (`<<`): write the fields out'],
    ['a: [!!js/function "x"]', 'a[0]', 'must not have a tag (`!name`)'],
    ['a: !!binary aGk=', 'a', 'must not have a tag (`!name`)'],
    ['a: !!str 5', 'a', 'must not have a tag (`!name`)'],
    ['a: !custom {}', 'a', 'must not have a tag (`!name`)'],
    ['a: 1\nb: {c: 1, "c": 2}', 'b.c', 'is there twice'],
    ['1: a\n"1": b', '1', 'is there twice'],
    ['a: 0644', 'a', NUMBER],
    ['a: 0o17', 'a', NUMBER],
    ['a: 0x1f', 'a', NUMBER],
    ['a: .nan', 'a', NUMBER],
    ['a: -.inf', 'a', NUMBER],
    ['a: 1e400', 'a', NUMBER],
    ['a: +5', 'a', NUMBER],
    ['a: 9007199254740993', 'a', 'is too large a number'],
    ['a: 123456789012345678901234567890', 'a', 'is too large a number'],
    ['%YAML 1.1\n---\na: yes', 'tinfoil-config.yml', 'must not have directives (`%NAME`)'],
    ['%TAG !e! tag:example,2000:\n---\na: 1', 'tinfoil-config.yml', 'must not have directives (`%NAME`)'],
    ['a: \u0000', 'tinfoil-config.yml', 'must not hold control characters'],
    ['a: "\u001b[0m"', 'tinfoil-config.yml', 'must not hold control characters'],
    ['a: [1]]', 'tinfoil-config.yml', 'is not valid YAML: a bracket is closed that was not opened'],
  ])('%j', (text, path, rule) => {
    expect(read(text)).toMatchObject({ ok: false, violations: expect.arrayContaining([{ path, rule }]) as unknown });
  });

  test('a second document', () => {
    expect(read('a: 1\n---\na: 2\n')).toMatchObject({
      ok: false,
      violations: [{ path: 'tinfoil-config.yml', rule: expect.stringContaining('multiple documents') as unknown }],
    });
  });

  test('a mistake in YAML is told with its line', () => {
    expect(read('a: 1\nb: "x\n')).toMatchObject({
      ok: false,
      violations: [
        {
          path: 'tinfoil-config.yml',
          rule: expect.stringMatching(/^is not valid YAML at line \d+, column \d+: Missing closing/) as unknown,
        },
      ],
    });
  });

  test('names that are not texts', () => {
    expect(read('? [a]\n: 1')).toMatchObject({ ok: false });
  });

  test('all of them and not the first', () => {
    const result = read('a: &x 1\nb: *x\nc: 0644\nc: 1');
    expect(result.ok ? [] : result.violations.map(({ path }) => path)).toStrictEqual(['a', 'b', 'c', 'c']);
  });
});

describe('texts that are made to cost much are refused early', () => {
  const lines = (count: number, line: (n: number) => string): string => Array.from({ length: count }, (_, n) => line(n)).join('');
  test.each<readonly [string, string, string]>([
    ['more than a mebibyte', `a: ${'x'.repeat(MIB)}`, 'must be at most 1 MiB'],
    ['more than a mebibyte in bytes', `a: ${'ü'.repeat(MIB / 2)}`, 'must be at most 1 MiB'],
    ['lists in lists', '['.repeat(MIB), NESTED],
    ['maps in maps', '{a: '.repeat(MIB / 4), NESTED],
    ['lists by marks', '- '.repeat(20_000), NESTED],
    ['closing brackets', ']'.repeat(MIB), 'is not valid YAML: a bracket is closed that was not opened'],
    ['fields', lines(90_000, (n) => `k${n}: 1\n`), TOO_MUCH],
    ['anchors', '&a '.repeat(MIB / 3), TOO_MUCH],
    ['commas', `[${','.repeat(MIB - 1)}`, TOO_MUCH],
    ['bad escapes', `"${'\\x'.repeat(MIB / 2 - 1)}`, TOO_MUCH],
  ])('%s', (_, text, rule) => {
    expect(read(text)).toMatchObject({ ok: false, violations: expect.arrayContaining([{ path: 'tinfoil-config.yml', rule }]) as unknown });
  });

  test('aliases that grow to billions of values are never followed', () => {
    const text = `a0: &a0 [x, x]\n${lines(40, (n) => `a${n + 1}: &a${n + 1} [*a${n}, *a${n}]\n`)}`;
    const result = read(text);
    expect(result.ok ? 0 : result.violations.length).toBeGreaterThan(80);
  });

  test('lines that nest ever deeper', () => {
    expect(read(lines(100, (n) => `${' '.repeat(n)}a:\n`))).toMatchObject({ ok: false, violations: [{ rule: NESTED }] });
  });

  test('a mebibyte of one text is read', () => {
    const text = 'x'.repeat(MIB - 10);
    expect(read(`a: "${text}"`)).toStrictEqual({ ok: true, value: { a: text } });
  });
});

test('the example of the documentation is a good configuration', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/containers.md'), 'utf8');
  const example = /```yaml\n([^]*?)```/.exec(page)?.[1] ?? '';
  const result = read(example);
  if (!result.ok) throw new Error(JSON.stringify(result.violations));
  const checked = checkConfig(result.value);
  if (!checked.ok) throw new Error(JSON.stringify(checked.violations));
  expect(checked.config.units.map(({ name, command, networks }) => ({ name, command, networks }))).toStrictEqual([
    { name: 'web', command: ['serve', '--port', '8080'], networks: ['inner', 'out'] },
    { name: 'store', command: null, networks: ['inner'] },
  ]);
  expect(checked.runsTwice).toBe(false);
  expect(checked.warnings).toHaveLength(1);
});
