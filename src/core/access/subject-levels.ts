import { deriveScopes, type Subject } from '../cycles/subject.ts';
import { MAX_LEVEL_LENGTH, SUBJECT_LEVELS, type SubjectLevel } from '../cycles/scope.ts';
import type { ApiKey } from '../records.ts';
import { accepted, rejected, type Outcome } from '../rejection.ts';
import { invalid, type Refusal } from './rules.ts';

/** A level that a key may pin, or leave to its caller: all but the tenant. */
export type CallerLevel = Exclude<SubjectLevel, 'tenant'>;

/** Those levels, in the order in which they stand in a scope path. */
export const CALLER_LEVELS: readonly CallerLevel[] = SUBJECT_LEVELS.filter((level) => level !== 'tenant');

/** The header in which a caller fills a level, in lower case. Source: architecture section 5. */
const subjectHeader = (level: CallerLevel): string => `x-castellan-${level}`;

const HEADERS = CALLER_LEVELS.map((level) => [level, subjectHeader(level)] as const);

const PATTERN = /^[A-Za-z0-9_.*-]+$/;

const isCallerLevel = (name: string): name is CallerLevel => CALLER_LEVELS.some((level) => level === name);

const LEVEL_RULE = `name levels out of ${CALLER_LEVELS.join(', ')}`;

/**
 * Refuses levels of a key that break a rule: names of no level, values that no scope can hold, a pattern of other characters, a level that is
 * pinned and open at once. Null where nothing is wrong.
 */
export function checkKeyLevels(levels: ApiKey['levels'], callerLevels: ApiKey['callerLevels']): Refusal | null {
  for (const [name, value] of Object.entries(levels ?? {})) {
    if (!isCallerLevel(name)) return invalid('levels', LEVEL_RULE);
    if (value.trim() === '' || !deriveScopes({ [name]: value }).ok)
      return invalid(`levels.${name}`, `have 1 to ${MAX_LEVEL_LENGTH} letters, digits, ".", "_" and "-"`);
  }
  for (const [name, { pattern }] of Object.entries(callerLevels ?? {})) {
    if (!isCallerLevel(name)) return invalid('caller_levels', LEVEL_RULE);
    if (levels?.[name] !== undefined) return invalid(`caller_levels.${name}`, 'not name a level that the key pins');
    if (!PATTERN.test(pattern) || pattern.length > MAX_LEVEL_LENGTH)
      return invalid(`caller_levels.${name}.pattern`, `have 1 to ${MAX_LEVEL_LENGTH} letters, digits, ".", "_", "-" and "*"`);
  }
  return null;
}

/** Whether `value` is what `pattern` allows; `*` stands for any characters, none among them. Both are compared in lower case. */
export function fitsPattern(value: string, pattern: string): boolean {
  const [head = '', ...tail] = pattern.toLowerCase().split('*');
  const text = value.toLowerCase();
  if (tail.length === 0) return text === head;
  const end = tail.pop() ?? '';
  if (!text.startsWith(head) || text.length < head.length + end.length || !text.endsWith(end)) return false;
  let at = head.length;
  const last = text.length - end.length;
  for (const piece of tail) {
    const found = text.indexOf(piece, at);
    if (found === -1 || found + piece.length > last) return false;
    at = found + piece.length;
  }
  return true;
}

const refuse = (header: string, rule: string): Outcome<never> =>
  rejected({ code: 'invalid_request', message: `the header ${header} must ${rule}`, field: header });

/**
 * The scopes of a call, the tenant's first: of its key's pinned levels, and of those that the key leaves open and the caller fills by
 * {@link subjectHeader}. A caller never chooses which budget it is spared.
 *
 * Refuses with `invalid_request`, naming the header: a level that the key does not leave open, a value that its pattern or a scope does
 * not allow, and none where the key requires one. Source: architecture section 5, subjects of gateway calls.
 */
export function callScopes(
  key: Pick<ApiKey, 'levels' | 'callerLevels'>,
  tenantId: string,
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
): Outcome<readonly string[]> {
  const { levels, callerLevels } = key;
  let filled: Partial<Record<CallerLevel, string>> | null = null;
  for (const [level, header] of HEADERS) {
    const given = headers[header];
    const open = callerLevels?.[level];
    if (given === undefined || (open !== undefined && !open.required && given === '')) {
      if (open?.required === true) return refuse(header, 'be sent: the key requires it');
      continue;
    }
    if (open === undefined) return refuse(header, 'not be sent: the key does not leave this level to its caller');
    if (typeof given !== 'string' || !fitsPattern(given, open.pattern)) return refuse(header, `match ${open.pattern}`);
    if (!deriveScopes({ [level]: given }).ok) return refuse(header, 'be made of letters, digits, ".", "_" and "-"');
    filled ??= {};
    filled[level] = given;
  }
  const root = `tenant:${tenantId}`;
  if (filled === null && levels === undefined) return accepted([root]);
  const subject: Subject = { ...levels, ...filled, tenant: tenantId };
  const derived = deriveScopes(subject);
  return derived.ok ? accepted(derived.value.scopes) : derived;
}

/** The scopes of every call of a key, whatever its caller fills in: of the levels that it pins above the first one that is open. */
export function pinnedScopes(key: Pick<ApiKey, 'levels' | 'callerLevels'>, tenantId: string): readonly string[] {
  const { levels } = key;
  if (levels === undefined) return [`tenant:${tenantId}`];
  const subject: Record<string, string> = { tenant: tenantId };
  for (const level of CALLER_LEVELS) {
    if (key.callerLevels?.[level] !== undefined) break;
    if (levels[level] !== undefined) subject[level] = levels[level];
  }
  const derived = deriveScopes(subject);
  return derived.ok ? derived.value.scopes : [`tenant:${tenantId}`];
}
