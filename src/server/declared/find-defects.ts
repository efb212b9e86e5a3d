import { ConfigError } from '../config-error.ts';
import { FieldError, type FieldPath } from './field.ts';
import { openYaml } from './load-declared.ts';

/** A file with more defects than this is another file. */
const MAX_DEFECTS = 100;

/**
 * Every defect of a configuration file, each one sentence with its line, in the order in which a start would meet them.
 *
 * A start stops at the first. Here what is defective is taken out and the rest is read again; what only misses something that was taken
 * out is no defect of its own.
 */
export function findDefects(options: { text: string; path: string; env: NodeJS.ProcessEnv }): string[] {
  const { errors, raw, read } = openYaml(options);
  if (errors.length > 0) return errors.map(({ message }) => message);
  let value: unknown = structuredClone(raw);
  const defects: string[] = [];
  const removedIds = new Set<string>();
  const told = new Set<string>();
  while (defects.length < MAX_DEFECTS) {
    try {
      read(value);
      return defects;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      if (!(error instanceof FieldError)) return [...defects, error.message];
      const place = JSON.stringify(error.path);
      // What was taken out is missing now, and so is whatever names it.
      if (!told.has(place) && !namesOneOf(error.message, removedIds)) defects.push(error.message);
      const before = JSON.stringify(value);
      value = without(value, told.has(place) ? error.path.slice(0, -1) : error.path, removedIds);
      told.add(place);
      if (JSON.stringify(value) === before) return defects;
    }
  }
  return defects;
}

const namesOneOf = (message: string, ids: ReadonlySet<string>): boolean =>
  message.includes('not declared') && [...ids].some((id) => message.includes(`"${id}"`));

/** The value without what stands at `path`; where nothing stands there, without what should have held it. */
function without(root: unknown, path: FieldPath, removedIds: Set<string>): unknown {
  for (let length = path.length; length > 0; length--) {
    const holder = path.slice(0, length - 1).reduce<unknown>((at, step) => childOf(at, step), root);
    const step = path[length - 1];
    const found = step === undefined ? undefined : childOf(holder, step);
    if (found === undefined || step === undefined) continue;
    if (length >= 2 && step === 'id' && typeof found === 'string') removedIds.add(found);
    for (const id of idsIn(found)) removedIds.add(id);
    if (Array.isArray(holder)) holder.splice(step as number, 1);
    else Reflect.deleteProperty(holder as object, step);
    return root;
  }
  return null;
}

const childOf = (value: unknown, step: string | number): unknown =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string | number, unknown>>)[step] : undefined;

function idsIn(value: unknown): string[] {
  const id = childOf(value, 'id');
  return typeof id === 'string' ? [id] : [];
}
