import { describe } from 'vitest';
import { testReports } from './report-suite.ts';

describe('reports on SQLite', () => {
  testReports({ makeStore: () => Promise.resolve({ kind: 'sqlite' }), processes: 1 });
});
