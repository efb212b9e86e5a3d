import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ObjectRequest } from '../../../app/relay-upstream-object.ts';
import type { CallOutcome } from '../../../app/calls/call-types.ts';
import type { Clock } from '../../../ports/clock.ts';
import { HttpSink } from '../../_shared/http-sink.ts';
import { RefusedRequest } from '../../_shared/problem.ts';
import { errorOfRefusal, sendError } from '../errors.ts';

/** What is asked of the upstream that keeps a response. */
export type RelayUpstreamObject = (request: ObjectRequest) => Promise<CallOutcome>;

/** Parameters of the query by what is asked; those that end in brackets, and `include`, may come more than once. */
const PARAMETERS: Readonly<Record<ObjectRequest['action'], readonly string[]>> = {
  get: ['include', 'include[]', 'include_obfuscation', 'starting_after', 'stream'],
  'input-items': ['after', 'before', 'include', 'include[]', 'limit', 'order'],
  delete: [],
  cancel: [],
};

/** `GET`, `DELETE /v1/responses/{id}`, `POST .../cancel` and `GET .../input_items`: asks whoever keeps the response. */
export function makeResponseHandler(deps: {
  readonly relayObject: RelayUpstreamObject;
  readonly clock: Clock;
  readonly action: ObjectRequest['action'];
}): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply> {
  const { relayObject, clock, action } = deps;
  return async (request, reply) => {
    const { key, tenant } = request.gatewayPrincipal;
    const outcome = await relayObject({
      requestId: request.id,
      key,
      tenant,
      responseId: (request.params as { readonly id: string }).id,
      action,
      query: queryOf(request, PARAMETERS[action]),
      headers: request.headers,
      sink: new HttpSink(reply),
    });
    if (outcome.kind === 'answered') return reply.hijack();
    return sendError(reply, errorOfRefusal(outcome, { hideAmounts: tenant.hideAmounts, nowMs: clock.nowMs() }));
  };
}

/** The query as it goes upstream: of the known parameters only, written anew. An unknown one, or one that comes twice, is 400. */
function queryOf(request: FastifyRequest, known: readonly string[]): string {
  const { url } = request;
  const mark = url.indexOf('?');
  if (mark === -1) return '';
  const seen = new Set<string>();
  const query = new URLSearchParams(url.slice(mark + 1));
  for (const name of query.keys()) {
    const field = name.slice(0, 100);
    if (!known.includes(name)) throw new RefusedRequest({ code: 'invalid_request', message: `${field} is not a known parameter`, field });
    if (seen.has(name) && !name.startsWith('include'))
      throw new RefusedRequest({ code: 'invalid_request', message: `${field} must come once`, field });
    seen.add(name);
  }
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}
