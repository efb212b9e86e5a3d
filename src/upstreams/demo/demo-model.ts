import type { DeclaredPrice } from '../../core/pricing/rates.ts';
import type { Model } from '../../core/records.ts';

/** What the demo upstream's model is called, here and there. */
export const DEMO_MODEL_ID = 'demo-echo';

/** Tokens that the demo upstream counts for a part that is no text. */
export const DEMO_MEDIA_TOKENS = 85;

/** The demo model's limits as the demo upstream keeps them; what the first start declares. */
export const DEMO_MODEL_LIMITS: Omit<Model, 'id' | 'upstreams' | 'createdAtMs'> = {
  contextTokens: 131_072,
  maxOutputTokens: 32_768,
  defaultOutputTokens: 256,
  outputLimitField: 'max_tokens',
  tokenizer: 'o200k_base',
  promptOverheadTokens: 16,
  marginPercent: 0,
  maxImageTokens: DEMO_MEDIA_TOKENS,
  maxAudioTokens: DEMO_MEDIA_TOKENS,
  maxFileTokens: DEMO_MEDIA_TOKENS,
  tags: ['Instruct', 'Tools'],
};

/** Its price in USD; invented, so that a demo call costs something. */
export const DEMO_MODEL_PRICE: DeclaredPrice = { inputPer1m: 0.15, outputPer1m: 0.6, cachedInputPer1m: 0.075, perRequest: 0 };
