import { makeSqliteStore } from '../contract/sqlite-store.ts';
import { describeDelivery } from './delivery-suite.ts';
import { describeReplays } from './replay-suite.ts';

describeDelivery('SQLite', makeSqliteStore);
describeReplays('SQLite', makeSqliteStore);
