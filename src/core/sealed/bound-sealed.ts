import type { InferenceKind } from '../bounds/inference-request.ts';
import type { RequestBound } from '../bounds/bound-request.ts';
import { hasManyPrompts } from '../bounds/media-bound.ts';
import type { Model } from '../records.ts';

/** A model that a sealed body may ask for; `contextTokens` is the upstream's own where it declares one. */
export interface SealedModel {
  readonly model: Pick<
    Model,
    'contextTokens' | 'maxOutputTokens' | 'promptOverheadTokens' | 'maxImageTokens' | 'maxAudioTokens' | 'maxFileTokens'
  >;
  readonly contextTokens?: number;
  readonly maxOutputTokens?: number;
}

/**
 * The most tokens that a sealed prompt of `sealedBytes` can have: a token a byte, since no byte-level tokenizer makes more and the seal only
 * adds bytes, and no more than the context, which no upstream reads past. A model that declares what media count as may be sent media, which
 * count as more than their bytes, so its context alone bounds it. Inputs of an embedding are prompts of their own: bytes alone bound them.
 */
function promptTokensOf(kind: InferenceKind, sealedBytes: number, { model, contextTokens }: SealedModel): number {
  const { promptOverheadTokens, maxImageTokens, maxAudioTokens, maxFileTokens } = model;
  if (hasManyPrompts(kind)) return sealedBytes + promptOverheadTokens;
  const context = contextTokens ?? model.contextTokens;
  const mayBringMedia = [maxImageTokens, maxAudioTokens, maxFileTokens].some((most) => most !== null);
  return (mayBringMedia ? context : Math.min(sealedBytes, context)) + promptOverheadTokens;
}

/**
 * Bounds a call whose body cannot be read, whichever of `models` it asks for. The answer's ceiling is `maxOutputTokens`, over all its choices;
 * where none is declared (null) it is the largest that one of the models gives. Nothing can be told to the upstream, so the ceiling is never
 * lowered to what accounts leave.
 */
export function boundSealed(options: {
  readonly kind: InferenceKind;
  readonly sealedBytes: number;
  readonly models: readonly SealedModel[];
  readonly maxOutputTokens: number | null;
}): RequestBound {
  const { kind, sealedBytes, models } = options;
  const inputTokens = Math.max(0, ...models.map((model) => promptTokensOf(kind, sealedBytes, model)));
  const most = Math.max(0, ...models.map(({ model, maxOutputTokens }) => maxOutputTokens ?? model.maxOutputTokens));
  const output = kind === 'embeddings' ? 0 : (options.maxOutputTokens ?? most);
  return { inputTokens, choices: output === 0 ? 0 : 1, outputPerChoice: output, minOutputPerChoice: output, sendLimitAs: null };
}

/** More bytes than this tell nothing of the bound of a body: every model's context is reached. Infinite for embeddings. */
export const tellingBytes = (kind: InferenceKind, models: readonly SealedModel[]): number =>
  hasManyPrompts(kind) ? Infinity : Math.max(0, ...models.map(({ model, contextTokens }) => contextTokens ?? model.contextTokens));
