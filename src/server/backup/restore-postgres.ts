import { beginImport, type RowPortion } from '../../stores/postgres/copy-tables.ts';
import { inspectSession } from '../../stores/postgres/inspect-postgres.ts';
import { openOneSession } from '../../stores/postgres/one-session.ts';
import { setHeadsAside } from '../audit-heads-file.ts';
import type { KeyRing } from '../secrets/key-ring.ts';
import { TABLES_PREFIX } from './manifest.ts';
import { type Archive, textOf } from './read-archive.ts';
import { BackupRefusal } from './refusal.ts';
import { checkRestored, type RestoredState, type RestoreRequest } from './restore-checks.ts';
import type { TarEntry } from './tar.ts';

/** Restores a PostgreSQL database into one that is empty, in one transaction: until its end there is nothing to start on. */
export async function restorePostgres(
  url: string,
  { archive, ring, request }: { readonly archive: Archive; readonly ring: KeyRing; readonly request: RestoreRequest },
): Promise<RestoredState> {
  const { manifest } = archive;
  const { dataDir, nowMs, onProgress } = request;
  const session = await openOneSession({ url, name: 'castellan restore' });
  try {
    const target = await beginImport(session, { applied: manifest.schema_steps, tables: manifest.tables });
    await archive.readData(async (entry) => target.put(await portionOf(entry)));
    await target.finish();
    const inspection = await inspectSession(session);
    // Of an older schema nothing is looked at here: the next start brings it up to date, and castellan verify tells.
    const isCurrent = inspection.schema.state === 'current';
    const state = isCurrent
      ? await checkRestored(inspection, { manifest, ring, onProgress })
      : { isVerified: false, closed: [], headsAside: null };
    const headsAside = setHeadsAside(dataDir, nowMs);
    await target.commit();
    return { ...state, headsAside };
  } finally {
    // Whatever was not committed is gone with the session.
    await session.close();
  }
}

async function portionOf(entry: TarEntry): Promise<RowPortion> {
  if (!entry.name.startsWith(TABLES_PREFIX))
    throw new BackupRefusal(`The backup holds ${entry.name.slice(0, 100)}, which this program does not know.`);
  const text = await textOf(entry);
  const [table = ''] = entry.name.slice(TABLES_PREFIX.length).split('/');
  try {
    return { table, rows: text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as string])) };
  } catch {
    throw new BackupRefusal(`The backup is damaged: ${entry.name} cannot be read.`);
  }
}
