import type { TrailWitness } from '../../ports/audit-trail.ts';
import type { Verification } from '../../ports/ledger-store.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { AppliedMigration, Migration } from './migrations.ts';

/**
 * The schema of a database beside that of this program. `version` is the newest step that it has taken (0: none), `known` the newest that
 * this program knows. It is `newer` where it has taken a step that this program does not know and may not run on, `ahead` where it has taken
 * one that it does not know and may run on, and `older` where it lacks one.
 */
export interface SchemaState {
  readonly version: number;
  readonly known: number;
  readonly state: 'empty' | 'older' | 'current' | 'ahead' | 'newer';
  /** The steps that it has taken, by their numbers. */
  readonly applied: readonly number[];
}

/** What the steps that a database has taken make of its schema. */
export function schemaStateOf(taken: readonly AppliedMigration[], migrations: readonly Pick<Migration, 'version'>[]): SchemaState {
  const known = migrations.at(-1)?.version ?? 0;
  const applied = taken.map(({ version }) => version).toSorted((a, b) => a - b);
  return { version: applied.at(-1) ?? 0, known, state: stateOf(taken, migrations, known), applied };
}

function stateOf(
  taken: readonly AppliedMigration[],
  migrations: readonly Pick<Migration, 'version'>[],
  known: number,
): SchemaState['state'] {
  if (taken.length === 0) return 'empty';
  const unknown = taken.filter(({ version }) => !migrations.some((migration) => migration.version === version));
  if (unknown.some(({ version, compatibleWith }) => (compatibleWith ?? version) > known)) return 'newer';
  if (unknown.length > 0) return 'ahead';
  return migrations.every(({ version }) => taken.some((step) => step.version === version)) ? 'current' : 'older';
}

/**
 * A store that is only looked at: it changes nothing, migrates nothing and takes no lock, so that a server may run on it meanwhile. Its
 * records and books can be read only where its schema is `current` or `ahead`.
 */
export interface StoreInspection {
  readonly schema: SchemaState;
  readonly records: Pick<RecordStore, 'record' | 'records' | 'keys'>;
  /** The time of the last batch that is known; null where there was none. */
  lastBatchMs(): Promise<number | null>;
  verify(witness?: TrailWitness): Promise<Verification>;
  close(): Promise<void>;
}
