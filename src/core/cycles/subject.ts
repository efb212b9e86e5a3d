import { accepted, rejected, type Outcome } from '../rejection.ts';
import { MAX_LEVEL_LENGTH, SUBJECT_LEVELS, type SubjectLevel } from './scope.ts';

/** Whom a spend is for. A level that is absent or blank is not given; `dimensions` say nothing about scopes. Source: Cycles protocol, `Subject`. */
export type Subject = { readonly [L in SubjectLevel]?: string } & { readonly dimensions?: Readonly<Record<string, string>> };

/** The scopes of a subject in canonical order, and the last and deepest of them. `tenant` is the one named, in lower case; null for none. */
export interface DerivedScopes {
  readonly tenant: string | null;
  readonly scopes: readonly string[];
  readonly path: string;
}

const VALUE = /^[A-Za-z0-9_.-]+$/;

const refuse = (field: string, message: string): Outcome<never> => rejected({ code: 'invalid_request', message, field });

/**
 * The scopes that a subject's spend counts in: one for each level given, each with those above it, such as `tenant:acme` and
 * `tenant:acme/app:bot`. Levels that are not given leave no gap behind. Values are taken in lower case.
 *
 * Refuses with `invalid_request`, naming the field: a value above 128 characters, one with other characters than letters, digits, `.`,
 * `_` and `-`, and a subject without any level. Source: Cycles protocol, SCOPE DERIVATION and `Subject`.
 */
export function deriveScopes(subject: Subject): Outcome<DerivedScopes> {
  const scopes: string[] = [];
  let path = '';
  for (const level of SUBJECT_LEVELS) {
    const value = subject[level];
    if (value === undefined || value.trim() === '') continue;
    const field = `subject.${level}`;
    if (value.length > MAX_LEVEL_LENGTH) return refuse(field, `${field} must have at most ${MAX_LEVEL_LENGTH} characters`);
    if (!VALUE.test(value)) return refuse(field, `${field} must contain only letters, digits, ".", "_" and "-"`);
    path += `${path === '' ? '' : '/'}${level}:${value.toLowerCase()}`;
    scopes.push(path);
  }
  if (scopes.length === 0) return refuse('subject', `subject must name at least one of ${SUBJECT_LEVELS.join(', ')}`);
  const tenant = subject.tenant?.trim() ?? '';
  return accepted({ tenant: tenant === '' ? null : tenant.toLowerCase(), scopes, path });
}
