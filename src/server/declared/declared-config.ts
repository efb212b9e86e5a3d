import type { Rates } from '../../core/pricing/rates.ts';
import type { MetricsConfig } from './parse-metrics.ts';
import type { ContainersConfig } from './parse-containers.ts';
import type { BillingConfig } from './parse-billing.ts';
import type { Retention } from '../../core/retention/retention.ts';
import type { SealedKeyPolicy } from '../../core/sealed/key-ring.ts';
import type { ApiKey, Entitlements, Member, Model, ModelUpstream, SealedUpstream, Upstream } from '../../core/records.ts';

/** An upstream as the file declares it. */
export interface DeclaredUpstream extends Omit<Upstream, 'createdAtMs' | 'apiKeySealed' | 'headerNames' | 'headersSealed'> {
  readonly apiKey: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly sealed: SealedUpstream | null;
}

/** A price as the file declares it, for one upstream or, with null, for all that have none of their own. */
export interface DeclaredModelPrice {
  readonly upstreamId: string | null;
  readonly rates: Rates;
}

/** A model as the file declares it. */
export interface DeclaredModel extends Omit<Model, 'createdAtMs' | 'upstreams'> {
  readonly upstreams: readonly ModelUpstream[];
  readonly prices: readonly DeclaredModelPrice[];
}

/** What the file says of a key that somebody made: the file makes none. Undefined where it is silent. */
export interface DeclaredKey {
  readonly id: string;
  readonly outputBound: ApiKey['outputBound'] | undefined;
  readonly allowedModels: readonly string[] | null | undefined;
  readonly levels: ApiKey['levels'] | null;
  readonly callerLevels: ApiKey['callerLevels'] | null;
  readonly rateLimits: ApiKey['rateLimits'];
}

/**
 * A tenant as the file declares it: only what it names is set. `moneyBudgetMicrocents` is undefined where the file is silent, and
 * null where it says that there is no limit.
 */
export interface DeclaredTenant {
  readonly id: string;
  readonly name: string | undefined;
  readonly requireBudget: boolean | undefined;
  readonly allowUnpriced: boolean | undefined;
  readonly hideAmounts: boolean | undefined;
  readonly currency: string | undefined;
  readonly requireBalance: boolean | undefined;
  readonly entitlements: Partial<Entitlements>;
  readonly members: readonly Omit<Member, 'createdAtMs' | 'removedAtMs' | 'tenantId'>[];
  readonly moneyBudgetMicrocents: bigint | null | undefined;
  readonly keys: readonly DeclaredKey[];
}

/** An exchange rate as the file declares it: what one USD is worth, in nano-units. `appliesFromMs` null: from the start that first sees it. */
export interface DeclaredExchangeRate {
  readonly currency: string;
  readonly perUsdNanos: number;
  readonly appliesFromMs: number | null;
}

/** A usage reporter as the file declares it. `previousSecret` is good for as long as the file names it. */
export interface DeclaredReporter {
  readonly id: string;
  readonly secret: string;
  readonly previousSecret: string | null;
  readonly tenants: readonly string[];
}

/** Lengths in milliseconds, sizes in bytes. */
export interface GatewayConfig {
  readonly holdTtlMs: number;
  readonly holdGraceMs: number;
  readonly upstreamTimeoutMs: number;
  readonly drainMs: number;
  readonly maxBodyBytes: number;
}

/** What the gateway does where nothing is said. Source: architecture section 7. */
export const DEFAULT_GATEWAY: GatewayConfig = {
  holdTtlMs: 60_000,
  holdGraceMs: 5000,
  upstreamTimeoutMs: 600_000,
  drainMs: 30_000,
  maxBodyBytes: 33_554_432,
};

/**
 * The configuration file, read and checked. `path` is as the operator gave it. `named` are the fields that the file names, as
 * `kind id field`.
 */
export interface DeclaredConfig {
  readonly path: string;
  readonly gateway: GatewayConfig;
  readonly metrics: MetricsConfig;
  readonly retention: Retention;
  readonly sealedKeys: SealedKeyPolicy;
  readonly billing: BillingConfig;
  readonly containers: ContainersConfig;
  readonly upstreams: readonly DeclaredUpstream[];
  readonly models: readonly DeclaredModel[];
  readonly exchangeRates: readonly DeclaredExchangeRate[];
  readonly tenants: readonly DeclaredTenant[];
  readonly reporters: readonly DeclaredReporter[];
  /** Origins whose pages may call the gateway. */
  readonly corsOrigins: readonly string[];
  readonly named: ReadonlySet<string>;
}
