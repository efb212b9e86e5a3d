import { ConfigError } from '../config-error.ts';
import { complaint, FieldError, type FieldPath } from './field.ts';
import { openYaml } from './load-declared.ts';

/** A file with more defects than this is another file. */
const MAX_DEFECTS = 100;

/**
 * Every defect of a configuration file, each one sentence with its line, in the order in which a start would meet them.
 *
 * A start stops at the first. Here what is defective is taken out and the rest is read again; what is wrong only because something was
 * taken out is no defect of its own.
 */
export function findDefects(options: { text: string; path: string; env: NodeJS.ProcessEnv }): string[] {
  const { errors, raw, read, locate } = openYaml(options);
  if (errors.length > 0) return errors.map(({ message }) => message);
  const removed = makeRemoved(raw);
  const defects: string[] = [];
  while (defects.length < MAX_DEFECTS) {
    const rest = removed.rest();
    try {
      read(rest.value);
      return defects;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      if (!(error instanceof FieldError)) return [...defects, error.message];
      const path = rest.originalOf(error.path);
      if (!removed.explains(path, error.problem)) defects.push(complaint(path, error.problem, locate));
      if (!removed.add(path)) return defects;
    }
  }
  return defects;
}

/** What is left of a value, and where in the whole something of it stands: items of lists move up when one before them is gone. */
interface Rest {
  readonly value: unknown;
  readonly originalOf: (path: FieldPath) => FieldPath;
}

/** What was taken out of a value. */
interface Removed {
  rest(): Rest;
  /** Whether a complaint follows from what was taken out: about the place itself, about what held it, or about its name. */
  explains(path: FieldPath, problem: string): boolean;
  /** Takes out what stands at `path`, or what would hold it; returns false where there is nothing left to take. */
  add(path: FieldPath): boolean;
}

const keyOf = (path: FieldPath): string => JSON.stringify(path);

function makeRemoved(raw: unknown): Removed {
  const gone = new Map<string, FieldPath>();
  const names = new Set<string>();

  const rest = (): Rest => {
    const indexes = new Map<string, number[]>();
    const copy = (value: unknown, original: FieldPath, now: FieldPath): unknown => {
      if (Array.isArray(value)) {
        const kept = value.map((_item, index) => index).filter((index) => !gone.has(keyOf([...original, index])));
        indexes.set(keyOf(now), kept);
        return kept.map((index, at) => copy(value[index], [...original, index], [...now, at]));
      }
      if (typeof value !== 'object' || value === null) return value;
      const fields = Object.entries(value).filter(([name]) => !gone.has(keyOf([...original, name])));
      return Object.fromEntries(fields.map(([name, field]) => [name, copy(field, [...original, name], [...now, name])]));
    };
    const value = copy(raw, [], []);
    const originalOf = (path: FieldPath): FieldPath =>
      path.map((step, at) => (typeof step === 'number' ? (indexes.get(keyOf(path.slice(0, at)))?.[step] ?? step) : step));
    return { value, originalOf };
  };

  return {
    rest,
    explains: (path, problem) =>
      [...gone.values()].some((each) => path.every((step, at) => each[at] === step)) ||
      (problem.includes('not declared') && [...names].some((name) => problem.includes(`"${name}"`))),
    add: (path) => {
      for (let length = path.length; length > 0; length--) {
        const place = path.slice(0, length);
        const found = valueAt(raw, place);
        if (found === undefined || gone.has(keyOf(place))) continue;
        gone.set(keyOf(place), place);
        const name = place.at(-1) === 'id' ? found : valueAt(found, ['id']);
        if (typeof name === 'string') names.add(name);
        return true;
      }
      return false;
    },
  };
}

function valueAt(root: unknown, path: FieldPath): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Readonly<Record<string | number, unknown>>)[step];
  }
  return value;
}
