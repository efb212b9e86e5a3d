/**
 * Something that an upstream keeps for a tenant under `id`, such as a stored response or an item of one. `model` is what callers name it by
 * here. `tokens` is what a response adds at most to the prompt of a call that builds on it; null where nobody knows.
 */
export interface UpstreamObject {
  readonly tenantId: string;
  readonly id: string;
  readonly upstreamId: string;
  readonly model: string;
  readonly tokens: number | null;
  readonly atMs: number;
}

/** An object as a call met it: whose it is and when it was met are the command's to say. */
export type MetObject = Omit<UpstreamObject, 'tenantId' | 'atMs'>;

/** How long an object is remembered. Upstreams keep responses for 30 days. */
export const UPSTREAM_OBJECTS_KEEP_MS = 40 * 24 * 60 * 60 * 1000;

/** A response has more items than this only by mistake; further ones are not remembered. */
const MAX_ITEMS = 256;

/** The effects of remembering objects. */
export const keepEffects = (tenantId: string, objects: readonly MetObject[], nowMs: number) =>
  objects.map((object) => ({
    type: 'upstream-object' as const,
    tenantId,
    id: object.id,
    object: { ...object, tenantId, atMs: nowMs },
  }));

/**
 * What an upstream keeps of a response: itself, and each item of its output that has an id. `tokens` is the whole of its usage, since a
 * call that builds on it reads its prompt and its output again. Empty where the response has no id.
 */
export function objectsOfResponse(
  response: Readonly<Record<string, unknown>>,
  kept: { readonly upstreamId: string; readonly model: string; readonly tokens: number | null },
): MetObject[] {
  const { id, output } = response;
  if (typeof id !== 'string' || id === '') return [];
  const items = (Array.isArray(output) ? (output as readonly unknown[]) : []).slice(0, MAX_ITEMS);
  const ids = items.flatMap((item) => {
    const itemId = typeof item === 'object' && item !== null ? (item as Readonly<Record<string, unknown>>)['id'] : null;
    return typeof itemId === 'string' && itemId !== '' && itemId !== id ? [itemId] : [];
  });
  return [{ id, ...kept }, ...[...new Set(ids)].map((itemId) => ({ id: itemId, ...kept, tokens: null }))];
}
