/** Types of JSON values, as `typeof` names them but for null and arrays. */
type Shape = unknown;

/** Stands in an example for an object whose names are not fixed: every value has the shape of `value`. */
export class AnyNames {
  readonly value: Shape;

  constructor(value: Shape) {
    this.value = value;
  }
}

/** Stands in an example for a value that may be null. */
export class Nullable {
  readonly value: Shape;

  constructor(value: Shape) {
    this.value = value;
  }
}

/**
 * Compares a JSON value with an example of its shape: every field of the example is there with the example's type; each element of an
 * array is like the example's first. Fields beyond the example are no fault. Returns where the two differ.
 */
export function shapeFaults(actual: unknown, example: Shape, path = '$'): string[] {
  if (example instanceof Nullable) return actual === null ? [] : shapeFaults(actual, example.value, path);
  if (Array.isArray(example)) {
    if (!Array.isArray(actual)) return [`${path} is no array`];
    return actual.flatMap((element, index) => shapeFaults(element, example[0], `${path}[${index}]`));
  }
  if (typeof example === 'object' && example !== null) {
    if (typeof actual !== 'object' || actual === null || Array.isArray(actual)) return [`${path} is no object`];
    const fields = actual as Readonly<Record<string, unknown>>;
    if (example instanceof AnyNames)
      return Object.entries(fields).flatMap(([name, value]) => shapeFaults(value, example.value, `${path}.${name}`));
    return Object.entries(example).flatMap(([name, value]) =>
      name in fields ? shapeFaults(fields[name], value, `${path}.${name}`) : [`${path}.${name} is missing`],
    );
  }
  return typeof actual === typeof example && actual !== null ? [] : [`${path} is ${JSON.stringify(actual)}, not a ${typeof example}`];
}
