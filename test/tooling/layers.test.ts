import { globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { inspectLayers } from '../../tools/layers.ts';

const PROJECT = join(import.meta.dirname, '../..');

describe('the project', () => {
  test('every source file under src is seen, and none breaks a rule', async () => {
    const report = await inspectLayers(PROJECT);
    const files = globSync('{src,web}/**/*.{ts,tsx}', { cwd: PROJECT, exclude: ['**/node_modules/**'] });
    expect(report.unseen).toEqual([]);
    expect(report.seenCount).toBe(files.length);
    expect(report.seenCount).toBeGreaterThan(0);
    expect(report.violations).toEqual([]);
  });
});

describe('a planted violation is reported', () => {
  let root = '';
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'castellan-layers-'));
    const packages = { name: 'planted', type: 'module', dependencies: { fastify: '1' }, devDependencies: { vitest: '1' } };
    put('package.json', JSON.stringify(packages));
    for (const name of ['fastify', 'vitest']) {
      put(`node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.0.0', main: 'index.js' }));
      put(`node_modules/${name}/index.js`, 'module.exports = 1;');
    }
    for (const file of [
      'core/money',
      'ports/clock',
      'app/create-key',
      'stores/sqlite/open',
      'stores/postgres/open',
      'stores/_shared/rows',
    ]) {
      put(`src/${file}.ts`, 'export type Thing = string;\nexport const thing = 1;\n');
    }
    put('test/fakes/clock.ts', 'export const thing = 1;\n');
  });
  afterEach(() => {
    rmSync(root, { recursive: true, force: true });
  });

  test.each([
    ['core imports a store', 'src/core/bad.ts', "import { thing } from '../stores/sqlite/open.ts';", 'layer-core'],
    ['core imports a type of a store', 'src/core/bad.ts', "import type { Thing } from '../stores/sqlite/open.ts';", 'layer-core'],
    ['core imports the ports', 'src/core/bad.ts', "import type { Thing } from '../ports/clock.ts';", 'layer-core'],
    ['core imports a Node builtin', 'src/core/bad.ts', "import { readFileSync } from 'node:fs';", 'pure-core'],
    ['core imports a builtin while it runs', 'src/core/bad.ts', "export const load = () => import('node:fs');", 'pure-core'],
    ['core imports a package', 'src/core/bad.ts', "import fastify from 'fastify';", 'pure-core'],
    ['core imports a type of a package', 'src/core/bad.ts', "import type { FastifyInstance } from 'fastify';", 'pure-core'],
    ['ports import a package', 'src/ports/bad.ts', "import fastify from 'fastify';", 'pure-core'],
    ['ports import a use case', 'src/ports/bad.ts', "import type { Thing } from '../app/create-key.ts';", 'layer-ports'],
    ['a use case imports a store', 'src/app/bad.ts', "import { thing } from '../stores/sqlite/open.ts';", 'layer-app'],
    ['the api imports a store', 'src/api/operator/bad.ts', "import { thing } from '../../stores/sqlite/open.ts';", 'layer-api'],
    ['a job imports a store', 'src/jobs/bad.ts', "import { thing } from '../stores/sqlite/open.ts';", 'layer-jobs'],
    ['a store imports a use case', 'src/stores/sqlite/bad.ts', "import { thing } from '../../app/create-key.ts';", 'layer-stores'],
    ['a store imports the other store', 'src/stores/sqlite/bad.ts', "import { thing } from '../postgres/open.ts';", 'siblings-stores'],
    ['what stores share imports one of them', 'src/stores/_shared/bad.ts', "import { thing } from '../sqlite/open.ts';", 'siblings-stores'],
    ['one surface imports another', 'src/api/operator/bad.ts', "import { thing } from '../gateway/surface.ts';", 'siblings-api'],
    ['the client imports core', 'src/client/bad.ts', "import type { Thing } from '../core/money.ts';", 'layer-client'],
    ['a layer without rules', 'src/helpers/bad.ts', "import { thing } from '../core/money.ts';", 'known-layer'],
    ['a leaf in a layer without rules', 'src/server/bad.ts', "import { thing } from '../helpers/leaf.ts';", 'into-known-layer'],
    ['production code imports a test', 'src/app/bad.ts', "import { thing } from '../../test/fakes/clock.ts';", 'no-test-in-src'],
    ['production code imports a unit test', 'src/app/bad.ts', "import { thing } from '../core/money.test.ts';", 'no-test-in-src'],
    ['production code imports a development package', 'src/app/bad.ts', "import { test } from 'vitest';", 'no-dev-package-in-src'],
    ['an import that leads nowhere', 'src/app/bad.ts', "import { thing } from './gone.ts';", 'resolvable'],
    ['the console imports the server', 'web/bad.ts', "import type { Thing } from '../src/core/money.ts';", 'web-sees-client-only'],
  ])('%s', async (_what, path, code, rule) => {
    put('src/api/gateway/surface.ts', 'export const thing = 1;\n');
    put('src/helpers/leaf.ts', 'export const thing = 1;\n');
    put('src/core/money.test.ts', "import { test } from 'vitest';\nexport const thing = test;\n");
    expect((await inspectLayers(root)).violations).toEqual([]);
    put(path, `${code}\nexport const bad = 1;\n`);
    const { violations } = await inspectLayers(root);
    expect(violations.filter(({ from }) => from === path).map((violation) => violation.rule)).toContain(rule);
  });

  test.each([
    ['values', 'import { a } from', 'import { b } from'],
    ['types on one side', 'import { a } from', 'import type { B } from'],
    ['types on both sides', 'import type { A } from', 'import type { B } from'],
    ['inline types', 'import { type A } from', 'import { type B } from'],
  ])('an import cycle of %s', async (_what, importA, importB) => {
    put('src/core/a.ts', `${importB} './b.ts';\nexport type A = number;\nexport const a = 1;\n`);
    put('src/core/b.ts', `${importA} './a.ts';\nexport type B = number;\nexport const b = 1;\n`);
    const { violations } = await inspectLayers(root);
    expect(violations.map((violation) => violation.rule)).toContain('no-cycles');
  });

  test('a cycle over three files and layers', async () => {
    put('src/server/a.ts', "import type { B } from './b.ts';\nexport type A = B;\n");
    put('src/server/b.ts', "import type { C } from './c.ts';\nexport type B = C;\n");
    put('src/server/c.ts', "import type { A } from './a.ts';\nexport type C = A;\n");
    expect((await inspectLayers(root)).violations.map((violation) => violation.rule)).toContain('no-cycles');
  });

  test('and what the rules allow is not', async () => {
    put(
      'src/app/reserve.ts',
      "import type { Thing } from '../ports/clock.ts';\nimport { thing } from '../core/money.ts';\nexport const x: Thing = String(thing);\n",
    );
    put(
      'src/stores/sqlite/good.ts',
      "import { thing } from '../_shared/rows.ts';\nimport fastify from 'fastify';\nexport default [thing, fastify];\n",
    );
    put('src/core/money.test.ts', "import { test } from 'vitest';\nimport { thing } from './money.ts';\ntest(String(thing), () => {});\n");
    put('src/server/main.ts', "import { thing } from '../stores/sqlite/open.ts';\nimport '../app/reserve.ts';\nexport default thing;\n");
    expect(await inspectLayers(root)).toEqual({ violations: [], unseen: [], seenCount: 10 });
  });

  function put(path: string, content: string): void {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
});
