import { makeSqliteStore } from './sqlite-store.ts';
import { describeStore } from './store-suite.ts';

describeStore('SQLite', makeSqliteStore);
