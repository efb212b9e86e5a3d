import { defineConfig } from 'vitest/config';

/**
 * One run over everything: unit tests beside the code, all other kinds under `test/`.
 *
 * Files run in forked processes, because tests open databases, listen and kill children: a file that dies takes no other with it.
 * Two at a time, the size of the smallest machine that the run is planned for.
 */
export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/node_modules/**', 'test/bench/**'],
    environment: 'node',
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
    // A filter that matches nothing is a mistake, not a pass.
    passWithNoTests: false,
    allowOnly: false,
  },
});
