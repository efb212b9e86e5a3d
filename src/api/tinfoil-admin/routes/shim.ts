import type { FastifyRequest } from 'fastify';
import type { KeyChecks } from '../../../app/check-key.ts';
import type { Identity } from '../../../app/directory.ts';
import type { SourceLimiter } from '../../../app/source-limiter.ts';
import type { Outcome, Rejection } from '../../../core/rejection.ts';
import type { Clock } from '../../../ports/clock.ts';
import { RefusedRequest } from '../../_shared/problem.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { RouteContextBody, ValidateKeyBody } from '../schemas.ts';

/** What the routes need. */
export interface ShimDeps {
  readonly checks: KeyChecks;
  readonly limiter: SourceLimiter;
  readonly clock: Clock;
}

/** What a key that is none costs a source beside the question: whoever guesses is out of questions soon. */
const BAD_KEY_COST = 29;

/** `POST /api/shim/validate-key`: 200 says that the key may make a call now, and nothing else does. Source: Tinfoil reference section 1.5. */
export function mountValidateKey(app: TypedApp, { checks, limiter, clock }: ShimDeps): void {
  app.post(
    '/api/shim/validate-key',
    { schema: { body: ValidateKeyBody }, onRequest: (request) => askLimiter(limiter, request) },
    async (request) => {
      identityOf(await checks.validate(request.body.api_key), { request, limiter, nowMs: clock.nowMs() });
      return { valid: true };
    },
  );
}

/** `POST /api/shim/route-context`: whose key it is. We give no call precedence over another, so there is no `priority`. */
export function mountRouteContext(app: TypedApp, { checks, limiter, clock }: ShimDeps): void {
  app.post(
    '/api/shim/route-context',
    { schema: { body: RouteContextBody }, onRequest: (request) => askLimiter(limiter, request) },
    async (request) => {
      const { tenant } = identityOf(await checks.identify(request.body.api_key), { request, limiter, nowMs: clock.nowMs() });
      return { org_id: tenant.id };
    },
  );
}

/** Refuses a source that has asked too much, before its body is read. */
async function askLimiter(limiter: SourceLimiter, request: FastifyRequest): Promise<void> {
  const retryAfterMs = limiter.ask(request.ip);
  if (retryAfterMs > 0)
    throw new RefusedRequest({ code: 'too_many_requests', message: 'too many requests from this address', retryAfterMs });
}

/** Codes that say that there is no such key, or none that works. */
const BAD_KEY: ReadonlySet<string> = new Set(['unauthorized', 'key_disabled', 'key_expired', 'forbidden']);

function identityOf(
  outcome: Outcome<Identity>,
  by: { readonly request: FastifyRequest; readonly limiter: SourceLimiter; readonly nowMs: number },
): Identity {
  if (outcome.ok) return outcome.value;
  const { rejection } = outcome;
  if (BAD_KEY.has(rejection.code)) by.limiter.charge(by.request.ip, BAD_KEY_COST);
  const { code, message } = rejection;
  const retryAfterMs = waitOf(rejection, by.nowMs);
  throw new RefusedRequest({ code, message, ...(retryAfterMs === null ? {} : { retryAfterMs }) });
}

/** How long waiting takes where it helps. */
function waitOf({ code, account }: Rejection, nowMs: number): number | null {
  if (code === 'held') return 1000;
  if (code !== 'window_exceeded') return null;
  return Math.max(1000, (account?.resetsAtMs ?? nowMs) - nowMs);
}
