import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DATABASE_FILE } from '../../stores/sqlite/connection.ts';
import { ConfigError } from '../config-error.ts';

/** Where a restore puts a database until it is whole, and nothing else ever stands. */
export const restoringFile = (dataDir: string): string => join(dataDir, `${DATABASE_FILE}.restoring`);

/** Refuses a start on a folder in which a restore was not finished: it would begin anew beside what was to be restored. */
export function refuseUnfinishedRestore(dataDir: string): void {
  if (!existsSync(restoringFile(dataDir))) return;
  throw new ConfigError(
    `A restore into ${dataDir} was not finished: run castellan restore again, or remove ${restoringFile(dataDir)} to start without what it would have brought.`,
  );
}
