import type { FastifyInstance } from 'fastify';
import type { FailedCredentials } from '../../app/audit/failed-credentials.ts';
import { requestFacts } from './audit.ts';

/** The path of requests that no route takes. */
const NO_ROUTE = '*';

/**
 * Counts every answer that says that a credential is not good. Call it before any route is registered. An answer of 403 counts where the key
 * was good once, since then nobody was let in.
 */
export function countFailedCredentials(app: FastifyInstance, failed: Pick<FailedCredentials, 'note'>): void {
  app.addHook('onSend', (request, reply, payload, done) => {
    const { statusCode: status } = reply;
    const about = request.problem?.about ?? null;
    if (status === 401 || (status === 403 && about !== null)) {
      const { requestId, traceId, userAgent } = requestFacts(request);
      failed.note({
        address: request.ip,
        about,
        method: request.method,
        path: request.is404 ? NO_ROUTE : (request.routeOptions.url ?? NO_ROUTE),
        status,
        errorCode: request.problem?.code.toUpperCase() ?? 'UNAUTHORIZED',
        requestId,
        ...(traceId === undefined ? {} : { traceId }),
        ...(userAgent === undefined ? {} : { userAgent }),
      });
    }
    done(null, payload);
  });
}
