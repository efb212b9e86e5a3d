import { ConfigError } from '../config-error.ts';
import { nearestWord } from '../did-you-mean.ts';

/** Text that came, at least in part, from the environment: it may be a secret, so errors never show it. */
export class SubstitutedText {
  readonly text: string;
  readonly names: readonly string[];

  constructor(text: string, names: readonly string[]) {
    this.text = text;
    this.names = names;
  }
}

/** Where a value stands: names of mappings and indexes of lists, from the top of the file. */
export type FieldPath = readonly (string | number)[];

/** A complaint about one field of the file; `problem` is what it says of it. */
export class FieldError extends ConfigError {
  readonly path: FieldPath;
  readonly problem: string;

  constructor(path: FieldPath, problem: string, locate: Locate) {
    super(complaint(path, problem, locate));
    this.path = path;
    this.problem = problem;
  }
}

/** A complaint in words: the line, the field, what is wrong with it. */
export const complaint = (path: FieldPath, problem: string, locate: Locate): string =>
  `${locate(path)}: ${path.length === 0 ? 'the file' : renderPath(path)} ${problem}.`;

/** What a field needs to complain: the file's name with the line of a path. */
export type Locate = (path: FieldPath) => string;

/** `models[0].price.input_per_1m` */
const renderPath = (path: FieldPath): string =>
  path.map((step, at) => (typeof step === 'number' ? `[${step}]` : (at === 0 ? '' : '.') + step)).join('');

/**
 * One value of the configuration file with its place in it. Every reader either returns a value of its type or throws a
 * {@link ConfigError} that names the field, says what stands there and what has to.
 */
export class Field {
  readonly value: unknown;
  readonly path: FieldPath;
  readonly #locate: Locate;

  constructor(value: unknown, path: FieldPath, locate: Locate) {
    this.value = value;
    this.path = path;
    this.#locate = locate;
  }

  /** Whether the file says anything here; an explicit `null` counts as silence. */
  get isGiven(): boolean {
    return this.value !== undefined && this.value !== null;
  }

  /** Whether the file names this field at all, be it with `null`. */
  get isNamed(): boolean {
    return this.value !== undefined;
  }

  fail(problem: string): never {
    throw new FieldError(this.path, problem, this.#locate);
  }

  /** The fields of a mapping whose names are the operator's own; none where the file says nothing. */
  entries(): Record<string, Field> {
    const entries = [...this.#mapping()].map(([name, value]) => [name, new Field(value, [...this.path, name], this.#locate)] as const);
    return Object.fromEntries(entries);
  }

  /** The fields of a mapping. Names beyond `names` are refused; so is anything but a mapping. */
  fields<N extends string>(names: readonly N[]): Record<N, Field> {
    const entries = this.#mapping();
    for (const name of entries.keys()) {
      if ((names as readonly string[]).includes(name)) continue;
      const nearest = nearestWord(name, names);
      const advice = nearest === null ? `known here are ${names.join(', ')}` : `write ${nearest} if you meant that, or remove it`;
      this.child(name).fail(`is not a known name; ${advice}`);
    }
    return Object.fromEntries(names.map((name) => [name, new Field(entries.get(name), [...this.path, name], this.#locate)])) as Record<
      N,
      Field
    >;
  }

  /** The items of a list, none where the file is silent. */
  items(): Field[] {
    if (!this.isGiven) return [];
    if (!Array.isArray(this.value)) return this.fail(`must be a list, but is ${describe(this.value)}; start each item with "- "`);
    return this.value.map((item: unknown, index) => new Field(item, [...this.path, index], this.#locate));
  }

  /** A text that is not empty. With `secret`, a complaint does not show what stands there. */
  text(options: { pattern?: RegExp; rule?: string; maxLength?: number; secret?: boolean } = {}): string {
    const text = this.value instanceof SubstitutedText ? this.value.text : this.value;
    const { pattern, maxLength = 1000, rule = `a text of 1 to ${maxLength} characters` } = options;
    if (typeof text === 'string' && text.length > 0 && text.length <= maxLength && (pattern === undefined || pattern.test(text)))
      return text;
    const numberAsText = typeof text === 'number' || typeof text === 'boolean' ? '; put it in quotes' : '';
    if (options.secret === true && this.isGiven) return this.fail(`must be ${rule}${numberAsText}`);
    return this.#wrong(rule + numberAsText);
  }

  integer(options: { min: number; max: number }): number {
    const value = this.value instanceof SubstitutedText && /^-?\d{1,15}$/.test(this.value.text) ? Number(this.value.text) : this.value;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < options.min || value > options.max) {
      return this.#wrong(`a whole number from ${options.min} to ${options.max}`);
    }
    return value;
  }

  /** A number that is exact as it is written: the number, or its decimal text. */
  decimal(): number | string {
    if (this.value instanceof SubstitutedText) return this.value.text;
    if (typeof this.value === 'number' || typeof this.value === 'string') return this.value;
    return this.#wrong('a decimal number');
  }

  boolean(): boolean {
    const value =
      this.value instanceof SubstitutedText ? ({ true: true, false: false } as Record<string, boolean>)[this.value.text] : this.value;
    return typeof value === 'boolean' ? value : this.#wrong('true or false');
  }

  oneOf<const V extends string>(values: readonly V[]): V {
    const text = this.value instanceof SubstitutedText ? this.value.text : this.value;
    const found = values.find((value) => value === text);
    return found ?? this.#wrong(values.length === 1 ? `${values[0]}` : `one of ${values.join(', ')}`);
  }

  /** Reads the field with `read` where the file says something, else gives `fallback`. */
  or<T, F>(fallback: F, read: (field: Field) => T): T | F {
    return this.isGiven ? read(this) : fallback;
  }

  child(name: string | number): Field {
    return new Field(undefined, [...this.path, name], this.#locate);
  }

  #mapping(): Map<string, unknown> {
    if (this.value === null || this.value === undefined) return new Map();
    if (typeof this.value !== 'object' || Array.isArray(this.value) || this.value instanceof SubstitutedText) {
      return this.fail(`must be a mapping of names to values, but is ${describe(this.value)}`);
    }
    return new Map(Object.entries(this.value));
  }

  #wrong(rule: string): never {
    return this.fail(this.isGiven ? `must be ${rule}, but is ${describe(this.value)}` : `is missing; it must be ${rule}`);
  }
}

/** What a value is, in words, without showing what came from the environment. */
function describe(value: unknown): string {
  if (value === undefined || value === null) return 'empty';
  if (value instanceof SubstitutedText) return `what ${value.names.map((name) => `\${${name}}`).join(' and ')} stands for`;
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
