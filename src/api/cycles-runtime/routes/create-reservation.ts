import { valueOf } from '../../_shared/problem.ts';
import { dryRunText, reservationMadeText } from '../decision-answers.ts';
import { headerKeyOf, sendText, showRate, tenantCallerOf, type RuntimeMount } from '../runtime-deps.ts';
import { ReservationCreateRequest } from '../schemas.ts';

/** `POST /v1/reservations`: holds an amount, or with `dry_run` tells what that would come to. */
export const mountCreateReservation: RuntimeMount = (app, { reserveBudget }) => {
  const config = { credential: 'key', permission: 'reservations:create' } as const;
  app.post('/v1/reservations', { config, schema: { body: ReservationCreateRequest } }, async (request, reply) => {
    const wanted = { body: request.body, headerKey: headerKeyOf(request) };
    const caller = tenantCallerOf(request);
    if (request.body.dry_run === true) return sendText(reply, dryRunText(valueOf(await reserveBudget.evaluate(caller, wanted, 'dry run'))));
    const made = valueOf(await reserveBudget.reserve(caller, wanted));
    showRate(reply, made.answer.rate);
    return sendText(reply, reservationMadeText(made));
  });
};
