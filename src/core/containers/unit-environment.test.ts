import { expect, test } from 'vitest';
import { accepted, withUnit, type Fields } from '../../../test/support/container-config.ts';
import { unitEnvironment } from './unit-environment.ts';

type Given = Readonly<Record<string, string>>;
type Pairs = readonly string[];

const rows: readonly (readonly [string, Fields, Given, Given, Pairs, readonly string[]])[] = [
  ['a name alone takes the variable', { env: ['A'] }, { A: '1' }, {}, ['A=1'], []],
  ['an empty variable is given as it is', { env: ['A'] }, { A: '' }, {}, ['A='], []],
  ['a name without a variable is left out', { env: ['A'] }, {}, {}, [], ['web: the variable A is declared and was not given']],
  [
    'what objects have by themselves is no variable',
    { env: ['constructor'] },
    {},
    {},
    [],
    ['web: the variable constructor is declared and was not given'],
  ],
  ['a variable called __proto__ is one', { env: ['__proto__'] }, Object.fromEntries([['__proto__', 'x']]), {}, ['__proto__=x'], []],
  ['a fixed value wins over the variable', { env: [{ A: 'fixed' }] }, { A: 'given' }, {}, ['A=fixed'], []],
  ['an empty fixed value too', { env: [{ A: '' }] }, { A: 'given' }, {}, ['A='], []],
  ['what nobody declares is dropped', { env: ['A'] }, { A: '1', B: '2' }, { C: '3' }, ['A=1'], []],
  ['a secret that both name arrives', { secrets: ['KEY'] }, {}, { KEY: 's' }, ['KEY=s'], []],
  [
    'a secret that the deployment does not name is left out',
    { secrets: ['KEY'] },
    {},
    { OTHER: 's' },
    [],
    ['web: the secret KEY is declared and was not given'],
  ],
  ['an empty secret is left out', { secrets: ['KEY'] }, {}, { KEY: '' }, [], ['web: the secret KEY is declared and was not given']],
  ['a secret is no variable', { env: ['KEY'] }, {}, { KEY: 's' }, [], ['web: the variable KEY is declared and was not given']],
  ['a variable is no secret', { secrets: ['KEY'] }, { KEY: 'v' }, {}, [], ['web: the secret KEY is declared and was not given']],
  [
    'a variable hides a secret of its name',
    { env: ['KEY'], secrets: ['KEY'] },
    { KEY: 'v' },
    { KEY: 's' },
    ['KEY=v'],
    ['web: the secret KEY is hidden by a variable of that name'],
  ],
  ['a variable stands in for a secret that is not given', { env: ['KEY'], secrets: ['KEY'] }, { KEY: 'v' }, {}, ['KEY=v'], []],
  [
    'a secret arrives where the variable of its name has no value',
    { env: ['KEY'], secrets: ['KEY'] },
    {},
    { KEY: 's' },
    ['KEY=s'],
    ['web: the variable KEY is declared and was not given'],
  ],
];

test.each(rows)('%s', (_, fields, variables, secrets, pairs, warnings) => {
  const [unit] = accepted(withUnit(fields)).config.units;
  if (unit === undefined) throw new Error('no unit');
  const environment = unitEnvironment(unit, { variables, secrets: new Map(Object.entries(secrets)) });
  expect(environment.env.map(({ name, value }) => `${name}=${value}`)).toStrictEqual(pairs);
  expect(environment.warnings).toStrictEqual(warnings);
});
