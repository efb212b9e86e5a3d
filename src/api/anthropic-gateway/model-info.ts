import type { Model } from '../../core/records.ts';
import { formatRfc3339 } from '../../core/rfc3339.ts';

/** A model in Anthropic's form, under the name that it may be called by. What only Anthropic knows of its own models is null. */
export const modelInfo = (model: Model, name: string) => ({
  type: 'model',
  id: name,
  display_name: name,
  created_at: formatRfc3339(model.createdAtMs),
  max_input_tokens: model.contextTokens,
  max_tokens: model.maxOutputTokens,
  capabilities: null,
  line: null,
  lifecycle: 'active',
  deprecated_at: null,
  retires_at: null,
});

/** A page of a list in Anthropic's form. */
export interface ModelInfoPage {
  readonly data: readonly ReturnType<typeof modelInfo>[];
  readonly has_more: boolean;
  readonly first_id: string | null;
  readonly last_id: string | null;
}

/** Which page is wanted: `limit` items after, or before, the one named so; null where none is named. */
export interface WantedModels {
  readonly limit: number;
  readonly afterId: string | null;
  readonly beforeId: string | null;
}

/** The page of `all`, which stands in the order of the list; null where it has no item of the name that the page is to begin at. */
export function pageOfModels(all: ModelInfoPage['data'], { limit, afterId, beforeId }: WantedModels): ModelInfoPage | null {
  const place = (name: string): number => all.findIndex(({ id }) => id === name);
  let [from, to] = [0, limit];
  if (afterId !== null) {
    if (place(afterId) < 0) return null;
    from = place(afterId) + 1;
    to = from + limit;
  } else if (beforeId !== null) {
    to = place(beforeId);
    if (to < 0) return null;
    from = Math.max(0, to - limit);
  }
  const data = all.slice(from, to);
  const hasMore = beforeId === null ? to < all.length : from > 0;
  return { data, has_more: hasMore, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
}
