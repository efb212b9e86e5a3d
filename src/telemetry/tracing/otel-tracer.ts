import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type Span as OtelSpan,
  type TextMapSetter,
  type Tracer as OtelTracer,
} from '@opentelemetry/api';
import { ExportResultCode, W3CTraceContextPropagator, type ExportResult } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ConsoleSpanExporter,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type ReadableSpan,
  type Sampler,
  type SpanExporter,
} from '@opentelemetry/sdk-trace';
import type { Log } from '../../ports/log.ts';
import type { Span, Tracer } from '../../ports/tracer.ts';
import type { SamplerConfig, TraceConfig } from './trace-config.ts';

/** A collector that is away is told of this often. */
const COMPLAIN_EVERY_MS = 60_000;
/** What the last export may take at a stop. */
const CLOSE_MS = 5000;

/** What the tracer needs. `onExported` hears of spans that the collector took, or did not. */
export interface OtelTracerDeps {
  readonly config: TraceConfig;
  readonly version: string;
  readonly log: Log;
  readonly onExported: (count: number, isTaken: boolean) => void;
}

const SETTER: TextMapSetter<Record<string, string>> = { set: (carrier, name, value) => void (carrier[name] = value) };

/**
 * Makes a tracer that exports by OpenTelemetry's protocol over HTTP. Nothing global is registered: contexts go as arguments, so that two
 * programs in one process, or a library with a tracer of its own, do not meet.
 */
export function makeOtelTracer(deps: OtelTracerDeps): Tracer {
  const { config } = deps;
  const { delayMs, timeoutMs, maxQueued, maxBatch } = config.batch;
  const provider = new TracerProvider({
    resource: resourceFromAttributes(config.resource),
    sampler: makeSampler(config.sampler),
    spanProcessors: makeExporters(deps).map(
      (exporter) =>
        new BatchSpanProcessor({
          exporter,
          scheduledDelayMillis: delayMs,
          exportTimeoutMillis: timeoutMs,
          maxQueueSize: maxQueued,
          maxExportBatchSize: maxBatch,
        }),
    ),
  });
  const tracer = provider.getTracer('castellan', deps.version);
  const propagator = new W3CTraceContextPropagator();
  const getter = {
    keys: (carrier: Readonly<Record<string, unknown>>) => Object.keys(carrier),
    get: (carrier: Readonly<Record<string, unknown>>, name: string) => carrier[name] as string | undefined,
  };
  const makeSpan = (span: OtelSpan, parent: Context): Span => wrap({ tracer, propagator, propagates: config.propagates }, span, parent);
  return {
    begin: ({ name, headers, attributes }) => {
      const parent = config.propagates ? propagator.extract(ROOT_CONTEXT, headers, getter) : ROOT_CONTEXT;
      return makeSpan(tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent), parent);
    },
    close: async () => {
      let timer: NodeJS.Timeout | undefined;
      const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSE_MS)));
      await Promise.race([provider.shutdown().catch(() => undefined), limit]);
      clearTimeout(timer);
    },
  };
}

interface Wrapping {
  readonly tracer: OtelTracer;
  readonly propagator: W3CTraceContextPropagator;
  readonly propagates: boolean;
}

function wrap(wrapping: Wrapping, span: OtelSpan, parent: Context): Span {
  const context = trace.setSpan(parent, span);
  let isEnded = false;
  return {
    child: (name, { kind = 'internal', attributes = {} } = {}) => {
      const options = { kind: kind === 'client' ? SpanKind.CLIENT : SpanKind.INTERNAL, attributes };
      return wrap(wrapping, wrapping.tracer.startSpan(name, options, context), context);
    },
    set: (attributes) => void span.setAttributes(attributes),
    rename: (name) => void span.updateName(name),
    fail: (code) => {
      span.setAttribute('error.type', code);
      // Without a message: those of errors may hold hosts and what callers sent.
      span.setStatus({ code: SpanStatusCode.ERROR });
    },
    end: () => {
      if (isEnded) return;
      isEnded = true;
      span.end();
    },
    traceId: span.spanContext().traceId,
    get headers() {
      const headers: Record<string, string> = {};
      if (wrapping.propagates) wrapping.propagator.inject(context, headers, SETTER);
      return headers;
    },
  };
}

function makeSampler({ kind, ratio, parentBased }: SamplerConfig): Sampler {
  const makeRoot = (): Sampler => {
    if (kind === 'always_on') return new AlwaysOnSampler();
    return kind === 'always_off' ? new AlwaysOffSampler() : new TraceIdRatioBasedSampler(ratio);
  };
  return parentBased ? new ParentBasedSampler({ root: makeRoot() }) : makeRoot();
}

function makeExporters(deps: OtelTracerDeps): SpanExporter[] {
  const { config } = deps;
  return config.exporters.map((kind) => {
    if (kind === 'console') return new ConsoleSpanExporter();
    const exporter = new OTLPTraceExporter({
      url: config.url,
      headers: { ...config.headers },
      timeoutMillis: config.timeoutMs,
      // The library's type is an enumeration of these very words.
      compression: (config.isCompressed ? 'gzip' : 'none') as never,
      httpAgentOptions: { keepAlive: true, ...config.tls },
    });
    return watchExporter(exporter, deps);
  });
}

/** The exporter, with what became of its spans counted, and told now and then where they are lost. */
function watchExporter(exporter: SpanExporter, { log, onExported }: OtelTracerDeps): SpanExporter {
  let nextComplaintMs = 0;
  const onResult = (spans: readonly ReadableSpan[], { code, error }: ExportResult): void => {
    const isTaken = code === ExportResultCode.SUCCESS;
    onExported(spans.length, isTaken);
    const nowMs = performance.now();
    if (isTaken || nowMs < nextComplaintMs) return;
    nextComplaintMs = nowMs + COMPLAIN_EVERY_MS;
    // The kind of the error only: its message may quote the address and the headers of the collector.
    const { name, code: errorCode } = (error ?? {}) as { readonly name?: string; readonly code?: string | number };
    log.warn({ spans: spans.length, error: name, code: errorCode }, 'the collector of traces does not take spans; they are lost');
  };
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        onResult(spans, result);
        done(result);
      }),
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  };
}
