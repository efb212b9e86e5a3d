import { describe } from 'vitest';
import { testCrashes } from './crash-suite.ts';

describe('killed on SQLite', () => {
  testCrashes(() => Promise.resolve({ kind: 'sqlite' }));
});
