import { valueOf } from '../../_shared/problem.ts';
import { amountText, balancesText } from '../answers.ts';
import { headerKeyOf, sendText, tenantCallerOf, type RuntimeMount } from '../runtime-deps.ts';
import { EventCreateRequest } from '../schemas.ts';

/** `POST /v1/events`: books a spend that was not held before. */
export const mountCreateEvent: RuntimeMount = (app, { bookEvent }) => {
  const config = { credential: 'key', permission: 'events:create' } as const;
  app.post('/v1/events', { config, schema: { body: EventCreateRequest } }, async (request, reply) => {
    const wanted = { body: request.body, headerKey: headerKeyOf(request) };
    const { unit, answer } = valueOf(await bookEvent(tenantCallerOf(request), wanted));
    const { debitId, charged, capped, balances } = answer;
    const cappedTo = capped ? `,"charged":${amountText(unit, charged)}` : '';
    const text = `{"status":"APPLIED","event_id":"${debitId}"${cappedTo},"balances":${balancesText(unit, balances)}}`;
    return sendText(reply.code(201), text);
  });
};
