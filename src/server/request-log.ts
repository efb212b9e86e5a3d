import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ApiKey } from '../core/records.ts';
import type { Log, LogFields } from '../ports/log.ts';

/**
 * One line a request, when its answer has ended: its id, the route's pattern, status and time, and whose it was. Never a URL, a header
 * or a body: credentials stand in all three.
 */
export function registerRequestLog(app: FastifyInstance, options: { listener: string; log: Log }): void {
  const { listener, log } = options;
  app.addHook('onResponse', (request, reply, done) => {
    const key = keyOf(request);
    const fields: LogFields = {
      listener,
      requestId: request.id,
      method: request.method,
      route: request.is404 ? null : (request.routeOptions.url ?? null),
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime * 100) / 100,
      ...(request.span === undefined ? {} : { traceId: request.span.traceId }),
      ...(key === undefined ? {} : { tenantId: key.tenantId, keyId: key.id }),
    };
    if (reply.statusCode >= 500) log.error(fields, 'request failed');
    else log.info(fields, 'request');
    done();
  });
}

/** The key that a surface found behind the request's credential, if any did. */
function keyOf(request: FastifyRequest): ApiKey | undefined {
  // Declared as always there, because each surface's handlers run only after its own hook; here no hook may have run.
  const { gatewayPrincipal, tinfoilAdmin } = request as Partial<Pick<FastifyRequest, 'gatewayPrincipal' | 'tinfoilAdmin'>>;
  return (gatewayPrincipal ?? tinfoilAdmin)?.key;
}
