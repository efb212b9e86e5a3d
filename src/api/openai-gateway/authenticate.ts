import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ApiKey, Tenant } from '../../core/records.ts';
import { rejected, type Outcome } from '../../core/rejection.ts';
import { bearerOf, refuseDoubledCredentials } from '../_shared/credentials.ts';
import { errorOfRejection, sendError } from './errors.ts';

/** Who a request acts as on this surface. */
export interface GatewayPrincipal {
  readonly key: ApiKey;
  readonly tenant: Tenant;
}

/** Finds the key behind a credential. Rejects: `unauthorized`, `key_disabled`, `key_expired`. */
export type AuthenticateKey = (credential: string) => Promise<Outcome<GatewayPrincipal>> | Outcome<GatewayPrincipal>;

/**
 * Makes the hook that authenticates a request before its body is read, and leaves the principal in `request.gatewayPrincipal`.
 *
 * A doubled `Authorization` is 400 before any look-up; none, or one that is no bearer credential, or one that nobody has, is 401.
 * Inference and management keys may call; other kinds are 403.
 */
export function makeAuthenticateHook(
  authenticate: AuthenticateKey,
): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply | undefined> {
  return async (request, reply) => {
    const refuse = (outcome: Outcome<never>): FastifyReply | undefined =>
      outcome.ok ? undefined : sendError(reply, errorOfRejection(outcome.rejection, { hideAmounts: true, nowMs: 0 }));

    refuseDoubledCredentials(request);
    const credential = bearerOf(request);
    if (credential === null) {
      const message = 'You did not provide an API key. Send it in an Authorization header: Authorization: Bearer YOUR_KEY.';
      return refuse(rejected({ code: 'unauthorized', message }));
    }
    const found = authenticate(credential);
    const outcome = found instanceof Promise ? await found : found;
    if (!outcome.ok) return refuse(outcome);
    const { kind } = outcome.value.key;
    if (kind !== 'inference' && kind !== 'management') {
      return refuse(
        rejected({ code: 'forbidden', message: 'This kind of key may not call models. Use an inference or a management key.' }),
      );
    }
    request.gatewayPrincipal = outcome.value;
    return undefined;
  };
}
