import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Pages of the declared origins may call the route, on a listener that is open to them. */
    readonly opensToBrowsers?: boolean;
  }
}

/** Headers of our answers that a page may read, beside those that every page may. */
const EXPOSED_HEADERS = [
  'ehbp-response-nonce',
  'retry-after',
  'www-authenticate',
  'x-castellan-call-id',
  'x-castellan-model',
  'x-castellan-output-limit',
  'x-ratelimit-limit-requests',
  'x-ratelimit-limit-tokens',
  'x-ratelimit-remaining-requests',
  'x-ratelimit-remaining-tokens',
  'x-ratelimit-reset-requests',
  'x-ratelimit-reset-tokens',
  'x-request-id',
  'x-should-retry',
  'x-tinfoil-usage-metrics',
  'request-id',
  'anthropic-ratelimit-requests-limit',
  'anthropic-ratelimit-requests-remaining',
  'anthropic-ratelimit-requests-reset',
  'anthropic-ratelimit-tokens-limit',
  'anthropic-ratelimit-tokens-remaining',
  'anthropic-ratelimit-tokens-reset',
  'openai-processing-ms',
  'openai-version',
].join(', ');

/** Headers that a page may send: what the clients of the gateway's APIs set in a browser, and our own. */
const ALLOWED_HEADER =
  /^(?:accept|authorization|content-type|ehbp-encapsulated-key|idempotency-key|traceparent|tracestate|user-agent|x-api-key|x-request-id|x-tinfoil-enclave-url|x-tinfoil-request-usage-metrics|(?:x-stainless|x-castellan|openai|anthropic)-[a-z0-9-]{1,64})$/;

const ALLOWED_METHODS = 'GET, HEAD, POST, DELETE';

/** How long a browser may rely on the answer to its preflight, in seconds. */
const MAX_AGE_SECONDS = '600';

/** Lets pages call every route that `app` gets from now on, where the listener is open to their origin. */
export function openToBrowsers(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, opensToBrowsers: true };
  });
}

/**
 * Opens a listener to pages of `origins`, for routes of {@link openToBrowsers}; without origins it does nothing at all.
 *
 * An origin counts only if it is exactly one of the list. Its preflights are answered before anything else looks at them, and every
 * answer to it says that it may be read, errors too. No cookies or other credentials of the browser are let in: a page brings its key.
 * Call it before anything else that looks at requests. Source: Fetch standard, "CORS protocol".
 */
export function addCors(app: FastifyInstance, options: { readonly origins: readonly string[] }): void {
  const origins = new Set(options.origins);
  if (origins.size === 0) return;
  app.addHook('onRequest', (request, reply, done) => {
    if (request.routeOptions.config.opensToBrowsers !== true) return done();
    // What is said differs from origin to origin, so no cache may give one's answer to another.
    reply.raw.setHeader('vary', 'Origin');
    const { origin } = request.headers;
    if (origin === undefined || !origins.has(origin)) return done();
    // On the raw answer: answers of calls do not pass through the framework.
    reply.raw.setHeader('access-control-allow-origin', origin);
    if (isPreflight(request)) return void answerPreflight(request, reply);
    reply.raw.setHeader('access-control-expose-headers', EXPOSED_HEADERS);
    done();
  });
}

const isPreflight = ({ method, headers }: FastifyRequest): boolean =>
  method === 'OPTIONS' && headers['access-control-request-method'] !== undefined;

function answerPreflight(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { headers } = request;
  const asked = (headers['access-control-request-headers'] ?? '').split(',').map((name) => name.trim().toLowerCase());
  const allowed = asked.filter((name) => ALLOWED_HEADER.test(name));
  reply.raw.setHeader('vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers');
  reply.header('access-control-allow-methods', ALLOWED_METHODS).header('access-control-max-age', MAX_AGE_SECONDS);
  if (allowed.length > 0) reply.header('access-control-allow-headers', allowed.join(', '));
  // A page of the internet that calls a server in a private network asks for this too.
  if (headers['access-control-request-private-network'] === 'true') reply.header('access-control-allow-private-network', 'true');
  return reply.code(204).send();
}
