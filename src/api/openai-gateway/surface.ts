import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';
import type { Calls } from '../../app/relay-call.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import { openToBrowsers } from '../_shared/cors.ts';
import { takeSealedCalls, type SealedDeps } from '../_shared/sealed-calls.ts';
import { relaySealedCalls } from '../_shared/sealed-relay.ts';
import { RefusedRequest } from '../_shared/problem.ts';
import { makeAuthenticateHook, type AuthenticateKey, type GatewayPrincipal } from './authenticate.ts';
import { errorOfRefusal, errorOfThrown, sendError, sendMethodNotAllowed, sendNotFound } from './errors.ts';
import type { InferenceKind } from '../../core/bounds/inference-request.ts';
import { makeInferenceHandler, type RunRequest } from './routes/inference.ts';
import { makeResponseHandler, type RelayUpstreamObject } from './routes/responses.ts';
import { makeGetModel, makeListModels, type ModelCatalogue } from './routes/models.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who the request acts as on the gateway; set before any of its handlers runs. */
    gatewayPrincipal: GatewayPrincipal;
  }
}

/** What the surface is made of. `maxBodyBytes` is the largest body that it reads. */
export interface OpenAiGatewayDeps extends SealedDeps {
  readonly calls: Calls;
  /** What costs nothing: counting the tokens of a request, and what is asked of a stored response. */
  readonly countInputTokens: RunRequest;
  readonly relayObject: RelayUpstreamObject;
  readonly authenticate: AuthenticateKey;
  readonly catalogue: ModelCatalogue;
  readonly clock: Clock;
  readonly log: Log;
}

/** A route below `/v1` with the kind of the request that it takes. */
interface InferenceRoute {
  readonly route: string;
  readonly kind: InferenceKind;
}

/** Routes of calls that bring a JSON body. */
const INFERENCE_ROUTES: readonly InferenceRoute[] = [
  { route: '/chat/completions', kind: 'chat' },
  { route: '/completions', kind: 'completions' },
  { route: '/embeddings', kind: 'embeddings' },
  { route: '/responses', kind: 'responses' },
  { route: '/audio/speech', kind: 'speech' },
  { route: '/images/generations', kind: 'images' },
];

/** Routes of calls that bring a form. */
const FORM_ROUTES: readonly InferenceRoute[] = [{ route: '/audio/transcriptions', kind: 'transcriptions' }];

const NO_FORM = new RefusedRequest({
  code: 'unsupported_media_type',
  message: 'the body must be sent with Content-Type: multipart/form-data',
});

/** Routes that count the tokens of a request. */
const COUNTING_ROUTES: readonly InferenceRoute[] = [
  { route: '/chat/completions/input_tokens', kind: 'chat' },
  { route: '/responses/input_tokens', kind: 'responses' },
];

/** What may be asked of a stored response. */
const RESPONSE_ROUTES = [
  { url: '/v1/responses/:id', method: 'GET', action: 'get' },
  { url: '/v1/responses/:id', method: 'DELETE', action: 'delete' },
  { url: '/v1/responses/:id/cancel', method: 'POST', action: 'cancel' },
  { url: '/v1/responses/:id/input_items', method: 'GET', action: 'input-items' },
] as const;

/** Paths of OpenAI's API that belong to this surface and that it does not serve (yet): their 404 has its form, whatever they come with. */
const OWNED_PATHS = [
  '/v1/chat',
  '/v1/chat/*',
  '/v1/embeddings/*',
  '/v1/completions/*',
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
    takeSealedCalls(app, deps);
    relaySealedCalls(app, {
      ...deps,
      principalOf: (request) => request.gatewayPrincipal,
      refuse: (request, reply, refusal) => {
        const { hideAmounts } = request.gatewayPrincipal.tenant;
        return sendError(reply, errorOfRefusal(refusal, { hideAmounts, nowMs: deps.clock.nowMs() }));
      },
    });
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
  const mountRuns = (on: FastifyInstance, routes: readonly InferenceRoute[], run: RunRequest, onlyCounts = false): void => {
    for (const { route, kind } of routes) {
      const url = `/v1${route}`;
      const handler = makeInferenceHandler({ ...deps, run, kind, route });
      const config = { sealedRoute: { kind, route, onlyCounts } };
      on.route({ method: 'POST', url, config, onRequest, bodyLimit: deps.maxBodyBytes, handler });
      refuseOthers(app, url, ['POST']);
    }
  };
  mountRuns(app, INFERENCE_ROUTES, (request) => deps.calls.relay(request));
  mountRuns(app, COUNTING_ROUTES, deps.countInputTokens, true);
  // A plugin of their own, so that no other route takes a form.
  void app.register(async (forms) => {
    forms.removeAllContentTypeParsers();
    forms.addContentTypeParser('multipart/form-data', { parseAs: 'buffer', bodyLimit: deps.maxBodyBytes }, (_request, body, done) =>
      done(null, body),
    );
    forms.addContentTypeParser('*', (_request, _payload, done) => done(NO_FORM));
    mountRuns(forms, FORM_ROUTES, (request) => deps.calls.relay(request));
  });
  mountResponses(app, deps, onRequest);
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

function mountResponses(app: FastifyInstance, deps: OpenAiGatewayDeps, onRequest: ReturnType<typeof makeAuthenticateHook>): void {
  for (const { url, method, action } of RESPONSE_ROUTES) {
    const handler = makeResponseHandler({ ...deps, action });
    app.route({ method, url, onRequest, exposeHeadRoute: false, bodyLimit: deps.maxBodyBytes, handler });
  }
  for (const [url, routes] of Map.groupBy(RESPONSE_ROUTES, (route) => route.url)) {
    refuseOthers(
      app,
      url,
      routes.map(({ method }) => method),
    );
  }
}

function refuseOthers(app: FastifyInstance, url: string, allowed: readonly HTTPMethods[]): void {
  const method = METHODS.filter((each) => !allowed.includes(each));
  const refuse = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> =>
    sendMethodNotAllowed(request, reply, allowed.join(', '));
  app.route({ method, url, config: { onlyRefuses: true }, onRequest: refuse, handler: refuse });
}
