/** Which share of traces is kept. `ratio` lies between 0 and 1; `parentBased` follows a caller that has decided already. */
export interface SamplerConfig {
  readonly kind: 'always_on' | 'always_off' | 'traceidratio';
  readonly ratio: number;
  readonly parentBased: boolean;
}

/** How spans are handed to the collector. Lengths in milliseconds, counts in spans. */
export interface BatchConfig {
  readonly delayMs: number;
  readonly timeoutMs: number;
  readonly maxQueued: number;
  readonly maxBatch: number;
}

/** Where and how traces go, as the standard variables of OpenTelemetry say. */
export interface TraceConfig {
  readonly exporters: readonly ('otlp' | 'console')[];
  readonly url: string;
  /** Headers of each export; credentials as a rule. */
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly isCompressed: boolean;
  /** PEM texts for a collector behind TLS of its own. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** What describes this process, `service.name` among it. */
  readonly resource: Readonly<Record<string, string>>;
  readonly sampler: SamplerConfig;
  /** Whether a caller's trace is carried on, and ours to upstreams. */
  readonly propagates: boolean;
  readonly batch: BatchConfig;
}
