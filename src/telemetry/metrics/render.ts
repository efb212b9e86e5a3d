import type { Metric, Registry } from 'prom-client';
import type { Family } from './families.ts';

/** The metrics of a process as text for Prometheus. */
export interface Exposition {
  readonly contentType: string;
  text(): Promise<string>;
}

/** What names the metrics of the process itself: memory, processor time, event loop, garbage collection. */
const PROCESS_PREFIX = 'castellan_';
/** What the library tells about the process and nobody asks for: handles by kind, spaces of the heap. */
const NOISE = ['_active_', '_heap_space_'];
const FIRST_SAMPLE_MS = 50;

/**
 * Makes the exposition of `families` and of the process's own metrics. The client library is loaded here, by the first scraper: a
 * process that nobody scrapes pays nothing for it.
 */
export async function makeExposition(families: readonly Family[]): Promise<Exposition> {
  const prometheus = await import('prom-client');
  const registry: Registry = new prometheus.Registry();
  prometheus.collectDefaultMetrics({ register: registry, prefix: PROCESS_PREFIX });
  for (const { name } of registry.getMetricsAsArray()) if (NOISE.some((word) => name.includes(word))) registry.removeSingleMetric(name);
  for (const family of families) registry.registerMetric(asMetric(family));
  // Before its first sample the lag of the event loop reads as no number at all.
  await new Promise((resolve) => setTimeout(resolve, FIRST_SAMPLE_MS));
  return { contentType: registry.contentType, text: () => registry.metrics() };
}

/** The registry reads a metric by its name and `get` only; its types want one of its own classes, whose counters are too slow for us. */
function asMetric(family: Family): Metric {
  const { name, help, type } = family;
  const readable = { name, get: () => Promise.resolve({ name, help, type, aggregator: 'sum', values: family.samples() }) };
  return readable as unknown as Metric;
}
