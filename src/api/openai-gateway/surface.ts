import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';
import type { Calls } from '../../app/relay-call.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import { openToBrowsers } from '../_shared/cors.ts';
import { makeAuthenticateHook, type AuthenticateKey, type GatewayPrincipal } from './authenticate.ts';
import { errorOfThrown, sendError, sendMethodNotAllowed, sendNotFound } from './errors.ts';
import { makeInferenceHandler } from './routes/inference.ts';
import { makeGetModel, makeListModels, type ModelCatalogue } from './routes/models.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who the request acts as on the gateway; set before any of its handlers runs. */
    gatewayPrincipal: GatewayPrincipal;
  }
}

/** What the surface is made of. `maxBodyBytes` is the largest body that it reads. */
export interface OpenAiGatewayDeps {
  readonly calls: Calls;
  readonly authenticate: AuthenticateKey;
  readonly catalogue: ModelCatalogue;
  readonly clock: Clock;
  readonly log: Log;
  readonly maxBodyBytes: number;
}

/** Inference routes below `/v1`, and what kind of answer each gives. */
const INFERENCE_ROUTES = [
  { route: '/chat/completions', kind: 'chat' },
  { route: '/embeddings', kind: 'embeddings' },
] as const;

/** Paths of OpenAI's API that belong to this surface and that it does not serve (yet): their 404 has its form, whatever they come with. */
const OWNED_PATHS = [
  '/v1/chat',
  '/v1/chat/*',
  '/v1/embeddings/*',
  '/v1/completions',
  '/v1/responses',
  '/v1/responses/*',
  '/v1/audio/*',
  '/v1/images/*',
  '/v1/moderations',
  '/v1/files',
  '/v1/files/*',
  '/v1/batches',
  '/v1/batches/*',
] as const;

const METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** The OpenAI-compatible surface as one Fastify plugin, to be registered without a prefix; it keeps its parser, hooks and errors to itself. */
export const makeOpenAiGateway =
  (deps: OpenAiGatewayDeps): FastifyPluginAsync =>
  async (app) => {
    app.removeAllContentTypeParsers();
    // The bytes go on to the call as they are: it parses them once, with the integers exact.
    app.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: deps.maxBodyBytes }, (_request, body, done) =>
      done(null, body),
    );
    app.decorateRequest('gatewayPrincipal');
    openToBrowsers(app);
    app.setErrorHandler((error, request, reply) => {
      const answer = errorOfThrown(error);
      if (answer.status >= 500)
        deps.log.error({ err: error, requestId: request.id, route: request.routeOptions.url }, 'a gateway request failed');
      return sendError(reply, answer);
    });
    mountRoutes(app, deps);
  };

function mountRoutes(app: FastifyInstance, deps: OpenAiGatewayDeps): void {
  const onRequest = makeAuthenticateHook(deps.authenticate);
  for (const { route, kind } of INFERENCE_ROUTES) {
    const url = `/v1${route}`;
    app.route({ method: 'POST', url, onRequest, bodyLimit: deps.maxBodyBytes, handler: makeInferenceHandler({ ...deps, kind, route }) });
    refuseOthers(app, url, ['POST']);
  }
  app.route({ method: 'GET', url: '/v1/models', onRequest, handler: makeListModels(deps) });
  refuseOthers(app, '/v1/models', ['GET', 'HEAD']);
  app.route({ method: 'GET', url: '/v1/models/*', onRequest, handler: makeGetModel(deps) });
  refuseOthers(app, '/v1/models/*', ['GET', 'HEAD']);
  // Answered before a body is read: what comes with it changes nothing.
  for (const url of OWNED_PATHS)
    app.route({
      method: [...METHODS],
      url,
      config: { onlyRefuses: true },
      onRequest: async (request, reply) => sendNotFound(request, reply),
      handler: sendNotFound,
    });
}

function refuseOthers(app: FastifyInstance, url: string, allowed: readonly HTTPMethods[]): void {
  const method = METHODS.filter((each) => !allowed.includes(each));
  const refuse = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> =>
    sendMethodNotAllowed(request, reply, allowed.join(', '));
  app.route({ method, url, config: { onlyRefuses: true }, onRequest: refuse, handler: refuse });
}
