import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';
import type { Calls } from '../../app/relay-call.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import { openToBrowsers } from '../_shared/cors.ts';
import { takeSealedCalls, type SealedDeps } from '../_shared/sealed-calls.ts';
import { relaySealedCalls } from '../_shared/sealed-relay.ts';
import { makeAuthenticateHook, type AuthenticateKey, type MessagesPrincipal } from './authenticate.ts';
import { errorOfRefusal, errorOfThrown, sendError, sendMethodNotAllowed, sendNotFound } from './errors.ts';
import { makeMessagesHandler } from './routes/messages.ts';
import { makeGetModel, makeListModels, type MessagesCatalogue } from './routes/models.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who the request acts as on the surface of Anthropic's API; set before any of its handlers runs. */
    messagesPrincipal: MessagesPrincipal;
  }
  interface FastifyContextConfig {
    /** The address is another surface's, which describes it; the route takes what that one leaves to it. */
    readonly sharesAddress?: boolean;
  }
}

/** What the surface is made of. `maxBodyBytes` is the largest body that it reads. */
export interface AnthropicGatewayDeps extends SealedDeps {
  readonly calls: Calls;
  readonly authenticate: AuthenticateKey;
  readonly catalogue: MessagesCatalogue;
  readonly clock: Clock;
  readonly log: Log;
}

/** Every path below it answers in this surface's form. */
export const MESSAGES_PREFIX = '/v1/messages';

/** Routes below `/v1`, and what kind of answer each gives. */
const ROUTES = [
  { route: '/messages', kind: 'messages' },
  { route: '/messages/count_tokens', kind: 'count_tokens' },
] as const;

const METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Marks a route that is for Anthropic's clients only: they say which version of the API they speak. */
const CLIENT = { name: 'anthropicClient', value: 'yes' } as const;

/** Tells requests of Anthropic's clients from others to the same address. */
const clientConstraint = (): Parameters<FastifyInstance['addConstraintStrategy']>[0] => ({
  name: CLIENT.name,
  storage: () => {
    const routes = new Map<unknown, unknown>();
    return { get: (value) => (routes.get(value) ?? null) as never, set: (value, route) => void routes.set(value, route) };
  },
  deriveConstraint: ({ headers }) => (headers['anthropic-version'] === undefined ? undefined : CLIENT.value),
  mustMatchWhenDerived: false,
});

/** Anthropic's Messages API as one Fastify plugin, to be registered without a prefix; it keeps its parser, hooks and errors to itself. */
export const makeAnthropicGateway =
  (deps: AnthropicGatewayDeps): FastifyPluginAsync =>
  async (app) => {
    if (!app.hasConstraintStrategy(CLIENT.name)) app.addConstraintStrategy(clientConstraint());
    app.removeAllContentTypeParsers();
    // The bytes go on to the call as they are: it parses them once, with the integers exact.
    app.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: deps.maxBodyBytes }, (_request, body, done) =>
      done(null, body),
    );
    app.decorateRequest('messagesPrincipal');
    openToBrowsers(app);
    takeSealedCalls(app, deps);
    relaySealedCalls(app, {
      ...deps,
      principalOf: (request) => request.messagesPrincipal,
      refuse: (request, reply, refusal) => {
        const { hideAmounts } = request.messagesPrincipal.tenant;
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

function mountRoutes(app: FastifyInstance, deps: AnthropicGatewayDeps): void {
  const onRequest = makeAuthenticateHook(deps.authenticate);
  for (const { route, kind } of ROUTES) {
    const url = `/v1${route}`;
    const config = { sealedRoute: { kind, route, onlyCounts: kind === 'count_tokens' } };
    const handler = makeMessagesHandler({ ...deps, kind, route });
    app.route({ method: 'POST', url, config, onRequest, bodyLimit: deps.maxBodyBytes, handler });
    refuseOthers(app, url);
  }
  // OpenAI's clients list models at the same address.
  const shared = { method: 'GET', onRequest, constraints: { [CLIENT.name]: CLIENT.value }, config: { sharesAddress: true } } as const;
  app.route({ ...shared, url: '/v1/models', handler: makeListModels(deps) });
  app.route({ ...shared, url: '/v1/models/*', handler: makeGetModel(deps) });
  // Batches and whatever else Anthropic has there. Answered before a body is read: what comes with it changes nothing.
  const refuse = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => sendNotFound(request, reply);
  app.route({ method: [...METHODS], url: `${MESSAGES_PREFIX}/*`, config: { onlyRefuses: true }, onRequest: refuse, handler: refuse });
}

function refuseOthers(app: FastifyInstance, url: string): void {
  const refuse = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> =>
    sendMethodNotAllowed(request, reply, 'POST');
  app.route({ method: METHODS.filter((each) => each !== 'POST'), url, config: { onlyRefuses: true }, onRequest: refuse, handler: refuse });
}
