import type { Rejection } from '../core/rejection.ts';
import type { DeclaredFields, DeclaredKind } from '../ports/declared-fields.ts';

/** Refuses a change of fields of which the configuration file has the last word: `managed_by_file`, naming the first and the file. */
export function refuseDeclared(
  declared: DeclaredFields,
  thing: { readonly kind: DeclaredKind; readonly id: string },
  fields: readonly string[],
): Rejection | null {
  for (const field of fields) {
    const file = declared.isDeclared(thing.kind, thing.id, field);
    if (file === null) continue;
    const name = thing.kind.replace('-', ' ');
    const what = field === 'id' ? `the ${name} ${thing.id} is` : `${field} of the ${name} ${thing.id} is`;
    return { code: 'managed_by_file', message: `${what} declared in ${file}; change it there`, field };
  }
  return null;
}
