import { BackupRefusal } from './refusal.ts';

/** The first file of an archive: what the backup is of, and what a restore needs. */
export interface Manifest {
  readonly castellan_backup: 1;
  readonly created_at: string;
  readonly program_version: string;
  readonly store: 'sqlite' | 'postgres';
  readonly schema_version: number;
  /** The steps that the schema has taken. */
  readonly schema_steps: readonly number[];
  /** The ids of the master keys that its secrets are sealed with. They themselves are never in it. */
  readonly master_keys: readonly string[];
  readonly master_key_included: false;
  /** What a verification of the copy said; null where it was not asked for, or where its schema is not this program's. */
  readonly verification: ManifestVerification | null;
  /** The tables of a PostgreSQL database; of an embedded one, none. */
  readonly tables: readonly { readonly table: string; readonly columns: readonly string[]; readonly types: readonly string[] }[];
}

/** A verification in figures: two databases with the same ones hold the same books. */
export interface ManifestVerification {
  readonly accounts: number;
  readonly entries: number;
  readonly reservations: number;
  readonly discrepancies: number;
}

/** The names of the files in an archive. */
export const MANIFEST_FILE = 'manifest.json';
export const CHECKSUMS_FILE = 'checksums.json';
export const DATABASE_ENTRY = 'castellan.db';
export const TABLES_PREFIX = 'tables/';

/** The last file of an archive: the SHA-256 of each file before it, in hex. An archive without it was not written to its end. */
export interface Checksums {
  readonly sha256: Readonly<Record<string, string>>;
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);

/** Reads a manifest. Throws a `BackupRefusal` where it is none, or of a later form. */
export function readManifest(text: string): Manifest {
  const manifest = parsed(text) as Partial<Manifest> | null;
  const form = (manifest as { castellan_backup?: unknown } | null)?.castellan_backup;
  if (typeof form === 'number' && form !== 1)
    throw new BackupRefusal(`The backup has form ${form}, which this program does not know: restore it with a newer Castellan.`);
  const isSound =
    form === 1 &&
    (manifest?.store === 'sqlite' || manifest?.store === 'postgres') &&
    Number.isSafeInteger(manifest.schema_version) &&
    Array.isArray(manifest.schema_steps) &&
    manifest.schema_steps.every((step) => Number.isSafeInteger(step)) &&
    isText(manifest.created_at) &&
    isTexts(manifest.master_keys) &&
    Array.isArray(manifest.tables) &&
    (manifest.tables as readonly { readonly table?: unknown; readonly columns?: unknown; readonly types?: unknown }[]).every(
      ({ table, columns, types }) => isText(table) && isTexts(columns) && isTexts(types),
    );
  if (!isSound) throw new BackupRefusal('This file is no backup of Castellan: it does not begin with a manifest of one.');
  return manifest as Manifest;
}

/** Reads the checksums. Throws a `BackupRefusal` where they are damaged. */
export function readChecksums(text: string): Checksums {
  const sums = (parsed(text) as { sha256?: unknown } | null)?.sha256;
  if (typeof sums === 'object' && sums !== null && Object.values(sums).every(isText)) return { sha256: sums as Record<string, string> };
  throw new BackupRefusal('The backup is damaged: its checksums cannot be read.');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
