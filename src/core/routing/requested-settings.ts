import { accepted, type Outcome } from '../rejection.ts';
import { parseRequestedSettings, REQUEST_FIELDS, type Preference, type ProjectSettings, type RequestedSettings } from './settings.ts';

type Fields = Readonly<Record<string, unknown>>;

/** A body without the router's fields, and what these ask for; null where there are none, and then the body is the one that was given. */
export interface TakenSettings {
  readonly body: Fields;
  readonly requested: RequestedSettings | null;
}

/** The lists among the router's fields. */
const LISTS: ReadonlySet<string> = new Set(['allowed_providers', 'fallbacks']);
/** Those that are text; the rest are true or false. */
const TEXTS: ReadonlySet<string> = new Set(['preference']);

/** The router's fields as a form may name them: a list with brackets, too. They are never sent upstream. */
export const ROUTER_FORM_FIELDS: ReadonlySet<string> = new Set(
  REQUEST_FIELDS.flatMap((field) => (LISTS.has(field) ? [field, `${field}[]`] : [field])),
);

/**
 * Takes the router's fields out of a JSON body. Null counts as not asked. Rejects: `invalid_request`, naming the field, whether or not
 * the project lets the call choose.
 */
export function takeRequestedSettings(body: Fields): Outcome<TakenSettings> {
  if (!REQUEST_FIELDS.some((field) => Object.hasOwn(body, field))) return accepted({ body, requested: null });
  return take(body, body, REQUEST_FIELDS);
}

/**
 * The same for the fields of a form, which are texts: `true` and `false` for a flag, a field for each entry of a list, which may be
 * named with brackets.
 */
export function takeFormSettings(fields: Fields): Outcome<TakenSettings> {
  const names = [...ROUTER_FORM_FIELDS].filter((name) => Object.hasOwn(fields, name));
  if (names.length === 0) return accepted({ body: fields, requested: null });
  const given: Record<string, unknown> = {};
  for (const name of names) {
    const value = fields[name];
    const field = name.endsWith('[]') ? name.slice(0, -2) : name;
    if (LISTS.has(field))
      given[field] = [...((given[field] ?? []) as readonly unknown[]), ...(Array.isArray(value) ? (value as readonly unknown[]) : [value])];
    else if (TEXTS.has(field)) given[field] = value;
    else given[field] = value === 'true' ? true : value === 'false' ? false : value;
  }
  return take(fields, given, [...ROUTER_FORM_FIELDS]);
}

function take(body: Fields, given: Fields, names: readonly string[]): Outcome<TakenSettings> {
  const requested = parseRequestedSettings(given);
  if (!requested.ok) return requested;
  const rest: Record<string, unknown> = { ...body };
  for (const name of names) delete rest[name];
  const isEmpty = Object.keys(requested.value).length === 0;
  return accepted({ body: rest, requested: isEmpty ? null : requested.value });
}

/**
 * What the upstreams of a call are ranked for, where its project or it has said so; null where neither has, and then they keep the order
 * of their weights. The call's word counts where the project allows it.
 */
export function rankingPreference(project: ProjectSettings | undefined, requested: RequestedSettings | null): Preference | null {
  const own = project === undefined || project.allowOverwrite ? requested?.preference : undefined;
  return own ?? project?.inference.preference ?? null;
}
