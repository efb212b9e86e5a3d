import { LineCounter, isMap, isNode, isPair, isScalar, parseDocument, type Document } from 'yaml';
import { ConfigError } from '../config-error.ts';
import type { DeclaredConfig } from './declared-config.ts';
import { Field, type Locate, SubstitutedText, type FieldPath } from './field.ts';
import { parseDeclared } from './parse-declared.ts';

const REFERENCE = /\$\$|\$\{([^}]*)\}/g;
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The line of the deepest node on the way to `path` that the file has. */
function lineOf(document: Document, lines: LineCounter, path: FieldPath): number {
  let offset = 0;
  let node: unknown = document.contents;
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === step);
      if (isScalar(pair?.key) && pair.key.range) offset = pair.key.range[0];
      node = pair?.value;
    } else {
      node = (node as { items?: readonly unknown[] } | null | undefined)?.items?.[step as number];
      if (isNode(node) && node.range) offset = node.range[0];
    }
  }
  return lines.linePos(offset).line;
}

/** Replaces `${NAME}` by the environment's variable, and `$$` by `$`, in every text of a parsed file. */
function substitute(
  value: unknown,
  path: FieldPath,
  context: { env: NodeJS.ProcessEnv; fail: (path: FieldPath, problem: string) => never },
): unknown {
  if (Array.isArray(value)) return value.map((item: unknown, index) => substitute(item, [...path, index], context));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, substitute(item, [...path, name], context)]));
  }
  if (typeof value !== 'string' || !value.includes('$')) return value;
  const names: string[] = [];
  const text = value.replace(REFERENCE, (whole, name: string | undefined) => {
    if (name === undefined) return whole === '$$' ? '$' : whole;
    if (!VARIABLE_NAME.test(name))
      return context.fail(path, `refers to "\${${name}}", which is not the name of a variable; write $$ for a dollar sign`);
    const found = context.env[name];
    if (found === undefined || found === '') {
      return context.fail(path, `refers to the environment variable ${name}, which is not set; set it or remove the reference`);
    }
    names.push(name);
    return found;
  });
  return names.length === 0 ? text : new SubstitutedText(text, names);
}

/** The text of a configuration file, taken apart. */
interface OpenedYaml {
  /** What is wrong with it as YAML. */
  readonly errors: readonly ConfigError[];
  /** What it says, before variables are put in. */
  readonly raw: unknown;
  /** Puts variables into a value and checks it; throws the first `ConfigError`. */
  readonly read: (raw: unknown) => DeclaredConfig;
  readonly locate: Locate;
}

/** Takes a file apart. `path` names it in complaints. */
export function openYaml(options: { text: string; path: string; env: NodeJS.ProcessEnv }): OpenedYaml {
  const { path, env } = options;
  const lines = new LineCounter();
  const document = parseDocument(options.text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const errors = document.errors.map(({ pos, message }) => {
    const { line } = lines.linePos(pos[0]);
    return new ConfigError(`${path}:${line}: the file is not valid YAML (${oneLine(message)}); correct the line.`);
  });
  const locate = (at: FieldPath): string => `${path}:${lineOf(document, lines, at)}`;
  return {
    errors,
    locate,
    raw: errors.length > 0 ? null : document.toJS({ maxAliasCount: 100 }),
    read: (raw) => {
      const value = substitute(raw, [], { env, fail: (at, problem) => new Field(undefined, at, locate).fail(problem) });
      return parseDeclared(new Field(value, [], locate), path);
    },
  };
}

/**
 * Reads and checks the text of a configuration file.
 *
 * Variables are put in after the YAML is parsed, so that a value cannot add structure. `path` names the file in complaints.
 */
export function loadDeclared(options: { text: string; path: string; env: NodeJS.ProcessEnv }): DeclaredConfig {
  const { errors, raw, read } = openYaml(options);
  const [error] = errors;
  if (error !== undefined) throw error;
  return read(raw);
}

const oneLine = (message: string): string => message.replace(/\s+/g, ' ').replace(/[.:]$/, '');
