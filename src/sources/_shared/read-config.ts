import { isAlias, isMap, isNode, isScalar, isSeq, Lexer, LineCounter, parseDocument, Scalar, type YAMLMap } from 'yaml';
import { fieldPath, Findings } from '../../core/containers/config/findings.ts';
import type { PlainJson } from '../../core/json/plain-json.ts';
import type { ConfigReader } from '../../ports/config-reader.ts';

/** Largest file. Source: Tinfoil reference section 3. */
const MAX_BYTES = 1024 * 1024;
/** Words and marks of a file: what reading it costs. A configuration of 64 containers with everything set has a tenth. */
const MAX_TOKENS = 65_536;
/** The schema is six deep. */
const MAX_DEPTH = 20;
const NESTED = `must not be nested more than ${MAX_DEPTH} deep`;
/** Errors of YAML that are told: one that is not closed makes many of what comes after it. */
const MAX_ERRORS = 10;
const MAX_MESSAGE_LENGTH = 200;
/** What YAML does not allow in a file at all. Not all of it is refused by every reader, and some of it ends texts early. */
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;
/** Numbers that every reader of YAML takes for the same: no octal or hexadecimal ones, no infinity, no `1_000`. */
const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?$/i;
/**
 * Fields that hold texts, whatever is in them looks like: what is written there is taken letter by letter, so that `1.10` is not made `1.1`, nor
 * `0644` another number.
 */
const TEXT_FIELDS: ReadonlySet<string> = new Set(
  'cvm-version shim-version ovmf-version name image command entrypoint working_dir user env test ports'.split(' '),
);

/** What the lexer puts before the text of a scalar, which may look like a mark. */
const SCALAR_FOLLOWS = '\u001f';

/**
 * The rule that a text breaks which would take the library long: more to read than a file may have, or brackets that nest deeply or close what is not open.
 * Lexing is in steps, so that what comes after the limit is never looked at, and builds nothing.
 */
function tooMuch(text: string): string | null {
  let count = text.split('\\', MAX_TOKENS).length;
  let depth = 0;
  let isText = false;
  for (const token of new Lexer().lex(text)) {
    count += 1;
    if (count > MAX_TOKENS) return `must have at most ${MAX_TOKENS} words, marks and backslashes`;
    if (!isText && (token === '[' || token === '{')) depth += 1;
    if (!isText && (token === ']' || token === '}')) depth -= 1;
    if (depth > MAX_DEPTH) return NESTED;
    if (depth < 0) return 'is not valid YAML: a bracket is closed that was not opened';
    isText = token === SCALAR_FOLLOWS;
  }
  return null;
}

/** Turns nodes of a document into plain values, and collects what may not be in a file. */
class PlainReader {
  readonly #findings: Findings;

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  value(node: unknown, path: string, at: { readonly depth: number; readonly asText: boolean }): PlainJson {
    if (node === null || node === undefined) return null;
    if (at.depth > MAX_DEPTH) return this.#refuse(path, NESTED);
    if (isAlias(node)) return this.#refuse(path, 'must not be an alias (`*name`): write the value out');
    if (isNode(node) && 'anchor' in node && node.anchor !== undefined) this.#findings.refuse(path, 'must not have an anchor (`&name`)');
    if (isNode(node) && node.tag !== undefined) this.#refuse(path, 'must not have a tag (`!name`)');
    if (isMap(node)) return this.#map(node, path, at);
    if (isSeq(node)) {
      return node.items.map((item, index) => this.value(item, `${path}[${index}]`, { ...at, depth: at.depth + 1 }));
    }
    return isScalar(node) ? this.#scalar(node, path, at.asText) : this.#refuse(path, 'must be a value');
  }

  #map(node: YAMLMap, path: string, at: { readonly depth: number; readonly asText: boolean }): PlainJson {
    const entries = new Map<string, PlainJson>();
    for (const { key, value } of node.items) {
      const name = this.#key(key, path);
      if (name === null) continue;
      const below = fieldPath(path, name);
      if (entries.has(name)) this.#findings.refuse(below, 'is there twice');
      entries.set(name, this.value(value, below, { depth: at.depth + 1, asText: at.asText || TEXT_FIELDS.has(name) }));
    }
    // Defines each as its own property, also one that is called __proto__.
    return Object.fromEntries(entries);
  }

  #key(key: unknown, path: string): string | null {
    if (!isScalar(key)) return this.#refuse(path, 'must have names of fields that are plain texts');
    if (key.anchor !== undefined || key.tag !== undefined)
      this.#findings.refuse(path, 'must have names of fields without anchors and tags');
    const name = typeof key.value === 'string' ? key.value : '';
    return name === '<<' ? this.#refuse(path, 'must not have a merge key (`<<`): write the fields out') : name;
  }

  #scalar(node: Scalar, path: string, asText: boolean): PlainJson {
    const { value } = node;
    if (typeof value === 'string' || value === null) return value;
    const isPlain = node.type === Scalar.PLAIN && node.source !== undefined;
    if (asText && isPlain && node.source !== undefined) return node.source;
    if (typeof value === 'boolean') return value;
    if (typeof value !== 'number' || !Number.isFinite(value) || !NUMBER.test(node.source ?? '')) {
      return this.#refuse(path, 'must be a number in decimal digits without leading zeros; put it in quotes if it is a text');
    }
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) return this.#refuse(path, 'is too large a number');
    return value;
  }

  /** Notes a violation that leaves nothing to be told of what is there. */
  #refuse(path: string, rule: string): null {
    this.#findings.refuse(path, rule);
    this.#findings.lose(path);
    return null;
  }
}

const oneLine = (message: string): string => message.replace(/\s+/g, ' ').replace(/[.:]$/, '').slice(0, MAX_MESSAGE_LENGTH);

/** The value of the document; undefined where the text is none. */
function readDocument(text: string, findings: Findings): PlainJson | undefined {
  if (Buffer.byteLength(text) > MAX_BYTES) {
    findings.refuse('', 'must be at most 1 MiB');
    return undefined;
  }
  if (CONTROL.test(text)) {
    findings.refuse('', 'must not hold control characters');
    return undefined;
  }
  const broken = tooMuch(text);
  if (broken !== null) {
    findings.refuse('', broken);
    return undefined;
  }
  // Doubled keys are looked for by ourselves: the library compares each with each. So are aliases, of which it need not make anything.
  const lines = new LineCounter();
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    merge: false,
    uniqueKeys: false,
    resolveKnownTags: false,
    stringKeys: true,
    logLevel: 'error',
    // Pretty ones look for their line in the whole text each, and a text may have half a million.
    prettyErrors: false,
    lineCounter: lines,
  });
  for (const { message, pos } of document.errors.slice(0, MAX_ERRORS)) {
    const { line, col } = lines.linePos(pos[0]);
    const rule = message.startsWith('Maximum call stack')
      ? NESTED
      : `is not valid YAML at line ${line}, column ${col}: ${oneLine(message)}`;
    findings.refuse('', rule);
  }
  if (document.errors.length > 0) return undefined;
  const { yaml, tags } = document.directives ?? {};
  if (yaml?.explicit === true || Object.keys(tags ?? {}).some((handle) => handle !== '!!'))
    findings.refuse('', 'must not have directives (`%NAME`)');
  return new PlainReader(findings).value(document.contents, '', { depth: 0, asText: false });
}

/**
 * Reads the text of a `tinfoil-config.yml`: one document of YAML 1.2, at most 1 MiB.
 *
 * Refused, each with its place: anchors and aliases, tags, merge keys, directives, doubled names, names that are no texts, a second document, more than
 * 20 levels or 65 536 words, marks and backslashes, control characters, numbers that readers of YAML differ about (octal, hexadecimal, infinite, not a
 * number) or that a double does not hold. `yes` and `no` are texts. In fields that hold texts (`env`, `command`, `image`, ...) what is written is
 * the text. Synchronous; at most half a second for the worst text, and a few for what people write. Never throws.
 */
export function makeConfigReader(): ConfigReader {
  return {
    read: (text, findings = new Findings()) => {
      let value: PlainJson | undefined;
      try {
        value = readDocument(text, findings);
      } catch (err) {
        // The library recurses, and a text of nothing but list marks takes it deeper than the stack.
        findings.refuse('', err instanceof RangeError ? NESTED : 'cannot be read as YAML');
      }
      const { violations } = findings;
      if (value === undefined) return { ok: false, violations };
      return violations.length === 0 ? { ok: true, value } : { ok: false, violations, value };
    },
  };
}
