import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkConfig } from '../../src/core/containers/config/check-config.ts';
import { makeConfigReader } from '../../src/sources/_shared/read-config.ts';
import type { PlainJson } from '../../src/core/json/plain-json.ts';
import { CONFIG_IMAGE as IMAGE, withTop } from '../support/container-config.ts';

describe('for any value', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
  const field = fc.constantFrom(
    'name',
    'image',
    'env',
    'volumes',
    'networks',
    'shim',
    'containers',
    'healthcheck',
    'tmpfs',
    'gpus',
    'paths',
    'models',
    '__proto__',
  );
  const plain = fc.letrec<{ value: PlainJson }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.constant(null), fc.constant(IMAGE)),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.oneof(field, fc.string()), tie('value'), { maxKeys: 6 }),
    ),
  })).value;

  test('the check does not throw, and refuses with violations or accepts with none', () => {
    const part = fc.record({ containers: plain, shim: plain, networks: plain, volumes: plain, models: plain }, { requiredKeys: [] });
    fc.assert(
      fc.property(
        fc.oneof(
          plain,
          part,
          fc.array(plain, { maxLength: 3 }).map((containers) => withTop({ containers })),
        ),
        (value) => {
          const result = checkConfig(value);
          if (!result.ok) expect(result.violations.length).toBeGreaterThan(0);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('a configuration that is made by the rules is accepted, and survives JSON', () => {
    const unit = (names: readonly string[], volumes: readonly string[]) =>
      fc.record(
        {
          command: fc.array(
            fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\u0000')),
            { maxLength: 4 },
          ),
          env: fc
            .uniqueArray(fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,10}$/), { maxLength: 5 })
            .map((all) => all.map((one, n) => (n % 2 === 0 ? one : { [one]: n }))),
          networks: fc.subarray([...names]),
          volumes: fc.subarray([...volumes]).map((all) => all.map((one, n) => `${one}:/v${n}`)),
          memory: fc.integer({ min: 6, max: 1000 }).map((size) => `${size}m`),
          cpus: fc.integer({ min: 1, max: 64 }).map((half) => half / 2),
          tmpfs: fc.constant({ '/tmp': 'size=1m' }),
          restart: fc.constantFrom('no', 'always', 'on-failure:2'),
          healthcheck: fc.record({
            test: fc.constant(['CMD-SHELL', 'true']),
            interval: fc.integer({ min: 1, max: 90 }).map((s) => `${s}s`),
          }),
        },
        { requiredKeys: [] },
      );
    const made = fc
      .record({
        networks: fc.uniqueArray(name, { maxLength: 4 }),
        volumes: fc.uniqueArray(name, { maxLength: 4 }),
        names: fc.uniqueArray(name, { minLength: 1, maxLength: 5 }),
      })
      .chain(({ networks, volumes, names }) =>
        fc
          .tuple(...names.map((one) => unit(networks, volumes).map((fields) => ({ name: one, image: IMAGE, ...fields }))))
          .map((containers) => ({
            networks: Object.fromEntries(networks.map((one) => [one, null])),
            volumes: volumes.map((one) => ({ name: one })),
            containers,
            shim: { 'upstream-port': 80, 'upstream-container': names.at(-1) ?? '' },
          })),
      );
    fc.assert(
      fc.property(made, (value) => {
        const result = checkConfig(value);
        expect(result).toMatchObject({ ok: true });
        expect(JSON.parse(JSON.stringify(result))).toStrictEqual(result);
      }),
      { numRuns: 50 },
    );
  });

  test('a text of anything that YAML has is read to a plain value or refused, and then checked', () => {
    const pieces = [
      'a',
      'env',
      'containers',
      ': ',
      '- ',
      '\n',
      '\n  ',
      '\n    ',
      '[',
      ']',
      '{',
      '}',
      ',',
      '&x ',
      '*x',
      '!t ',
      '<<',
      '"',
      "'",
      '|',
      '>',
      '? ',
    ];
    const piece = fc.constantFrom(
      ...pieces,
      '# ',
      '---\n',
      '%A\n',
      '\t',
      '0x1',
      '1.0',
      '.nan',
      '~',
      '\\',
      '__proto__',
      '\ufeff',
      '\u2028',
      '\ud800',
    );
    const reader = makeConfigReader();
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 25 }), (parts) => {
        const result = reader.read(parts.join(''));
        if (!result.ok) return;
        expect(JSON.stringify(JSON.parse(JSON.stringify(result.value)))).toBe(JSON.stringify(result.value));
        checkConfig(result.value);
      }),
      { numRuns: 2000 },
    );
  });
});
