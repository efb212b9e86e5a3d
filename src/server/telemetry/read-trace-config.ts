import { readFileSync } from 'node:fs';
import type { SamplerConfig, TraceConfig } from '../../telemetry/tracing/trace-config.ts';
import { ConfigError } from '../config-error.ts';

/** The standard variables that are read where traces are asked for; `docs/observability.md` lists the same. */
export const TRACE_VARIABLES = [
  'OTEL_SDK_DISABLED',
  'OTEL_TRACES_EXPORTER',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
  'OTEL_EXPORTER_OTLP_PROTOCOL',
  'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL',
  'OTEL_EXPORTER_OTLP_HEADERS',
  'OTEL_EXPORTER_OTLP_TRACES_HEADERS',
  'OTEL_EXPORTER_OTLP_TIMEOUT',
  'OTEL_EXPORTER_OTLP_TRACES_TIMEOUT',
  'OTEL_EXPORTER_OTLP_COMPRESSION',
  'OTEL_EXPORTER_OTLP_TRACES_COMPRESSION',
  'OTEL_EXPORTER_OTLP_CERTIFICATE',
  'OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE',
  'OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE',
  'OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE',
  'OTEL_EXPORTER_OTLP_CLIENT_KEY',
  'OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY',
  'OTEL_SERVICE_NAME',
  'OTEL_RESOURCE_ATTRIBUTES',
  'OTEL_TRACES_SAMPLER',
  'OTEL_TRACES_SAMPLER_ARG',
  'OTEL_PROPAGATORS',
  'OTEL_BSP_SCHEDULE_DELAY',
  'OTEL_BSP_EXPORT_TIMEOUT',
  'OTEL_BSP_MAX_QUEUE_SIZE',
  'OTEL_BSP_MAX_EXPORT_BATCH_SIZE',
] as const;
type Variable = (typeof TRACE_VARIABLES)[number];

const SAMPLERS = ['always_on', 'always_off', 'traceidratio', 'parentbased_always_on', 'parentbased_always_off', 'parentbased_traceidratio'];
const KNOWN_PROPAGATORS = ['tracecontext', 'baggage', 'none'];
const DEFAULT_URL = 'http://localhost:4318';

/**
 * Reads where traces go from the standard variables; null where they ask for none.
 *
 * Traces are asked for by an exporter in `OTEL_TRACES_EXPORTER`, or by an endpoint of the collector. Throws a `ConfigError` for a value
 * that would send them nowhere: silence would look like a program that does nothing. Credentials are never shown.
 * Source: OpenTelemetry specification, environment variables and OTLP exporter.
 */
export function readTraceConfig(env: Readonly<Record<string, string | undefined>>): TraceConfig | null {
  const values = new TraceVariables(env);
  const exporters = values.exporters();
  if (exporters.length === 0) return null;
  values.checkProtocol();
  const maxQueued = values.whole('OTEL_BSP_MAX_QUEUE_SIZE', 2048, 1);
  return {
    exporters,
    url: values.url(),
    headers: values.pairs(values.specific('OTEL_EXPORTER_OTLP_TRACES_HEADERS', 'OTEL_EXPORTER_OTLP_HEADERS')),
    timeoutMs: values.whole(values.specific('OTEL_EXPORTER_OTLP_TRACES_TIMEOUT', 'OTEL_EXPORTER_OTLP_TIMEOUT'), 10_000, 1),
    isCompressed: values.isCompressed(),
    tls: values.tls(),
    resource: values.resource(),
    sampler: values.sampler(),
    propagates: values.propagates(),
    batch: {
      delayMs: values.whole('OTEL_BSP_SCHEDULE_DELAY', 5000, 1),
      timeoutMs: values.whole('OTEL_BSP_EXPORT_TIMEOUT', 30_000, 1),
      maxQueued,
      maxBatch: Math.min(maxQueued, values.whole('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 512, 1)),
    },
  };
}

/** Reads the variables of one environment; an empty one counts as unset. */
class TraceVariables {
  readonly #env: Readonly<Record<string, string | undefined>>;

  constructor(env: Readonly<Record<string, string | undefined>>) {
    this.#env = env;
  }

  text(name: Variable): string | null {
    const value = this.#env[name]?.trim();
    return value === undefined || value === '' ? null : value;
  }

  /** The variable for traces where it is set, else the one for every signal. */
  specific(forTraces: Variable, forAll: Variable): Variable {
    return this.text(forTraces) === null ? forAll : forTraces;
  }

  exporters(): TraceConfig['exporters'] {
    if (this.text('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return [];
    const asked = this.text('OTEL_TRACES_EXPORTER');
    const endpoint = this.text('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') ?? this.text('OTEL_EXPORTER_OTLP_ENDPOINT');
    const names = asked === null ? (endpoint === null ? [] : ['otlp']) : asked.split(',').map((name) => name.trim().toLowerCase());
    const exporters = names.filter((name) => name !== 'none' && name !== '');
    for (const name of exporters)
      if (name !== 'otlp' && name !== 'console') this.#fail('OTEL_TRACES_EXPORTER', `holds "${name}"`, 'set it to otlp, console or none');
    return [...new Set(exporters)] as ('otlp' | 'console')[];
  }

  checkProtocol(): void {
    const name = this.specific('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL');
    const protocol = this.text(name) ?? 'http/protobuf';
    if (protocol === 'http/protobuf') return;
    const advice = "set it to http/protobuf and the endpoint to the collector's port for HTTP, 4318 as a rule";
    this.#fail(name, `is "${protocol}", which is not supported`, `${advice}; OTEL_SDK_DISABLED=true switches traces off`);
  }

  url(): string {
    const own = this.text('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT');
    if (own !== null) return this.#checkUrl('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', own).href;
    const base = this.#checkUrl('OTEL_EXPORTER_OTLP_ENDPOINT', this.text('OTEL_EXPORTER_OTLP_ENDPOINT') ?? DEFAULT_URL);
    base.pathname = `${base.pathname.replace(/\/+$/, '')}/v1/traces`;
    return base.href;
  }

  #checkUrl(name: Variable, text: string): URL {
    const url = URL.parse(text);
    // The address itself is not shown: it may hold a password.
    if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
      return this.#fail(name, 'is no address', 'set it to one such as http://127.0.0.1:4318');
    return url;
  }

  /** `name=value` pairs, percent-encoded, separated by commas. */
  pairs(name: Variable): Record<string, string> {
    const pairs: [string, string][] = [];
    for (const part of (this.text(name) ?? '').split(',')) {
      if (part.trim() === '') continue;
      const at = part.indexOf('=');
      const key = decode(part.slice(0, at).trim());
      const value = decode(part.slice(at + 1).trim());
      if (at < 1 || key === null || value === null) this.#fail(name, 'is no list of pairs', 'write it as name=value,name=value');
      pairs.push([key ?? '', value ?? '']);
    }
    return Object.fromEntries(pairs);
  }

  whole(name: Variable, fallback: number, min: number): number {
    const text = this.text(name);
    if (text === null) return fallback;
    if (!/^\d{1,9}$/.test(text) || Number(text) < min) this.#fail(name, `is "${text}"`, `set it to a whole number that is at least ${min}`);
    return Number(text);
  }

  isCompressed(): boolean {
    const name = this.specific('OTEL_EXPORTER_OTLP_TRACES_COMPRESSION', 'OTEL_EXPORTER_OTLP_COMPRESSION');
    const text = this.text(name) ?? 'none';
    if (text !== 'none' && text !== 'gzip') this.#fail(name, `is "${text}"`, 'set it to gzip or none');
    return text === 'gzip';
  }

  tls(): TraceConfig['tls'] {
    const ca = this.#file('OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE', 'OTEL_EXPORTER_OTLP_CERTIFICATE');
    const cert = this.#file('OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE', 'OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE');
    const key = this.#file('OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY', 'OTEL_EXPORTER_OTLP_CLIENT_KEY');
    return { ...(ca === null ? {} : { ca }), ...(cert === null ? {} : { cert }), ...(key === null ? {} : { key }) };
  }

  #file(forTraces: Variable, forAll: Variable): string | null {
    const name = this.specific(forTraces, forAll);
    const path = this.text(name);
    if (path === null) return null;
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return this.#fail(name, `names ${path}, which cannot be read`, 'correct the path or unset the variable');
    }
  }

  resource(): Record<string, string> {
    const attributes = this.pairs('OTEL_RESOURCE_ATTRIBUTES');
    const name = this.text('OTEL_SERVICE_NAME') ?? attributes['service.name'] ?? 'castellan';
    return { ...attributes, 'service.name': name };
  }

  sampler(): SamplerConfig {
    const text = this.text('OTEL_TRACES_SAMPLER') ?? 'parentbased_always_on';
    if (!SAMPLERS.includes(text)) this.#fail('OTEL_TRACES_SAMPLER', `is "${text}"`, `set it to one of ${SAMPLERS.join(', ')}`);
    const argument = this.text('OTEL_TRACES_SAMPLER_ARG');
    const ratio = argument === null ? 1 : Number(argument);
    if (text.endsWith('traceidratio') && !(ratio >= 0 && ratio <= 1))
      this.#fail('OTEL_TRACES_SAMPLER_ARG', `is "${argument}"`, 'set it to a number from 0 to 1');
    return { kind: text.replace('parentbased_', '') as SamplerConfig['kind'], ratio, parentBased: text.startsWith('parentbased_') };
  }

  /** Baggage is read and not carried on: it may tell upstreams what is none of their business. */
  propagates(): boolean {
    const names = (this.text('OTEL_PROPAGATORS') ?? 'tracecontext').split(',').map((name) => name.trim().toLowerCase());
    const unknown = names.find((name) => !KNOWN_PROPAGATORS.includes(name));
    if (unknown !== undefined) this.#fail('OTEL_PROPAGATORS', `holds "${unknown}"`, 'set it to tracecontext or none');
    return names.includes('tracecontext');
  }

  #fail(name: Variable, what: string, advice: string): never {
    throw new ConfigError(`${name} ${what}: ${advice}.`);
  }
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
