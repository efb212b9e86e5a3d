import { accepted, rejected, type Outcome } from '../rejection.ts';

/** The levels of a subject, in the order in which they stand in a scope path. Source: Cycles protocol, SCOPE DERIVATION. */
export const SUBJECT_LEVELS = ['tenant', 'workspace', 'app', 'workflow', 'agent', 'toolset'] as const;

/** A level of a subject. */
export type SubjectLevel = (typeof SUBJECT_LEVELS)[number];

/** Longest value of a level. Source: Cycles protocol, `Subject`. */
export const MAX_LEVEL_LENGTH = 128;

/** One step of a scope path, such as `app:bot`. */
export interface ScopeSegment {
  readonly level: SubjectLevel;
  readonly value: string;
}

/** A scope path in its canonical form, taken apart. `tenantId` is the value of its first segment. */
export interface ParsedScope {
  readonly path: string;
  readonly tenantId: string;
  readonly segments: readonly ScopeSegment[];
}

const VALUE = /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/;

const isLevel = (text: string): text is SubjectLevel => SUBJECT_LEVELS.some((level) => level === text);

const refuse = (field: string, rule: string): Outcome<never> =>
  rejected({ code: 'invalid_request', message: `${field} must ${rule}`, field });

/**
 * Reads the scope of a budget, such as `tenant:acme/app:bot`: `level:value` joined by `/`, the tenant first, levels in their order with
 * gaps allowed, none twice. Letters are taken in lower case, which is how the path of the answer is written.
 *
 * Values have 1 to 128 letters, digits, `.`, `_` and `-`, and begin and end with a letter or digit. Refuses all else with
 * `invalid_request` on `field`. Source: the scope validator of the Cycles governance plane.
 */
export function parseScope(text: string, field = 'scope'): Outcome<ParsedScope> {
  const segments: ScopeSegment[] = [];
  let last = -1;
  for (const part of text.toLowerCase().split('/')) {
    const colon = part.indexOf(':');
    const level = part.slice(0, Math.max(colon, 0));
    const value = part.slice(colon + 1);
    if (!isLevel(level)) return refuse(field, `be made of parts such as tenant:acme, each of one of ${SUBJECT_LEVELS.join(', ')}`);
    const rank = SUBJECT_LEVELS.indexOf(level);
    if (rank <= last) return refuse(field, `name its levels in the order ${SUBJECT_LEVELS.join(', ')}, each once`);
    if (segments.length === 0 && rank !== 0) return refuse(field, 'begin with tenant:');
    if (value.length > MAX_LEVEL_LENGTH || !VALUE.test(value)) {
      return refuse(
        field,
        `have for ${level} 1 to ${MAX_LEVEL_LENGTH} letters, digits, ".", "_" and "-", beginning and ending with a letter or digit`,
      );
    }
    last = rank;
    segments.push({ level, value });
  }
  const path = segments.map(({ level, value }) => `${level}:${value}`).join('/');
  return accepted({ path, tenantId: segments[0]?.value ?? '', segments });
}

/** Whether `scope` is `prefix` or lies below it, by whole segments: `tenant:ab` does not lie below `tenant:a`. */
export const isWithin = (scope: string, prefix: string): boolean =>
  scope === prefix || (scope.length > prefix.length && scope[prefix.length] === '/' && scope.startsWith(prefix));

/** The last segment of a scope path, such as `app:bot`: how the runtime plane names a budget beside its path. */
export const lastSegment = (scope: string): string => scope.slice(scope.lastIndexOf('/') + 1);

/** An entry of a key's scope filter that is written as a path: below or at it, or with a final `/*` below it only. */
function pathCovers(entry: string, scope: string): boolean {
  if (!entry.endsWith('/*')) return isWithin(scope, entry);
  const prefix = entry.slice(0, -2);
  return scope !== prefix && isWithin(scope, prefix);
}

/**
 * Whether a key with the scope filter `entries` may act on `scope`, a path that begins with its tenant.
 *
 * An entry is a segment (`workspace:eng`), a level (`agent:*`), or a path. Entries of one level are alternatives; levels restrict each
 * other, so that `["workspace:eng", "agent:*"]` is all of that workspace and nothing outside, whatever the agent. A filter of levels
 * alone asks for one of them to be there. An empty filter covers everything. Source: Cycles governance, `ApiKey.scope_filter`.
 */
export function filterCovers(entries: readonly string[], scope: string): boolean {
  if (entries.length === 0) return true;
  const filters = entries.map((entry) => entry.trim().toLowerCase());
  const segments = scope.split('/');
  const paths = filters.filter((entry) => entry.includes('/'));
  if (paths.length > 0 && !paths.some((entry) => pathCovers(entry, scope))) return false;
  const single = filters.filter((entry) => !entry.includes('/'));
  const wholeLevels = new Set(single.filter((entry) => entry.endsWith(':*')).map((entry) => entry.slice(0, -1)));
  const named = single.filter((entry) => !entry.endsWith(':*'));
  const restricted = new Set(named.map((entry) => entry.slice(0, entry.indexOf(':') + 1)));
  let isNamed = paths.length > 0;
  for (const level of restricted) {
    if (wholeLevels.has(level)) continue;
    if (!named.some((entry) => entry.startsWith(level) && segments.includes(entry))) return false;
    isNamed = true;
  }
  return isNamed || segments.some((segment) => wholeLevels.has(segment.slice(0, segment.indexOf(':') + 1)));
}

/**
 * A condition on a scope path: that it is `text` or lies below it (`within`), lies below it (`below`), has the segment `text`
 * (`segment`), or has a segment that begins with `text`, such as `agent:` (`level`).
 */
export interface ScopeCondition {
  readonly kind: 'within' | 'below' | 'segment' | 'level';
  readonly text: string;
}

/**
 * {@link filterCovers} as conditions that a store can look for: a scope is covered where of each list one condition holds. Empty for a
 * filter that covers everything.
 */
export function conditionsOf(entries: readonly string[]): readonly (readonly ScopeCondition[])[] {
  const filters = entries.map((entry) => entry.trim().toLowerCase());
  const lists: ScopeCondition[][] = [];
  const paths = filters.filter((entry) => entry.includes('/'));
  if (paths.length > 0) {
    lists.push(
      paths.map((entry) => (entry.endsWith('/*') ? { kind: 'below', text: entry.slice(0, -2) } : { kind: 'within', text: entry })),
    );
  }
  const single = filters.filter((entry) => !entry.includes('/'));
  const wholeLevels = [...new Set(single.filter((entry) => entry.endsWith(':*')).map((entry) => entry.slice(0, -1)))];
  const named = single.filter((entry) => !entry.endsWith(':*'));
  const restricted = new Set(named.map((entry) => entry.slice(0, entry.indexOf(':') + 1)).filter((level) => !wholeLevels.includes(level)));
  for (const level of restricted) {
    lists.push(named.filter((entry) => entry.startsWith(level)).map((text) => ({ kind: 'segment', text })));
  }
  if (lists.length === 0 && wholeLevels.length > 0) lists.push(wholeLevels.map((text) => ({ kind: 'level', text })));
  return lists;
}

function meets(scope: string, { kind, text }: ScopeCondition): boolean {
  if (kind === 'within') return isWithin(scope, text);
  if (kind === 'below') return scope !== text && isWithin(scope, text);
  return `/${scope}/`.includes(kind === 'segment' ? `/${text}/` : `/${text}`);
}

/** Whether `scope` meets one condition of each list. */
export const meetsOneOfEach = (scope: string, lists: readonly (readonly ScopeCondition[])[]): boolean =>
  lists.every((conditions) => conditions.some((condition) => meets(scope, condition)));
