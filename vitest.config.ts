import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// What Node itself loads, the threads of a store first of all, is stripped of its types and compiled once instead of every time.
process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), 'castellan-test-compile-cache');

const never = ['**/node_modules/**', 'test/bench/**'];

/** Files that put something of their own in the place of a module of Node: no other file may see it. */
const replacing = ['src/stores/sqlite/log-flusher.test.ts', 'test/contract/sqlite-power-loss.test.ts'];

/** Kinds of tests that start and kill processes, or fill disks and memory: one that dies takes no other file with it. */
const alone = ['test/{backup,contract,crash,e2e,faults,property,race}/**/*.test.ts', ...replacing];

/**
 * One run over everything: unit tests beside the code, all other kinds under `test/`.
 *
 * Files run in forked processes, four at a time on the two processors of the smallest machine that the run is planned for, since many
 * wait for processes that they start. Most share theirs with other files, which then load the program once: no module of it keeps state.
 * The others have a process each.
 */
export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: { name: 'shared', isolate: false, include: ['src/**/*.test.ts', 'test/**/*.test.ts'], exclude: [...never, ...alone] },
      },
      { extends: true, test: { name: 'alone', isolate: true, include: alone, exclude: never } },
    ],
    environment: 'node',
    globalSetup: 'test/support/global-setup.ts',
    pool: 'forks',
    maxWorkers: 4,
    testTimeout: 30_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    // A filter that matches nothing is a mistake, not a pass.
    passWithNoTests: false,
    allowOnly: false,
  },
});
