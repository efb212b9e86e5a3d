import type { ResourceUnit } from '../containers/container-meter.ts';
import type { MediaUse } from '../metering/media-use.ts';

/**
 * What a request took from a prepaid balance: micro-cents of `currency`, its exact cost by `perUsdNanos` nano-units for a USD, rounded up once.
 */
export interface BalanceDebit {
  readonly currency: string;
  readonly perUsdNanos: number;
  readonly microcents: bigint;
}

/** So much of what a container was given of its host; a whole number. */
export interface ResourceUse {
  readonly unit: ResourceUnit;
  readonly quantity: number;
}

/**
 * One metered request, or what a container used. Counts are safe integers, money exact.
 *
 * `cachedPromptTokens` is a part of `promptTokens`, and so is `cacheWritePromptTokens` (absent: none), which the upstream wrote into its
 * cache; `reasoningTokens` is a part of `completionTokens`. `costNanoUsd` is the exact cost,
 * `chargeMicrocents` what the budgets were charged (the cost rounded up once). `atMs` is when it was booked and decides the bucket;
 * `heldAtMs` is when the hold was made and decides the budget period. `estimated`: the upstream reported no usage, or the call was
 * `interrupted` by the end of our process. Its `id` is the reservation's, so that a call is counted once.
 * `media` is what it used beside tokens (seconds, characters, images); absent where that is nothing, or where nobody told. `debit` is what
 * it took from its tenant's prepaid balance; absent where the tenant had none.
 */
export interface UsageEvent {
  readonly id: string;
  readonly tenantId: string;
  readonly keyId: string;
  readonly model: string;
  readonly upstreamId: string;
  readonly priceId: string;
  readonly route: string;
  readonly atMs: number;
  readonly heldAtMs: number;
  readonly requests: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedPromptTokens: number;
  readonly cacheWritePromptTokens?: number;
  readonly reasoningTokens: number;
  readonly costNanoUsd: bigint;
  readonly chargeMicrocents: bigint;
  readonly streaming: boolean;
  readonly estimated: boolean;
  readonly interrupted: boolean;
  readonly media?: MediaUse | ResourceUse;
  readonly debit?: BalanceDebit;
}
