import { describe } from 'vitest';
import { testFaults } from './fault-suite.ts';

describe('every fault of upstreams and callers on SQLite', () => {
  testFaults(() => Promise.resolve({ kind: 'sqlite' }));
});
