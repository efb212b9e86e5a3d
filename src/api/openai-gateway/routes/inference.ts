import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Calls } from '../../../app/relay-call.ts';
import type { InferenceKind } from '../../../core/bounds/inference-request.ts';
import type { Clock } from '../../../ports/clock.ts';
import { HttpSink } from '../../_shared/http-sink.ts';
import { errorOfRefusal, sendError } from '../errors.ts';

const NO_BODY = Buffer.alloc(0);

/** What runs a request: a call with all that belongs to it, or the counting of one. */
export type RunRequest = Calls['relay'];

/** `POST /v1<route>`: one inference call, or its counting. The parser of the surface has left the body as it came. */
export function makeInferenceHandler(deps: {
  readonly run: RunRequest;
  readonly clock: Clock;
  readonly kind: InferenceKind;
  readonly route: string;
}): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply> {
  const { run, clock, kind, route } = deps;
  return async (request, reply) => {
    const { key, tenant } = request.gatewayPrincipal;
    const body = Buffer.isBuffer(request.body) ? request.body : NO_BODY;
    const outcome = await run({
      requestId: request.id,
      key,
      tenant,
      kind,
      route,
      body,
      headers: request.headers,
      sink: new HttpSink(reply),
    });
    if (outcome.kind === 'answered') return reply.hijack();
    return sendError(reply, errorOfRefusal(outcome, { hideAmounts: tenant.hideAmounts, nowMs: clock.nowMs() }));
  };
}
