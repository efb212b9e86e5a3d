import { valueOf } from '../../_shared/problem.ts';
import { decisionText } from '../decision-answers.ts';
import { headerKeyOf, sendText, tenantCallerOf, type RuntimeMount } from '../runtime-deps.ts';
import { DecisionRequest } from '../schemas.ts';

/** `POST /v1/decide`: tells whether a spend would be allowed, and holds nothing. */
export const mountDecide: RuntimeMount = (app, { reserveBudget }) => {
  const config = { credential: 'key', permission: 'reservations:create' } as const;
  app.post('/v1/decide', { config, schema: { body: DecisionRequest } }, async (request, reply) => {
    const evaluated = await reserveBudget.evaluate(
      tenantCallerOf(request),
      { body: request.body, headerKey: headerKeyOf(request) },
      'decide',
    );
    return sendText(reply, decisionText(valueOf(evaluated)));
  });
};
