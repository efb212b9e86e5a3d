import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { LogFields } from '../ports/log.ts';
import type { Log } from '../ports/log.ts';

/** Who a request acts as, in words that may be logged. */
export type CallerOf = (request: FastifyRequest) => { readonly keyId?: string; readonly tenantId?: string };

/**
 * One line a request, when its answer has ended: its id, the route's pattern, status and time, and whose it was. Never a URL, a header
 * or a body: credentials stand in all three.
 */
export function registerRequestLog(app: FastifyInstance, options: { listener: string; log: Log; callerOf: CallerOf }): void {
  const { listener, log, callerOf } = options;
  app.addHook('onResponse', (request, reply, done) => {
    const fields: LogFields = {
      listener,
      requestId: request.id,
      method: request.method,
      route: request.is404 ? null : (request.routeOptions.url ?? null),
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime * 100) / 100,
      ...callerOf(request),
    };
    if (reply.statusCode >= 500) log.error(fields, 'request failed');
    else log.info(fields, 'request');
    done();
  });
}
