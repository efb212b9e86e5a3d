import type { Field } from './field.ts';

/** Refuses a second item of the same id. */
export function refuseDouble(seen: Set<string>, id: string, field: Field): void {
  if (seen.has(id)) field.fail(`is "${id}" for the second time; give each one an id of its own`);
  seen.add(id);
}
