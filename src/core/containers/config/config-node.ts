import type { PlainJson } from '../../json/plain-json.ts';
import { fieldPath, type Findings } from './findings.ts';

type PlainMap = { readonly [name: string]: PlainJson };

/** Longest text of a configuration: what Linux takes as one argument or variable. In UTF-16 code units. */
const MAX_TEXT_LENGTH = 131_071;
/** Longest list where nothing else is said. Source: Tinfoil reference section 3. */
const MAX_ITEMS = 256;

/** What a text must look like, and that in words which complete "must ...". */
export interface TextRule {
  readonly pattern: RegExp;
  readonly words: string;
}

/** What a list of texts must be like. `refuse` gives the rule that one of them breaks. */
interface TextsOptions {
  readonly rule?: TextRule;
  readonly max?: number;
  readonly once?: boolean;
  readonly refuse?: (text: string) => string | null;
}

const isMap = (value: PlainJson | undefined): value is PlainMap => typeof value === 'object' && value !== null && !Array.isArray(value);
const isList = (value: PlainJson | undefined): value is readonly PlainJson[] => Array.isArray(value);

/**
 * One place of a configuration. Reading it as a kind of value gives that value; or null, with a violation unless nothing is there. A field
 * without a value (`command:`) counts as left out.
 */
export class ConfigNode {
  readonly #value: PlainJson | undefined;
  readonly path: string;
  readonly findings: Findings;

  constructor(value: PlainJson | undefined, path: string, findings: Findings) {
    this.#value = value;
    this.path = path;
    this.findings = findings;
  }

  /** Whether something is there. */
  get isGiven(): boolean {
    return this.#value !== undefined && this.#value !== null;
  }

  /** Whether something is there that is not false, empty or zero. */
  get isFilled(): boolean {
    const value = this.#value;
    if (value === undefined || value === null || value === false || value === '' || value === 0) return false;
    if (isList(value)) return value.length > 0;
    return !isMap(value) || Object.keys(value).length > 0;
  }

  /** The value as it is, for what is of several kinds. */
  get plain(): PlainJson | undefined {
    return this.#value;
  }

  /** Notes a violation, unless nothing is here because what was here is refused already. `rule` completes a sentence that begins with the path. */
  refuse(rule: string): null {
    if (this.isGiven || !this.findings.isLost(this.path)) this.findings.refuse(this.path, rule);
    return null;
  }

  warn(consequence: string): void {
    this.findings.warn(this.path, consequence);
  }

  /** Notes a violation where nothing is there. */
  required(): this {
    if (!this.isGiven) this.refuse('is required');
    return this;
  }

  /** A field of a map; nothing where this is no map, or has no such field of its own. */
  field(name: string): ConfigNode {
    const value = isMap(this.#value) && Object.hasOwn(this.#value, name) ? this.#value[name] : undefined;
    return new ConfigNode(value, fieldPath(this.path, name), this.findings);
  }

  /** The names of a map's fields. */
  fieldNames(): readonly string[] {
    if (!this.isGiven) return [];
    if (isMap(this.#value)) return Object.keys(this.#value);
    this.refuse('must be a map');
    return [];
  }

  /** The fields of a map whose names are the writer's own: at most `max` of them are read. */
  entries(max: number): readonly (readonly [string, ConfigNode])[] {
    const names = this.fieldNames();
    if (names.length > max) this.refuse(`must have at most ${max} entries, and has ${names.length}`);
    return names.slice(0, max).map((name) => [name, this.field(name)]);
  }

  /** Notes a violation for each field of a map that is not among `known`. */
  only(known: readonly string[]): void {
    for (const name of this.fieldNames()) {
      if (!known.includes(name)) this.findings.refuse(fieldPath(this.path, name), 'is not a field that is known here');
    }
  }

  /** Whether a map has the field, whatever is in it. */
  has(name: string): boolean {
    return isMap(this.#value) && Object.hasOwn(this.#value, name);
  }

  /** The items of a list, at most `max`; null where none is given. */
  items(max = MAX_ITEMS): readonly ConfigNode[] | null {
    if (!this.isGiven) return null;
    if (!isList(this.#value)) return this.refuse('must be a list');
    if (this.#value.length > max) this.refuse(`must have at most ${max} items, and has ${this.#value.length}`);
    return this.#value.slice(0, max).map((item, index) => new ConfigNode(item, `${this.path}[${index}]`, this.findings));
  }

  /** A text that is given and keeps a rule. */
  text(rule?: TextRule): string | null {
    const value = this.#value;
    if (!this.isGiven) return null;
    if (typeof value !== 'string') return this.refuse('must be a text (put it in quotes)');
    if (value.includes('\u0000') || !value.isWellFormed()) return this.refuse('must not hold a NUL character or half of a character');
    if (value.length > MAX_TEXT_LENGTH) return this.refuse(`must have at most ${MAX_TEXT_LENGTH} characters`);
    return rule === undefined || rule.pattern.test(value) ? value : this.refuse(`must ${rule.words}`);
  }

  /** One of some texts. */
  choice<Choice extends string>(choices: readonly Choice[]): Choice | null {
    if (!this.isGiven) return null;
    const found = choices.find((choice) => choice === this.#value);
    return found ?? this.refuse(`must be ${choices.length === 1 ? '' : 'one of '}${choices.join(', ')}`);
  }

  /** A list of texts, each of which keeps a rule; items that do not are left out. An item that is null is no text. */
  texts(options: TextsOptions = {}): readonly string[] | null {
    const nodes = this.items(options.max);
    if (nodes === null) return null;
    const seen = new Set<string>();
    const texts: string[] = [];
    for (const node of nodes) {
      const text = node.required().text(options.rule);
      if (text === null) continue;
      if (options.once === true && seen.has(text)) node.refuse('is in the list already');
      const broken = options.refuse?.(text) ?? null;
      if (broken !== null) node.refuse(broken);
      seen.add(text);
      texts.push(text);
    }
    return texts;
  }

  /** A whole number from `min` to `max`. */
  integer(min: number, max: number): number | null {
    const value = this.#value;
    if (!this.isGiven) return null;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value;
    return this.refuse(`must be a whole number from ${min} to ${max}`);
  }

  /** A number from `min` to `max`, which may be a fraction. */
  number(min: number, max: number): number | null {
    const value = this.#value;
    if (!this.isGiven) return null;
    if (typeof value === 'number' && value >= min && value <= max) return value;
    return this.refuse(`must be a number from ${min} to ${max}`);
  }

  /** True or false, and not `yes` or `"true"`. */
  boolean(): boolean | null {
    const value = this.#value;
    if (!this.isGiven) return null;
    return typeof value === 'boolean' ? value : this.refuse('must be true or false');
  }
}
