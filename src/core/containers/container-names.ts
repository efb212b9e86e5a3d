import { firstOf, invalid, type Refusal } from '../access/rules.ts';

const NAME = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;
const MAX_LABEL_LENGTH = 63;
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,255}$/;
const MAX_VARIABLES = 256;
const MAX_VARIABLE_BYTES = 32_768;
const MAX_VARIABLES_BYTES = 262_144;
/** Names of secrets, or of keys, that a container may list. */
export const MAX_LISTED = 256;
const MAX_GROUP_LENGTH = 128;
const MAX_ORDER = 1_000_000;
const CONTROL = /[\u0000-\u001f\u007f]/;
/** Letters of a label that is too long for DNS before its hash. Source: Tinfoil reference section 4, names. */
const CUT_LENGTH = 54;

/**
 * Checks the name of a container: lower-case letters, digits and hyphens, at most 64. It begins and ends with a letter or digit, as a label of a domain
 * does. Source: Tinfoil Admin API, validate container name.
 */
export const checkContainerName = (name: string): Refusal | null =>
  NAME.test(name) ? null : invalid('name', 'have 1 to 64 lower-case letters, digits and hyphens, and start and end with a letter or digit');

/** FNV-1a of 32 bits, as 8 hex digits: for telling long names apart, not for security. */
function shortHash(text: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  }
  return hash.toString(16).padStart(8, '0');
}

/** The label of a name in a domain: the name itself, or where DNS has no room for it, its beginning and a hash. */
const domainLabel = (name: string): string => (name.length <= MAX_LABEL_LENGTH ? name : `${name.slice(0, CUT_LENGTH)}-${shortHash(name)}`);

/** The domain that a container has by itself: `<name>.<tenant>.<base>`, with `debug` between where it is in debug mode. */
export function generatedDomain(
  of: { readonly name: string; readonly debug: boolean; readonly tenantId: string },
  baseDomain: string,
): string {
  const { name, debug, tenantId } = of;
  return [domainLabel(name), ...(debug ? ['debug'] : []), domainLabel(tenantId), baseDomain].join('.');
}

/** Checks variables: names of the environment, texts, at most 256 of them and 256 KiB in all. */
export function checkVariables(variables: Readonly<Record<string, string>>): Refusal | null {
  const pairs = Object.entries(variables);
  if (pairs.length > MAX_VARIABLES) return invalid('variables', `hold at most ${MAX_VARIABLES} variables`);
  let total = 0;
  for (const [name, value] of pairs) {
    if (!VARIABLE_NAME.test(name)) return invalid('variables', 'have names of letters, digits and underscores that start with no digit');
    if (value.includes('\u0000')) return invalid(`variables.${name}`, 'not hold a NUL character');
    const bytes = new TextEncoder().encode(value).length;
    if (bytes > MAX_VARIABLE_BYTES) return invalid(`variables.${name}`, `be at most ${MAX_VARIABLE_BYTES} bytes`);
    total += bytes + name.length;
  }
  return total <= MAX_VARIABLES_BYTES ? null : invalid('variables', `be at most ${MAX_VARIABLES_BYTES} bytes in all`);
}

/** Checks a list of names of secrets or keys: no more than 256, each once. Whether they exist is another question. */
export function checkNames(field: string, names: readonly string[]): Refusal | null {
  if (names.length > MAX_LISTED) return invalid(field, `hold at most ${MAX_LISTED} names`);
  return new Set(names).size === names.length ? null : invalid(field, 'hold each name once');
}

/** Checks the name of a group; null stands for none. */
export function checkGroupName(name: string | null, field = 'group_name'): Refusal | null {
  if (name === null) return null;
  const isGood = name.trim().length > 0 && name.length <= MAX_GROUP_LENGTH && !CONTROL.test(name);
  return isGood ? null : invalid(field, `have 1 to ${MAX_GROUP_LENGTH} characters, and no control characters`);
}

/** Checks a place in a list. */
export const checkOrder = (field: string, order: number): Refusal | null =>
  Number.isSafeInteger(order) && Math.abs(order) <= MAX_ORDER
    ? null
    : invalid(field, `be a whole number from -${MAX_ORDER} to ${MAX_ORDER}`);

/** Checks where a container stands in lists. */
export const checkPlace = (place: {
  readonly groupName: string | null;
  readonly groupOrder: number;
  readonly displayOrder: number;
}): Refusal | null =>
  firstOf(checkGroupName(place.groupName), checkOrder('group_order', place.groupOrder), checkOrder('display_order', place.displayOrder));
