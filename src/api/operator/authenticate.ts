import type { FastifyRequest } from 'fastify';
import type { Actor } from '../../app/audited-command.ts';
import { requestFacts } from '../_shared/audit.ts';
import { isSameCredential, refuseDoubledCredentials } from '../_shared/credentials.ts';
import { RefusedRequest } from '../_shared/problem.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whether the operator's key came with the request, on the operator's surface. */
    isOperator?: boolean;
  }
}

/** Makes the hook that lets only the operator in, before a body is read. */
export const makeAuthenticateOperator =
  (operatorKey: string) =>
  async (request: FastifyRequest): Promise<void> => {
    refuseDoubledCredentials(request);
    const given = request.headers['x-admin-api-key'];
    if (typeof given === 'string' && isSameCredential(given, operatorKey)) {
      request.isOperator = true;
      return;
    }
    throw new RefusedRequest({ code: 'unauthorized', message: 'the operator key is required: send it as X-Admin-API-Key' });
  };

/** The operator, for the audit. */
export const operatorOf = (request: FastifyRequest): Actor => ({ kind: 'operator', id: 'operator', ...requestFacts(request) });
