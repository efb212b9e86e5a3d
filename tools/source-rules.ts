import { parseSync } from '@swc/core';
import type { Module, ModuleItem } from '@swc/core';

/** A broken rule and the line (from 1) that it was found on. */
export type SourceFault = { readonly line: number; readonly message: string };

const DOCUMENTED_LAYERS = /^src\/(core|ports|app|client)\//;
const ENVIRONMENT_READER = 'src/server/config.ts';
const BARREL_ALLOWED = /^src\/client\//;

/** A JSDoc block that ends right before a declaration; line comments, for a linter say, may stand between the two. */
const TRAILING_JSDOC = /\/\*\*((?:(?!\*\/)[\s\S])+)\*\/\s*(?:\/\/[^\n]*\n\s*)*$/;

/**
 * Checks one file under `src/` against the rules of the house that no linter knows.
 *
 * What is exported from core, ports, app and client carries a docstring; the environment is read in one file; modules keep no mutable
 * state, are not imported for side effects and do not only re-export. Unit tests are exempt.
 * `path` is relative to the project's root, with forward slashes.
 */
export function checkSource(path: string, code: string): SourceFault[] {
  if (!path.startsWith('src/') || path.endsWith('.test.ts')) return [];
  const module = parseSync(code, { syntax: 'typescript', target: 'esnext' });
  const source = makeSource(code);
  return [
    ...(DOCUMENTED_LAYERS.test(path) ? findUndocumented(module, source) : []),
    ...(path === ENVIRONMENT_READER ? [] : findEnvironmentReads(module, source)),
    ...findModuleState(module, source),
    ...findSideEffectImports(module, source),
    ...(BARREL_ALLOWED.test(path) ? [] : findBarrel(module)),
  ].toSorted((a, b) => a.line - b.line);
}

type Source = { readonly lineOf: (position: number) => number; readonly between: (from: number, to: number) => string };

/** Positions of the parser count bytes from 1. */
function makeSource(code: string): Source {
  const bytes = Buffer.from(code);
  const between = (from: number, to: number): string => bytes.toString('utf8', from - 1, to - 1);
  return { between, lineOf: (position) => between(1, position).split('\n').length };
}

function findUndocumented(module: Module, source: Source): SourceFault[] {
  const faults: SourceFault[] = [];
  const documented = new Set<string>();
  const exported = new Set<string>();
  let previousEnd = 1;
  for (const item of module.body) {
    const names = declaredNames(item);
    const text = TRAILING_JSDOC.exec(source.between(previousEnd, item.span.start))?.[1] ?? '';
    if (/\w/.test(text)) for (const name of names) documented.add(name);
    previousEnd = item.span.end;
  }
  for (const item of module.body) {
    const names = isExported(item) ? declaredNames(item) : exportedLocals(item);
    // Overloads and lists may name a thing again; once is enough.
    for (const name of names.filter((each) => !documented.has(each) && !exported.has(each))) {
      faults.push({ line: source.lineOf(item.span.start), message: `exported \`${name}\` has no docstring` });
    }
    for (const name of names) exported.add(name);
  }
  return faults;
}

function isExported(item: ModuleItem): boolean {
  return item.type === 'ExportDeclaration' || item.type === 'ExportDefaultDeclaration' || item.type === 'ExportDefaultExpression';
}

/** The names that a statement of the module's top level declares. A default export is called `default`. */
function declaredNames(item: ModuleItem): string[] {
  if (item.type === 'ExportDefaultDeclaration' || item.type === 'ExportDefaultExpression') return ['default'];
  const declaration = item.type === 'ExportDeclaration' ? item.declaration : item;
  switch (declaration.type) {
    case 'FunctionDeclaration':
    case 'ClassDeclaration':
      return [declaration.identifier.value];
    case 'TsInterfaceDeclaration':
    case 'TsTypeAliasDeclaration':
    case 'TsEnumDeclaration':
      return [declaration.id.value];
    case 'VariableDeclaration':
      return declaration.declarations.map(({ id }) => (id.type === 'Identifier' ? id.value : 'a destructured constant'));
    default:
      return [];
  }
}

/** The local names behind `export { a, b as c }`; what is exported from another module is documented there. */
function exportedLocals(item: ModuleItem): string[] {
  if (item.type !== 'ExportNamedDeclaration' || item.source) return [];
  return item.specifiers.flatMap((specifier) => (specifier.type === 'ExportSpecifier' ? [specifier.orig.value] : []));
}

function findEnvironmentReads(module: Module, source: Source): SourceFault[] {
  const faults: SourceFault[] = [];
  walk(module, (node) => {
    if (!readsEnvironment(node)) return;
    faults.push({ line: source.lineOf(startOf(node)), message: `reads the environment; only ${ENVIRONMENT_READER} does` });
  });
  return faults;
}

/** `process.env`, `{ env } = process`, `import { env } from 'node:process'`. */
function readsEnvironment(node: Node): boolean {
  switch (node['type']) {
    case 'MemberExpression':
      return isProcess(node['object']) && nameOf(node['property']) === 'env';
    case 'VariableDeclarator':
      return isProcess(node['init']) && bindsEnvironment(node['id']);
    case 'ImportDeclaration': {
      const specifiers = Array.isArray(node['specifiers']) ? node['specifiers'] : [];
      return /^(node:)?process$/.test(nameOf(node['source'])) && specifiers.some((each) => importedName(each) === 'env');
    }
    default:
      return false;
  }
}

function isProcess(node: unknown): boolean {
  if (!isNode(node)) return false;
  return nameOf(node) === 'process' || (node['type'] === 'MemberExpression' && nameOf(node['property']) === 'process');
}

function bindsEnvironment(pattern: unknown): boolean {
  if (!isNode(pattern) || !Array.isArray(pattern['properties'])) return false;
  return pattern['properties'].some((property) => isNode(property) && nameOf(property['key']) === 'env');
}

function importedName(specifier: unknown): string {
  if (!isNode(specifier) || specifier['type'] !== 'ImportSpecifier') return '';
  return nameOf(specifier['imported'] ?? specifier['local']);
}

/** The text of an identifier, a string, or a computed key that is a string. */
function nameOf(node: unknown): string {
  if (!isNode(node)) return '';
  if (node['type'] === 'Computed') return nameOf(node['expression']);
  return (node['type'] === 'Identifier' || node['type'] === 'StringLiteral') && typeof node['value'] === 'string' ? node['value'] : '';
}

function findModuleState(module: Module, source: Source): SourceFault[] {
  return module.body.flatMap((item) => {
    const declaration = item.type === 'ExportDeclaration' ? item.declaration : item;
    if (declaration.type !== 'VariableDeclaration' || declaration.kind === 'const') return [];
    return [{ line: source.lineOf(item.span.start), message: `\`${declaration.kind}\` at module level is state that every user shares` }];
  });
}

function findSideEffectImports(module: Module, source: Source): SourceFault[] {
  return module.body.flatMap((item) =>
    item.type === 'ImportDeclaration' && item.specifiers.length === 0
      ? [{ line: source.lineOf(item.span.start), message: `imports \`${item.source.value}\` for its side effects` }]
      : [],
  );
}

function findBarrel(module: Module): SourceFault[] {
  const statements = module.body.filter((item) => item.type !== 'ImportDeclaration');
  const only = statements.every((item) => item.type === 'ExportAllDeclaration' || item.type === 'ExportNamedDeclaration');
  return only && statements.length > 0 ? [{ line: 1, message: 'a barrel file: import from where things are declared' }] : [];
}

type Node = { readonly [field: string]: unknown };

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function startOf(node: Node): number {
  const { span } = node;
  return isNode(span) && typeof span['start'] === 'number' ? span['start'] : 1;
}

function walk(value: unknown, visit: (node: Node) => void): void {
  if (Array.isArray(value)) {
    for (const each of value) walk(each, visit);
  } else if (isNode(value)) {
    visit(value);
    for (const each of Object.values(value)) walk(each, visit);
  }
}
