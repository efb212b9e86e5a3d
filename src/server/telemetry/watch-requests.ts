import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Span, Tracer } from '../../ports/tracer.ts';
import type { Cell, Histogram } from '../../telemetry/metrics/families.ts';
import type { Metrics } from '../../telemetry/metrics/metrics.ts';
import { isGateway, surfaceOf } from '../surfaces.ts';
import type { CurrentSpan } from './current-span.ts';
import { TimedResponse } from './timed-response.ts';

/** What watching needs. `tracing` is null where nothing is traced. */
interface WatchDeps {
  readonly metrics: Metrics;
  readonly tracing: { readonly tracer: Tracer; readonly current: CurrentSpan } | null;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The span of the request, where it is traced. */
    span?: Span;
  }
}

/** What a request is called whose path no route takes: its own path would be the client's choice of a label. */
const UNMATCHED = 'unmatched';
const CLASSES = ['aborted', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

/** What is counted for one route, resolved at its first request. */
interface RouteCells {
  readonly byClass: readonly Cell[];
  readonly seconds: Histogram;
  readonly firstByte: Histogram | null;
}

/** Counts, times and traces every request of a listener, also those whose client goes away. Call it before any route is registered. */
export function watchRequests(app: FastifyInstance, deps: WatchDeps): void {
  const { metrics, tracing } = deps;
  const inFlight = metrics.httpInFlight.cell;
  const cellsOf = routeCells(metrics);
  app.addHook('onRequest', (request, reply, done) => {
    const startedMs = performance.now();
    inFlight.value += 1;
    // Fastify's own hook at the end of an answer is not called where the client went away before.
    reply.raw.once('close', () => {
      inFlight.value -= 1;
      count(cellsOf(request), reply, startedMs);
    });
    done();
  });
  if (tracing !== null) traceRequests(app, tracing);
}

function count(cells: RouteCells, { raw }: FastifyReply, startedMs: number): void {
  const isWhole = raw.writableFinished;
  const statusClass = isWhole ? Math.trunc(raw.statusCode / 100) : 0;
  const cell = cells.byClass[statusClass];
  if (cell !== undefined) cell.value += 1;
  cells.seconds.observe((performance.now() - startedMs) / 1000);
  const headAtMs = raw instanceof TimedResponse ? raw.headAtMs : null;
  if (cells.firstByte !== null && headAtMs !== null && raw.statusCode < 300) cells.firstByte.observe((headAtMs - startedMs) / 1000);
}

function routeCells(metrics: Metrics): (request: FastifyRequest) => RouteCells {
  // By the object that Fastify keeps for each route: it is there anyway, and no text has to be put together to find it.
  const known = new WeakMap<object, RouteCells>();
  const make = (surface: string, method: string, route: string): RouteCells => ({
    byClass: CLASSES.map((status) => metrics.httpRequests.cell(surface, method, route, status)),
    seconds: metrics.httpSeconds.of(surface, method, route),
    firstByte: isGateway(surface) ? metrics.gatewayFirstByte.of(method, route) : null,
  });
  // Methods are a closed list only where a route takes them.
  const unmatched = make('none', UNMATCHED, UNMATCHED);
  return (request) => {
    if (request.is404) return unmatched;
    const { config, url } = request.routeOptions;
    const found = known.get(config);
    if (found !== undefined) return found;
    const made = url === undefined ? unmatched : make(surfaceOf(url), methodOf(config.method), url);
    known.set(config, made);
    return made;
  };
}

/** Routes of several methods only refuse. */
const methodOf = (method: string | readonly string[]): string => (typeof method === 'string' ? method : 'other');

/** Begins a span for each request, ends it with the answer, and makes it the current one of whatever a handler does. */
function traceRequests(app: FastifyInstance, { tracer, current }: NonNullable<WatchDeps['tracing']>): void {
  app.addHook('onRequest', (request, reply, done) => {
    const { method } = request;
    const attributes = { 'http.request.method': method, 'castellan.request_id': request.id };
    const span = tracer.begin({ name: method, headers: request.headers, attributes });
    request.span = span;
    reply.raw.once('close', () => endSpan(span, request, reply));
    done();
  });
  // Entered only now: a body arrives in events of the connection, which know nothing of the request.
  app.addHook('preHandler', (request, _reply, done) => {
    if (request.span === undefined) done();
    else current.run(request.span, done);
  });
}

function endSpan(span: Span, request: FastifyRequest, { raw }: FastifyReply): void {
  const route = request.is404 ? undefined : request.routeOptions.url;
  if (route !== undefined) {
    span.rename(`${request.method} ${route}`);
    span.set({ 'http.route': route });
  }
  if (raw.headersSent) span.set({ 'http.response.status_code': raw.statusCode });
  if (!raw.writableFinished) span.fail('aborted');
  else if (raw.statusCode >= 500) span.fail(String(raw.statusCode));
  span.end();
}
