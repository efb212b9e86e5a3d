import type { Operations } from '../../_shared/openapi/operation.ts';
import { ApiKeyValidationRequest, ApiKeyValidationResponse, AuthIntrospectResponse } from '../schemas/auth.ts';
import { answer, EITHER, EVERYWHERE } from './shared.ts';

/** The operations that tell about credentials. Source: Cycles governance, paths below `/v1/auth`. */
export const AUTH_OPERATIONS: Operations = {
  'POST /v1/auth/validate': {
    id: 'validateApiKey',
    summary: 'Tell whether a key of a tenant is good',
    body: { schema: ApiKeyValidationRequest },
    answers: { 200: answer('Whether it is, and why it is not.', ApiKeyValidationResponse) },
    errors: EVERYWHERE,
  },
  'GET /v1/auth/introspect': {
    id: 'introspectAuth',
    summary: 'Tell who asks and what they may do',
    answers: { 200: answer('Who asks.', AuthIntrospectResponse) },
    errors: EVERYWHERE,
    security: EITHER,
  },
};
