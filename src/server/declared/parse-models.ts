import { MODEL_DEFAULTS } from '../../core/access/defaults.ts';
import { type DeclaredPrice, type Rates, ratesFromPrice } from '../../core/pricing/rates.ts';
import type { ModelUpstream } from '../../core/records.ts';
import { makeTokenizers } from '../../upstreams/tokenizers/tokenizers.ts';
import { nearestWord } from '../did-you-mean.ts';
import type { DeclaredModel, DeclaredModelPrice, DeclaredUpstream } from './declared-config.ts';
import type { Field } from './field.ts';
import { type NamedFields, namesGiven } from './named-fields.ts';
import { refuseDouble } from './refuse-double.ts';
import { parseRateLimits } from './parse-rate-limits.ts';

const MODEL_ID = /^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}$/;
const MODEL_ID_RULE = 'a model name of 1 to 200 letters, digits and any of . _ : / @ + - that starts with a letter or digit';
const DESCRIPTION = /^(?=.*\S)\P{Cc}+$/u;
const DESCRIPTION_RULE = 'a text of 1 to 2000 characters in one line';
const MAX_TOKENS = 100_000_000;

const PRICE_FIELDS = {
  inputPer1m: 'input_per_1m',
  outputPer1m: 'output_per_1m',
  cachedInputPer1m: 'cached_input_per_1m',
  cacheWriteInputPer1m: 'cache_write_input_per_1m',
  perRequest: 'per_request',
  perSecond: 'per_second',
  per1mCharacters: 'per_1m_characters',
  perImage: 'per_image',
} as const satisfies Readonly<Record<keyof DeclaredPrice, string>>;

function parsePrice(field: Field): Rates {
  const given = field.fields(Object.values(PRICE_FIELDS));
  const result = ratesFromPrice({
    inputPer1m: given.input_per_1m.or('', (f) => f.decimal()),
    outputPer1m: given.output_per_1m.or('', (f) => f.decimal()),
    cachedInputPer1m: given.cached_input_per_1m.or(null, (f) => f.decimal()),
    cacheWriteInputPer1m: given.cache_write_input_per_1m.or(null, (f) => f.decimal()),
    perRequest: given.per_request.or(null, (f) => f.decimal()),
    perSecond: given.per_second.or(null, (f) => f.decimal()),
    per1mCharacters: given.per_1m_characters.or(null, (f) => f.decimal()),
    perImage: given.per_image.or(null, (f) => f.decimal()),
  });
  if (result.ok) return result.rates;
  const wrong = given[PRICE_FIELDS[result.field]];
  return wrong.fail(wrong.isGiven ? `${result.message}, in USD` : 'is missing; it must be a price in USD, such as 0.15');
}

/** One upstream of a model, with the price that holds there. */
interface ModelUpstreamItem {
  readonly upstream: ModelUpstream;
  readonly price: DeclaredModelPrice | null;
}

function parseModelUpstream(item: Field, modelId: string, known: ReadonlySet<string>): ModelUpstreamItem {
  const given = item.fields(['id', 'model', 'weight', 'context_tokens', 'max_output_tokens', 'price']);
  const id = given.id.text();
  if (!known.has(id)) {
    const nearest = nearestWord(id, [...known]);
    given.id.fail(
      `names the upstream "${id}", which is not declared; ${nearest === null ? 'add it under upstreams' : `write "${nearest}" if you meant that, or add it under upstreams`}`,
    );
  }
  const model = given.model.or(modelId, (f) => f.text({ maxLength: 200 }));
  const price = given.price.or(null, (f) => ({ upstreamId: id, rates: parsePrice(f) }));
  const weight = given.weight.or(undefined, (f) => f.integer({ min: 0, max: 1_000_000 }));
  const limit = (field: Field): number | undefined => field.or(undefined, (f) => f.integer({ min: 1, max: MAX_TOKENS }));
  const [contextTokens, maxOutputTokens] = [limit(given.context_tokens), limit(given.max_output_tokens)];
  const upstream = {
    id,
    model,
    ...(weight === undefined ? {} : { weight }),
    ...(contextTokens === undefined ? {} : { contextTokens }),
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
  };
  return { upstream, price };
}

function parseModel(item: Field, context: { seen: Set<string>; upstreams: ReadonlySet<string>; named: NamedFields }): DeclaredModel {
  const given = item.fields([
    'id',
    'upstreams',
    'price',
    'context_tokens',
    'max_output_tokens',
    'default_output_tokens',
    'output_limit_field',
    'tokenizer',
    'prompt_overhead_tokens',
    'margin_percent',
    'max_image_tokens',
    'max_audio_tokens',
    'max_file_tokens',
    'max_audio_seconds',
    'tags',
    'description',
    'rate_limits',
    'aliases',
  ]);
  const id = given.id.text({ pattern: MODEL_ID, rule: MODEL_ID_RULE });
  refuseDouble(context.seen, id, given.id);
  const inner = given.upstreams.items().map((upstream) => parseModelUpstream(upstream, id, context.upstreams));
  if (inner.length === 0) given.upstreams.fail('must list at least one upstream, such as { id: my-upstream }');
  if (inner.every(({ upstream }) => upstream.weight === 0)) given.upstreams.fail('must give at least one upstream a weight above 0');
  const twice = new Set<string>();
  for (const [index, { upstream }] of inner.entries()) refuseDouble(twice, upstream.id, given.upstreams.child(index).child('id'));
  const limits = parseLimits(given);
  for (const [index, { upstream }] of inner.entries()) {
    const at = given.upstreams.child(index);
    if ((upstream.contextTokens ?? 0) > limits.contextTokens)
      at.child('context_tokens').fail(`must be at most the model's context_tokens (${limits.contextTokens})`);
    if ((upstream.maxOutputTokens ?? 0) > limits.maxOutputTokens)
      at.child('max_output_tokens').fail(`must be at most the model's max_output_tokens (${limits.maxOutputTokens})`);
  }
  const own = given.price.or(null, (f): DeclaredModelPrice => ({ upstreamId: null, rates: parsePrice(f) }));
  const prices = [own, ...inner.map(({ price }) => price)].filter((price) => price !== null);

  context.named.add('model', id, namesGiven(given));
  for (const price of prices) context.named.add('price', price.upstreamId === null ? id : `${id}@${price.upstreamId}`, []);
  const aliases = given.aliases.items().map((alias) => alias.text({ pattern: MODEL_ID, rule: MODEL_ID_RULE }));
  return { id, upstreams: inner.map(({ upstream }) => upstream), prices, ...limits, aliases };
}

type LimitField =
  | 'context_tokens'
  | 'max_output_tokens'
  | 'default_output_tokens'
  | 'output_limit_field'
  | 'tokenizer'
  | 'prompt_overhead_tokens'
  | 'margin_percent'
  | 'max_image_tokens'
  | 'max_audio_tokens'
  | 'max_file_tokens'
  | 'max_audio_seconds'
  | 'tags'
  | 'description'
  | 'rate_limits';

function parseLimits(given: Readonly<Record<LimitField, Field>>): Omit<DeclaredModel, 'id' | 'upstreams' | 'prices' | 'aliases'> {
  const tokens = { min: 0, max: MAX_TOKENS };
  const contextTokens = given.context_tokens.or(MODEL_DEFAULTS.contextTokens, (f) => f.integer({ min: 1, max: MAX_TOKENS }));
  const maxOutputTokens = given.max_output_tokens.or(Math.min(MODEL_DEFAULTS.maxOutputTokens, contextTokens), (f) =>
    f.integer({ min: 1, max: MAX_TOKENS }),
  );
  const defaultOutputTokens = given.default_output_tokens.or(Math.min(MODEL_DEFAULTS.defaultOutputTokens, maxOutputTokens), (f) =>
    f.integer({ min: 1, max: MAX_TOKENS }),
  );
  if (defaultOutputTokens > maxOutputTokens) {
    given.default_output_tokens.fail(
      `is ${defaultOutputTokens}, more than max_output_tokens (${maxOutputTokens}); lower it or raise max_output_tokens`,
    );
  }
  return {
    contextTokens,
    maxOutputTokens,
    defaultOutputTokens,
    outputLimitField: given.output_limit_field.or(MODEL_DEFAULTS.outputLimitField, (f) => f.oneOf(['max_tokens', 'max_completion_tokens'])),
    tokenizer: given.tokenizer.or(MODEL_DEFAULTS.tokenizer, (f) => f.oneOf(makeTokenizers().names)),
    promptOverheadTokens: given.prompt_overhead_tokens.or(MODEL_DEFAULTS.promptOverheadTokens, (f) => f.integer(tokens)),
    marginPercent: given.margin_percent.or(MODEL_DEFAULTS.marginPercent, (f) => f.integer({ min: 0, max: 1000 })),
    maxImageTokens: given.max_image_tokens.or(MODEL_DEFAULTS.maxImageTokens, (f) => f.integer(tokens)),
    maxAudioTokens: given.max_audio_tokens.or(MODEL_DEFAULTS.maxAudioTokens, (f) => f.integer(tokens)),
    maxFileTokens: given.max_file_tokens.or(MODEL_DEFAULTS.maxFileTokens, (f) => f.integer(tokens)),
    maxAudioSeconds: given.max_audio_seconds.or(null, (f) => f.integer(tokens)),
    tags: given.tags.items().map((tag) => tag.text({ maxLength: 64 })),
    description: given.description.or(null, (f) => f.text({ maxLength: 2000, pattern: DESCRIPTION, rule: DESCRIPTION_RULE })),
    rateLimits: parseRateLimits(given.rate_limits),
  };
}

/** Reads the section `models`. A model may name the declared upstreams and the built-in `demo`. */
export function parseModels(section: Field, upstreams: readonly DeclaredUpstream[], named: NamedFields): DeclaredModel[] {
  const context = { seen: new Set<string>(), upstreams: new Set(['demo', ...upstreams.map(({ id }) => id)]), named };
  const items = section.items();
  const models = items.map((item) => parseModel(item, context));
  // A name stands for one model, whether as its id or as an alias; ids may stand further down than the aliases that they clash with.
  const names = new Set(models.map(({ id }) => id));
  for (const [index, { aliases = [] }] of models.entries()) {
    const field = section.child(index).child('aliases');
    for (const [at, alias] of aliases.entries()) refuseDouble(names, alias, field.child(at));
  }
  return models;
}
