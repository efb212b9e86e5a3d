import { expect, test } from 'vitest';
import { findDefects } from './find-defects.ts';

const find = (text: string, env: NodeJS.ProcessEnv = {}): string[] => findDefects({ text, path: 'c.yaml', env });

test('a file without defects has none', () => {
  expect(find('upstreams: [{ id: a, base_url: "http://127.0.0.1:1/v1" }]')).toEqual([]);
  expect(find('')).toEqual([]);
});

test('every defect is told, each with its line, and nothing that only follows from another', () => {
  const defects = find(
    [
      'gateway: { drain_ms: soon, colour: red }',
      'upstreams:',
      '  - { id: a, base_url: "ftp://x" }',
      '  - { id: b, base_url: "http://127.0.0.1:1/v1", timeout_ms: 1 }',
      '  - { id: b, base_url: "http://127.0.0.1:2/v1" }',
      'models:',
      '  - { id: m, upstreams: [{ id: a }] }',
      '  - { id: n, upstreams: [{ id: nowhere }] }',
      'tenants:',
      '  - { id: acme, members: [{ id: ann, email: nobody }] }',
    ].join('\n'),
  );
  const lines = defects.map((text) => text.replace(/^c\.yaml:(\d+): (\S+) .*$/, '$1 $2'));
  expect(lines.toSorted()).toEqual(
    [
      '1 gateway.colour',
      '1 gateway.drain_ms',
      '3 upstreams[0].base_url',
      '4 upstreams[1].timeout_ms',
      '5 upstreams[2].id',
      '8 models[1].upstreams[0].id',
      '10 tenants[0].members[0].email',
    ].toSorted(),
  );
});

test('variables that are not set are told, each', () => {
  const defects = find('upstreams:\n  - { id: a, base_url: "${ONE}", api_key: "${TWO}" }');
  expect(defects).toHaveLength(2);
  expect(defects.join()).toMatch(/ONE.*TWO/);
});

test('of a file that is no YAML, each line is told', () => {
  expect(find('a: [1\nb: }\n').length).toBeGreaterThan(0);
  expect(find('a: [1\nb: }\n')[0]).toMatch(/^c\.yaml:\d+: the file is not valid YAML/);
});
