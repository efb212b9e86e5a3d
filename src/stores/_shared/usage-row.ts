import type { UsageEvent } from '../../core/usage/usage-event.ts';

/** The columns of a usage event, in the order of {@link usageValues}; `usage_tail` and `usage_events` have the same. */
export const USAGE_COLUMNS = [
  'id',
  'tenant_id',
  'key_id',
  'model',
  'upstream_id',
  'price_id',
  'route',
  'at_ms',
  'held_at_ms',
  'requests',
  'prompt_tokens',
  'completion_tokens',
  'cached_prompt_tokens',
  'reasoning_tokens',
  'cost_nano_usd',
  'charge_microcents',
  'streaming',
  'estimated',
  'interrupted',
  'media_unit',
  'media_quantity',
  'cache_write_prompt_tokens',
  'debit_currency',
  'debit_per_usd_nanos',
  'debit_microcents',
] as const;

/** A usage row as both drivers give it: every integer as a bigint, flags as 0 or 1. */
export type UsageRow = { readonly [C in (typeof USAGE_COLUMNS)[number]]: C extends UsageTextColumn ? string : bigint };

type UsageTextColumn = 'id' | 'tenant_id' | 'key_id' | 'model' | 'upstream_id' | 'price_id' | 'route' | 'media_unit' | 'debit_currency';

/** The row of an event. Counts and moments are numbers, money bigints, flags 0 or 1. */
export const usageValues = (event: UsageEvent): (string | number | bigint)[] => [
  event.id,
  event.tenantId,
  event.keyId,
  event.model,
  event.upstreamId,
  event.priceId,
  event.route,
  event.atMs,
  event.heldAtMs,
  event.requests,
  event.promptTokens,
  event.completionTokens,
  event.cachedPromptTokens,
  event.reasoningTokens,
  event.costNanoUsd,
  event.chargeMicrocents,
  event.streaming ? 1 : 0,
  event.estimated ? 1 : 0,
  event.interrupted ? 1 : 0,
  event.media?.unit ?? '',
  event.media?.quantity ?? 0,
  event.cacheWritePromptTokens ?? 0,
  event.debit?.currency ?? '',
  event.debit?.perUsdNanos ?? 0,
  event.debit?.microcents ?? 0n,
];

/** The event of a row. */
export const usageFromRow = (row: UsageRow): UsageEvent => ({
  id: row.id,
  tenantId: row.tenant_id,
  keyId: row.key_id,
  model: row.model,
  upstreamId: row.upstream_id,
  priceId: row.price_id,
  route: row.route,
  atMs: Number(row.at_ms),
  heldAtMs: Number(row.held_at_ms),
  requests: Number(row.requests),
  promptTokens: Number(row.prompt_tokens),
  completionTokens: Number(row.completion_tokens),
  cachedPromptTokens: Number(row.cached_prompt_tokens),
  reasoningTokens: Number(row.reasoning_tokens),
  costNanoUsd: row.cost_nano_usd,
  chargeMicrocents: row.charge_microcents,
  streaming: Boolean(row.streaming),
  estimated: Boolean(row.estimated),
  interrupted: Boolean(row.interrupted),
  ...(Number(row.cache_write_prompt_tokens) === 0 ? {} : { cacheWritePromptTokens: Number(row.cache_write_prompt_tokens) }),
  ...mediaOf(row),
  ...debitOf(row),
});

const mediaOf = (row: UsageRow): Pick<UsageEvent, 'media'> =>
  row.media_unit === ''
    ? {}
    : { media: { unit: row.media_unit, quantity: Number(row.media_quantity) } as NonNullable<UsageEvent['media']> };

const debitOf = (row: UsageRow): Pick<UsageEvent, 'debit'> =>
  row.debit_currency === ''
    ? {}
    : { debit: { currency: row.debit_currency, perUsdNanos: Number(row.debit_per_usd_nanos), microcents: row.debit_microcents } };
