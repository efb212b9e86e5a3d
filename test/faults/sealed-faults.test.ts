import { describe } from 'vitest';
import { testFaults } from './fault-suite.ts';

describe('faults under calls that are sealed for the server, on SQLite', () => {
  testFaults(() => Promise.resolve({ kind: 'sqlite' }), { calls: 800, kills: 1, isSealed: true });
});
