import type { DeclaredFields } from '../../ports/declared-fields.ts';
import type { DeclaredConfig } from './declared-config.ts';
import type { Field } from './field.ts';

/** Collects which fields the file names, in the form that {@link makeDeclaredFields} looks up. */
export class NamedFields {
  readonly keys = new Set<string>();

  add(kind: string, id: string, fields: readonly string[]): void {
    for (const field of ['id', ...fields]) this.keys.add(namedFieldKey(kind, id, field));
  }
}

const namedFieldKey = (kind: string, id: string, field: string): string => `${kind} ${id} ${field}`;

/** The names that stand in a mapping, but its id. */
export const namesGiven = (fields: Readonly<Record<string, Field>>): string[] =>
  Object.entries(fields)
    .filter(([name, field]) => name !== 'id' && field.isNamed)
    .map(([name]) => name);

/** Answers for the file which fields it has the last word on; without a file, none. */
export const makeDeclaredFields = (declared: DeclaredConfig | null): DeclaredFields => ({
  isDeclared: (kind, id, field) => (declared?.named.has(namedFieldKey(kind, id, field)) === true ? declared.path : null),
});
