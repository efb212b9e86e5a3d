import type { FastifyRequest } from 'fastify';
import type { ApiKey, Tenant } from '../../core/records.ts';
import type { Outcome } from '../../core/rejection.ts';
import { bearerOf, refuseDoubledCredentials } from '../_shared/credentials.ts';
import { RefusedRequest, valueOf } from '../_shared/problem.ts';

/** Who a request acts as on this surface. */
export interface MessagesPrincipal {
  readonly key: ApiKey;
  readonly tenant: Tenant;
}

/** Finds the key behind a credential. Rejects: `unauthorized`, `key_disabled`, `key_expired`. */
export type AuthenticateKey = (credential: string) => Promise<Outcome<MessagesPrincipal>> | Outcome<MessagesPrincipal>;

const API_KEY = /^[\x21-\x7e]+$/;

/** The credential of `x-api-key` or of `Authorization: Bearer`; null where there is none that can be read. */
function credentialOf(request: FastifyRequest): string | null {
  refuseDoubledCredentials(request);
  const apiKey = request.headers['x-api-key'];
  if (apiKey === undefined) return bearerOf(request);
  if (request.headers.authorization !== undefined) {
    const message = 'Send the key in x-api-key or in Authorization, and not in both.';
    throw new RefusedRequest({ code: 'doubled_header', message, field: 'x-api-key' });
  }
  return typeof apiKey === 'string' && API_KEY.test(apiKey.trim()) ? apiKey.trim() : null;
}

/**
 * Makes the hook that authenticates a request before its body is read, and leaves the principal in `request.messagesPrincipal`.
 *
 * A credential that comes twice, in one header or in both, is 400 before any look-up; none, or one that nobody has, is 401. Inference and
 * management keys may call; other kinds are 403.
 */
export function makeAuthenticateHook(authenticate: AuthenticateKey): (request: FastifyRequest) => Promise<void> {
  return async (request) => {
    const credential = credentialOf(request);
    if (credential === null) {
      throw new RefusedRequest({ code: 'unauthorized', message: 'You did not provide an API key. Send it as x-api-key: YOUR_KEY.' });
    }
    const principal = valueOf(await authenticate(credential));
    const { kind } = principal.key;
    if (kind !== 'inference' && kind !== 'management') {
      throw new RefusedRequest({
        code: 'forbidden',
        message: 'This kind of key may not call models. Use an inference or a management key.',
      });
    }
    request.messagesPrincipal = principal;
  };
}
