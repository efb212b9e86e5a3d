import { makeSqliteStore } from '../contract/sqlite-store.ts';
import { describeCyclesProperty } from './describe-cycles-property.ts';

describeCyclesProperty('SQLite', (clock) => makeSqliteStore({ clock }), { runs: 25 });
