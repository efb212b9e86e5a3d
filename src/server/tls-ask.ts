import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** Where a proxy asks whether to get a certificate for a name. */
const ASK_PATH = '/internal/ask';

const MAX_NAME_LENGTH = 253;

/**
 * Answers a proxy that makes certificates on demand, from memory and without a credential: 200 for a name of a container, 404 for every other, 400 where
 * it does not ask for one name. Whoever is neither on this machine nor a declared proxy (`mayAsk` is false) is answered 403.
 */
export function registerAsk(
  app: FastifyInstance,
  { isNamed, mayAsk }: { readonly isNamed: (host: string) => boolean; readonly mayAsk: (request: FastifyRequest) => boolean },
): void {
  const answer = (reply: FastifyReply, status: number, text: string): void => {
    void reply.code(status).header('content-type', 'application/json').header('cache-control', 'no-store').send(text);
  };
  app.get(ASK_PATH, { exposeHeadRoute: false }, (request, reply) => {
    if (!mayAsk(request)) return answer(reply, 403, '{"error":"only a proxy on this machine, or a declared one, may ask"}');
    const { domain } = request.query as { readonly domain?: unknown };
    if (typeof domain !== 'string' || domain === '' || domain.length > MAX_NAME_LENGTH) {
      return answer(reply, 400, '{"error":"domain must be one name of at most 253 characters"}');
    }
    const isOurs = isNamed(domain.toLowerCase());
    return answer(reply, isOurs ? 200 : 404, `{"served":${String(isOurs)}}`);
  });
}
