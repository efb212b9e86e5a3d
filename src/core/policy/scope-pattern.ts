import { isWithin, SUBJECT_LEVELS, MAX_LEVEL_LENGTH } from '../cycles/scope.ts';
import { accepted, rejected, type Outcome } from '../rejection.ts';

/** One part of a pattern: a segment of a scope, any segment of one level, or one segment or more of any kind. */
type Part =
  | { readonly kind: 'segment'; readonly text: string }
  | { readonly kind: 'level'; readonly prefix: string }
  | { readonly kind: 'any' };

/** A pattern of scopes, read. `specificity` compares two patterns of one tenant: of two that match, the greater one is the narrower. */
export interface ScopePattern {
  /** The pattern as it is kept: in lower case. */
  readonly text: string;
  readonly specificity: number;
  matches(scope: string): boolean;
}

const VALUE = /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/;

const refuse = (field: string, rule: string): Outcome<never> =>
  rejected({ code: 'invalid_request', message: `${field} must ${rule}`, field });

function readPart(text: string): Part | null {
  if (text === '*') return { kind: 'any' };
  const colon = text.indexOf(':');
  const level = text.slice(0, Math.max(0, colon));
  const value = text.slice(colon + 1);
  if (!SUBJECT_LEVELS.some((known) => known === level)) return null;
  if (value === '*') return { kind: 'level', prefix: `${level}:` };
  return value.length <= MAX_LEVEL_LENGTH && VALUE.test(value) ? { kind: 'segment', text } : null;
}

const rankOf = (part: Part): number => {
  if (part.kind === 'any') return -1;
  const name = part.kind === 'level' ? part.prefix : part.text;
  return SUBJECT_LEVELS.findIndex((level) => name.startsWith(`${level}:`));
};

/** Whether `parts` from `at` match all of `segments` from `from`. */
function matchFrom(parts: readonly Part[], at: number, segments: readonly string[], from: number): boolean {
  const part = parts[at];
  if (part === undefined) return from === segments.length;
  const segment = segments[from];
  if (segment === undefined) return false;
  switch (part.kind) {
    case 'segment':
      return segment === part.text && matchFrom(parts, at + 1, segments, from + 1);
    case 'level':
      return segment.startsWith(part.prefix) && matchFrom(parts, at + 1, segments, from + 1);
    case 'any':
      for (let next = from + 1; next <= segments.length; next++) if (matchFrom(parts, at + 1, segments, next)) return true;
      return false;
  }
}

/** Values that are named weigh most, then levels, then how deep it reaches. The tenant is every pattern's own and weighs least. */
function specificityOf(parts: readonly Part[]): number {
  const weights = parts.map((part) => {
    if (part.kind === 'any') return 10;
    if (part.kind === 'level') return 100;
    return part.text.startsWith('tenant:') ? 1 : 10_000;
  });
  return weights.reduce((sum, weight) => sum + weight, 0);
}

/**
 * Reads a pattern of scopes: a scope (`tenant:acme/app:bot`: that very one), `tenant:acme/*` (all below it), `agent:*` or
 * `tenant:acme/agent:*` (any agent; the second directly below the tenant only), and those with a star in front, such as the one for
 * `agent:bot` wherever it stands.
 *
 * A pattern that does not begin with a tenant or a star matches at any depth. It is rooted in its owner: a policy is looked at for the
 * scopes of `tenantId` alone, and one that names another tenant is refused. Levels come in their order, each once; a star stands first
 * or last. Letters are taken in lower case. Refuses all else with `invalid_request` on `field`. Source: Cycles governance, SCOPE PATTERNS.
 */
export function parseScopePattern(text: string, tenantId: string, field = 'scope_pattern'): Outcome<ScopePattern> {
  const lower = text.toLowerCase();
  const parts: Part[] = [];
  let last = -1;
  const names = lower.split('/');
  for (const [index, name] of names.entries()) {
    const part = readPart(name);
    if (part === null) return refuse(field, 'be made of parts such as tenant:acme, agent:* or *, joined by /');
    if (part.kind === 'any' && index !== 0 && index !== names.length - 1) return refuse(field, 'have * as its first or last part only');
    const rank = rankOf(part);
    if (part.kind !== 'any') {
      if (rank <= last) return refuse(field, `name its levels in the order ${SUBJECT_LEVELS.join(', ')}, each once`);
      if (rank === 0 && index > 0) return refuse(field, 'have the tenant as its first part');
      last = rank;
    }
    parts.push(part);
  }
  const [first] = parts;
  if (first?.kind === 'segment' && first.text.startsWith('tenant:') && first.text !== `tenant:${tenantId}`)
    return refuse(field, `lie within tenant:${tenantId}`);
  return accepted({ text: lower, specificity: specificityOf(parts), matches: matcherOf(parts) });
}

function matcherOf(parts: readonly Part[]): (scope: string) => boolean {
  const [first, second] = parts;
  const isRooted = first?.kind === 'any' || (first !== undefined && rankOf(first) === 0);
  // The usual forms without a walk.
  if (isRooted && first?.kind === 'segment' && parts.length === 1) return (scope) => scope === first.text;
  if (first?.kind === 'segment' && second?.kind === 'any' && parts.length === 2 && isRooted)
    return (scope) => scope !== first.text && isWithin(scope, first.text);
  if (isRooted) return (scope) => matchFrom(parts, 0, scope.split('/'), 0);
  return (scope) => {
    const segments = scope.split('/');
    for (let from = 0; from < segments.length; from++) if (matchFrom(parts, 0, segments, from)) return true;
    return false;
  };
}
