import type { FastifyInstance, FastifyRequest } from 'fastify';
import { bearerOf, isSameCredential, refuseDoubledCredentials } from '../../api/_shared/credentials.ts';
import { cyclesForm } from '../../api/_shared/cycles-form.ts';
import { makeErrorHandler, RefusedRequest, type ErrorForm } from '../../api/_shared/problem.ts';
import type { Log } from '../../ports/log.ts';
import { familiesOf, type Metrics } from '../../telemetry/metrics/metrics.ts';
import { makeExposition, type Exposition } from '../../telemetry/metrics/render.ts';
import type { MetricsConfig } from '../declared/parse-metrics.ts';

/** What the route needs. */
interface MetricsRouteDeps {
  readonly metrics: Metrics;
  readonly config: MetricsConfig;
  readonly operatorKey: string;
  readonly log: Log;
}

/** A scraper sends its token as a bearer credential. */
const form: ErrorForm = (problem, requestId) => ({ ...cyclesForm(problem, requestId), challenge: 'Bearer' });

/** `GET /metrics`: the metrics of this process, for the operator, for whoever has the declared token, or for all where the file says so. */
export async function registerMetrics(root: FastifyInstance, deps: MetricsRouteDeps): Promise<void> {
  let exposition: Promise<Exposition> | undefined;
  await root.register(async (app) => {
    app.setErrorHandler(makeErrorHandler({ form, log: deps.log }));
    app.get('/metrics', { onRequest: makeAuthenticateScraper(deps) }, async (_request, reply) => {
      exposition ??= makeExposition(familiesOf(deps.metrics));
      const shown = await exposition;
      return reply
        .header('content-type', shown.contentType)
        .header('cache-control', 'no-store')
        .send(await shown.text());
    });
  });
}

function makeAuthenticateScraper({ config, operatorKey }: MetricsRouteDeps): (request: FastifyRequest) => Promise<void> {
  return async (request) => {
    refuseDoubledCredentials(request);
    if (config.isOpen) return;
    const given = request.headers['x-admin-api-key'];
    if (typeof given === 'string' && isSameCredential(given, operatorKey)) return;
    const token = bearerOf(request);
    if (token !== null && config.token !== null && isSameCredential(token, config.token)) return;
    const message =
      config.token === null
        ? 'the operator key is required: send it as X-Admin-API-Key, or declare metrics.token in the configuration file for scrapers'
        : 'send the declared metrics token as Authorization: Bearer, or the operator key as X-Admin-API-Key';
    throw new RefusedRequest({ code: 'unauthorized', message });
  };
}
