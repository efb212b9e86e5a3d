import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** The trace that a request belongs to: 32 hexadecimal digits, and the two digits of flags of its `traceparent`, where it came with one. */
export interface TraceContext {
  readonly traceId: string;
  readonly flags: string | null;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before any hook of a Cycles surface runs; undefined elsewhere. */
    trace?: TraceContext;
  }
}

const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/;
const TRACE_ID = /^(?!0{32})[0-9a-f]{32}$/;

/**
 * The trace of a request: that of a valid `traceparent`, else of a valid `X-Cycles-Trace-Id`, else a new one. A malformed header is never
 * refused. Source: Cycles protocol, correlation and tracing; W3C Trace Context, version 00.
 */
export function traceOf(headers: FastifyRequest['headers']): TraceContext {
  const { traceparent } = headers;
  const parent = typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent) : null;
  if (parent !== null) return { traceId: parent[1] ?? '', flags: parent[2] ?? null };
  const given = headers['x-cycles-trace-id'];
  if (typeof given === 'string' && TRACE_ID.test(given)) return { traceId: given, flags: null };
  // Node fetches the random bits of many of these at once, which sixteen bytes for each request would not.
  return { traceId: randomUUID().replaceAll('-', ''), flags: null };
}

/** Gives a request its trace where it has none yet, and names request and trace in its answer. */
export function traceAnswer(request: FastifyRequest, reply: FastifyReply): void {
  request.trace ??= traceOf(request.headers);
  void reply.header('x-request-id', request.id).header('x-cycles-trace-id', request.trace.traceId);
}

/** Gives every request of a Cycles surface its trace, and names request and trace in every answer, errors included. */
export function addCyclesTracing(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    traceAnswer(request, reply);
    done();
  });
}
