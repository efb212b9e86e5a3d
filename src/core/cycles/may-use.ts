/** Permissions that stand in for another one, beside the wildcards. Every key that may reserve may also report what it did not reserve. */
const STANDS_IN: Readonly<Record<string, readonly string[]>> = { 'events:create': ['reservations:create'] };

/**
 * Whether a key with `permissions` may do what asks for `wanted`, such as `budgets:write`.
 *
 * It may by that very permission, by the granular one of the same name below `admin:` (`admin:budgets:write`), and by the wildcards:
 * `admin:read` for every `*:read`, `admin:write` for every `*:write`, and neither for the other. Source: Cycles governance, `Permission`.
 */
export function mayUse(permissions: readonly string[], wanted: string): boolean {
  const has = (name: string): boolean => permissions.includes(name);
  if (has(wanted) || has(`admin:${wanted}`)) return true;
  if (wanted.endsWith(':read') && has('admin:read')) return true;
  if (wanted.endsWith(':write') && has('admin:write')) return true;
  return STANDS_IN[wanted]?.some(has) ?? false;
}
