import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Calls } from '../../../app/relay-call.ts';
import type { MessagesKind } from '../../../core/bounds/inference-request.ts';
import type { Clock } from '../../../ports/clock.ts';
import { HttpSink } from '../../_shared/http-sink.ts';
import { errorOfRefusal, sendError } from '../errors.ts';

const NO_BODY = Buffer.alloc(0);

/** `POST /v1<route>`: one call, or one count of tokens. The parser of the surface has left the body as it came. */
export function makeMessagesHandler(deps: {
  readonly calls: Calls;
  readonly clock: Clock;
  readonly kind: MessagesKind;
  readonly route: string;
}): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply> {
  const { calls, clock, kind, route } = deps;
  return async (request, reply) => {
    const { key, tenant } = request.messagesPrincipal;
    // Under this name Anthropic's clients look for the id of an answer; it goes out with whatever the sink sends.
    reply.raw.setHeader('request-id', request.id);
    const outcome = await calls.relay({
      requestId: request.id,
      key,
      tenant,
      kind,
      route,
      body: Buffer.isBuffer(request.body) ? request.body : NO_BODY,
      headers: request.headers,
      sink: new HttpSink(reply),
    });
    if (outcome.kind === 'answered') return reply.hijack();
    return sendError(reply, errorOfRefusal(outcome, { hideAmounts: tenant.hideAmounts, nowMs: clock.nowMs() }));
  };
}
