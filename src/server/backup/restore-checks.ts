import type { StoreInspection } from '../../stores/_shared/inspection.ts';
import { type ConfiguredMasterKeys, findMasterKeys, KEY_SECRET_SETTING, masterKeyFiles, openKeySecret } from '../master-key.ts';
import { makeKeyRing, type KeyRing } from '../secrets/key-ring.ts';
import type { Manifest } from './manifest.ts';
import { openEverySecret } from './needed-keys.ts';
import { BackupRefusal } from './refusal.ts';
import type { Progress } from './write-backup.ts';

/** What is restored, and where to. */
export interface RestoreRequest {
  readonly file: string;
  readonly dataDir: string;
  readonly databaseUrl: string | null;
  readonly configured: ConfiguredMasterKeys;
  readonly nowMs: number;
  readonly onProgress: Progress;
}

/** The master keys at hand. Throws a `BackupRefusal` where they are not those that the backup needs, before anything is written. */
export function ringFor({ master_keys: needed }: Manifest, { dataDir, configured }: RestoreRequest): KeyRing {
  const { keys } = findMasterKeys(dataDir, configured);
  const [first, ...others] = keys;
  const where = `put that time's master.key into ${masterKeyFiles(dataDir).current}, or set CASTELLAN_MASTER_KEY`;
  const named = needed.length === 0 ? '' : ` ${needed.join(' and ')}`;
  if (first === undefined)
    throw new BackupRefusal(`The master key${named} is not in the backup, and there is none here: ${where}, and restore again.`);
  const missing = needed.filter((id) => !keys.some((key) => key.id === id));
  if (missing.length > 0)
    throw new BackupRefusal(
      `The backup is sealed with the master key ${missing.join(' and ')}, and here is ${keys.map(({ id }) => id).join(' and ')}: ${where}, and restore again.`,
    );
  return makeKeyRing([first, ...others]);
}

/**
 * What a look at a restored store found. `closed` are records whose secret opens with no key, as it did not when it was backed up. `headsAside`
 * is the file of the data folder that has the ends of the audit trail which were exported there before; null where there were none.
 */
export interface RestoredState {
  readonly isVerified: boolean;
  readonly closed: readonly string[];
  readonly headsAside: string | null;
}

/**
 * Opens every secret of what was restored, and compares its books with those of the backup. Throws a `ConfigError` where the master key is
 * another, and a `BackupRefusal` where the books are others.
 */
export async function checkRestored(
  inspection: StoreInspection,
  { manifest, ring, onProgress }: { readonly manifest: Manifest; readonly ring: KeyRing; readonly onProgress: Progress },
): Promise<RestoredState> {
  const setting = await inspection.records.record('setting', KEY_SECRET_SETTING);
  if (setting === undefined) throw new BackupRefusal('The backup is of a database that no server was ever started on.');
  openKeySecret({ setting, secretBox: ring, from: 'this folder or environment' });
  const { closed } = await openEverySecret(inspection.records, ring);
  const { verification } = manifest;
  if (verification === null) return { isVerified: false, closed, headsAside: null };
  onProgress('verifying the books', null);
  const { accounts, entries, reservations, discrepancies } = await inspection.verify();
  const here = { accounts, entries, reservations, discrepancies: discrepancies.length };
  const differs = (Object.keys(here) as (keyof typeof here)[]).find((name) => here[name] !== verification[name]);
  if (differs !== undefined)
    throw new BackupRefusal(
      `The restored books are not those of the backup: ${here[differs]} ${differs} instead of ${verification[differs]}; nothing was kept.`,
    );
  return { isVerified: true, closed, headsAside: null };
}
