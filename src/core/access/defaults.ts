import type { Entitlements, Model, Upstream } from '../records.ts';

/** What a new tenant may do, on whatever path it is made. Source: architecture section 7. */
export const DEFAULT_ENTITLEMENTS: Entitlements = {
  tokenBilling: true,
  containerSubscription: true,
  gpuAccess: false,
  maxGpus: 0,
  maxContainers: 10,
  hostChoice: false,
  privateRegistries: true,
  maxKeys: 1000,
};

/** What an upstream is taken for where nothing is said. */
export const UPSTREAM_DEFAULTS: Omit<Upstream, 'id' | 'kind' | 'baseUrl' | 'apiKeySealed' | 'provider' | 'createdAtMs'> = {
  region: null,
  euNative: false,
  quantized: false,
  retentionDays: null,
  continuousUsage: false,
  timeoutMs: null,
};

/**
 * What bounds a call of a model where nothing is said: token counts, and the margin in percent. The limits on output are lowered to
 * the model's context where that is smaller.
 */
export const MODEL_DEFAULTS: Omit<Model, 'id' | 'upstreams' | 'createdAtMs'> = {
  contextTokens: 131_072,
  maxOutputTokens: 32_768,
  defaultOutputTokens: 4096,
  outputLimitField: 'max_tokens',
  tokenizer: null,
  promptOverheadTokens: 256,
  marginPercent: 10,
  maxImageTokens: null,
  maxAudioTokens: null,
  maxFileTokens: null,
  tags: [],
};
