import { describe } from 'vitest';
import { testCyclesRaces } from './cycles-race-suite.ts';

describe('reserves that race, on SQLite from 1 process', () => {
  testCyclesRaces({ makeStore: () => Promise.resolve({ kind: 'sqlite' }), processes: 1 });
});
