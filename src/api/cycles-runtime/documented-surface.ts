import { errorCodes } from '../_shared/openapi/error-codes.ts';
import type { DocumentedSurface } from '../_shared/openapi/operation.ts';
import { runtimeForm } from './errors.ts';
import { RUNTIME_OPERATIONS } from './operations.ts';
import { RuntimeError } from './schemas.ts';
import { RUNTIME_PREFIXES } from './surface.ts';

/** The runtime plane of the Cycles protocol as the API's document tells of it. */
export const RUNTIME_SURFACE: DocumentedSurface = {
  id: 'cycles-runtime',
  title: 'Cycles runtime',
  description: 'Spend that is held before it happens, settled with what it came to, or booked at once.',
  idPrefix: 'cycles',
  prefixes: RUNTIME_PREFIXES,
  operations: RUNTIME_OPERATIONS,
  security: ['tenantKey'],
  errors: {
    form: RuntimeError,
    always: [400, 401, 403, 421, 500, 503],
    codes: errorCodes((code) => {
      const { status, body } = runtimeForm({ code, message: '' }, '');
      return { status, code: (body as { readonly error: string }).error };
    }),
  },
};
