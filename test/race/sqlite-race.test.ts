import { describe } from 'vitest';
import { testRaces } from './race-suite.ts';

describe('races on SQLite', () => {
  testRaces({ makeStore: () => Promise.resolve({ kind: 'sqlite' }), processes: 1, deadlocks: () => Promise.resolve(0) });
});
