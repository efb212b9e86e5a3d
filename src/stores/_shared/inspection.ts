import type { Verification } from '../../ports/ledger-store.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { Migration } from './migrations.ts';

/**
 * The schema of a database beside that of this program. `version` is the newest step that it has taken (0: none), `known` the newest that
 * this program knows. It is `newer` where it has taken a step that this program does not know, and `older` where it lacks one.
 */
export interface SchemaState {
  readonly version: number;
  readonly known: number;
  readonly state: 'empty' | 'older' | 'current' | 'newer';
  /** The steps that it has taken, by their numbers. */
  readonly applied: readonly number[];
}

/** What the steps that a database has taken make of its schema. */
export function schemaStateOf(applied: readonly number[], migrations: readonly Pick<Migration, 'version'>[]): SchemaState {
  const known = new Set(migrations.map(({ version }) => version));
  const taken = new Set(applied);
  const state =
    taken.size === 0
      ? 'empty'
      : applied.some((version) => !known.has(version))
        ? 'newer'
        : migrations.every(({ version }) => taken.has(version))
          ? 'current'
          : 'older';
  return { version: Math.max(0, ...applied), known: migrations.at(-1)?.version ?? 0, state, applied: applied.toSorted((a, b) => a - b) };
}

/**
 * A store that is only looked at: it changes nothing, migrates nothing and takes no lock, so that a server may run on it meanwhile. Its
 * records and books can be read only where its schema is `current`.
 */
export interface StoreInspection {
  readonly schema: SchemaState;
  readonly records: Pick<RecordStore, 'record' | 'records' | 'keys'>;
  /** The time of the last batch that is known; null where there was none. */
  lastBatchMs(): Promise<number | null>;
  verify(): Promise<Verification>;
  close(): Promise<void>;
}
