import type { Log } from '../../ports/log.ts';
import type { Tracer } from '../../ports/tracer.ts';
import { makeMetrics, type Metrics } from '../../telemetry/metrics/metrics.ts';
import type { Config } from '../config.ts';
import type { MetricsConfig } from '../declared/parse-metrics.ts';
import { programVersion } from '../version.ts';
import { makeCurrentSpan, type CurrentSpan } from './current-span.ts';

/** What traces: the tracer, and the span of the request that the running code works for. */
export interface Tracing {
  readonly tracer: Tracer;
  readonly current: CurrentSpan;
}

/** What observes the program; everything else works the same without it. `tracing` is null where nothing asks for traces. */
export interface Telemetry {
  readonly metrics: Metrics;
  readonly config: MetricsConfig;
  readonly tracing: Tracing | null;
}

/** Makes the metrics of this process, with what is known from the start. */
export function openMetrics({ metrics: config, databaseUrl }: Pick<Config, 'metrics' | 'databaseUrl'>): Metrics {
  const metrics = makeMetrics(config);
  const labels = { version: programVersion(), node: process.versions.node, store: databaseUrl === null ? 'sqlite' : 'postgres' };
  metrics.build.readAllFrom(() => [{ labels, value: 1 }]);
  return metrics;
}

/** Starts to trace where the environment asks for it. The library is loaded only then: it costs a start a tenth of a second. */
export async function openTracing(options: {
  readonly config: Config['traces'];
  readonly metrics: Metrics;
  readonly instanceId: string;
  readonly log: Log;
}): Promise<Tracing | null> {
  const { config, metrics, log } = options;
  if (config === null) return null;
  const { makeOtelTracer } = await import('../../telemetry/tracing/otel-tracer.ts');
  const [taken, lost] = [metrics.spans.cell('exported'), metrics.spans.cell('failed')];
  const version = programVersion();
  const tracer = makeOtelTracer({
    config: { ...config, resource: { 'service.version': version, 'service.instance.id': options.instanceId, ...config.resource } },
    version,
    log,
    onExported: (count, isTaken) => void ((isTaken ? taken : lost).value += count),
  });
  return { tracer, current: makeCurrentSpan() };
}
