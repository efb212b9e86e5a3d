import { expect, test } from 'vitest';
import { accepted, CONFIG_IMAGE as IMAGE, withTop } from '../../../../test/support/container-config.ts';
import { declaredNames, deploymentWarnings } from './declared-names.ts';

const { config } = accepted(
  withTop({
    containers: [
      { name: 'a', image: IMAGE, env: ['TOKEN', 'REGION', { MODE: 'fast' }], secrets: ['KEY'] },
      { name: 'b', image: IMAGE, env: ['REGION'], secrets: ['KEY', 'API_KEY'] },
    ],
  }),
);

test('names that any container asks for are there once, and not those with fixed values', () => {
  expect(declaredNames(config)).toStrictEqual({ variables: ['REGION', 'TOKEN'], secrets: ['API_KEY', 'KEY'] });
});

test('what is given and reaches nobody, and what is asked for and not given, is told of', () => {
  const given = { variables: ['TOKEN', 'MODE', 'OTHER', '__proto__'], secrets: ['KEY', 'kebab-name'] };
  expect(deploymentWarnings(config, given)).toStrictEqual([
    'variables.MODE: has no effect: the configuration fixes its value',
    'variables.OTHER: reaches no container: none names it in its env',
    'variables.__proto__: reaches no container: none names it in its env',
    'secrets.kebab-name: reaches no container: none names it in its secrets',
    'variables.REGION: is not given, and containers that name it start without it',
    'secrets.API_KEY: is not given, and containers that name it start without it',
  ]);
});
