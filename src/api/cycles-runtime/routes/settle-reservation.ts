import { valueOf } from '../../_shared/problem.ts';
import { amountText, balancesText } from '../answers.ts';
import { reservationIdOf } from '../reservation-id.ts';
import { headerKeyOf, runtimeCallerOf, sendText, showRate, tenantCallerOf, type RuntimeMount } from '../runtime-deps.ts';
import { CommitRequest, ReleaseRequest, ReservationExtendRequest } from '../schemas.ts';

/** `POST /v1/reservations/{id}/commit`: settles with what was really used. */
export const mountCommitReservation: RuntimeMount = (app, { settleReservation }) => {
  const config = { credential: 'key', permission: 'reservations:commit' } as const;
  app.post('/v1/reservations/:reservation_id/commit', { config, schema: { body: CommitRequest } }, async (request, reply) => {
    const wanted = { body: request.body, headerKey: headerKeyOf(request) };
    const answer = valueOf(await settleReservation.commit(tenantCallerOf(request), reservationIdOf(request), wanted));
    const { unit } = request.body.actual;
    showRate(reply, answer.rate);
    const released = answer.released === '0' ? '' : `,"released":${amountText(unit, answer.released)}`;
    const text = `{"status":"COMMITTED","charged":${amountText(unit, answer.charged)}${released},"balances":${balancesText(unit, answer.balances)}}`;
    return sendText(reply, text);
  });
};

/** `POST /v1/reservations/{id}/release`: returns the hold, also for the operator. */
export const mountReleaseReservation: RuntimeMount = (app, { settleReservation }) => {
  const config = { credential: 'either', permission: 'reservations:release' } as const;
  app.post('/v1/reservations/:reservation_id/release', { config, schema: { body: ReleaseRequest } }, async (request, reply) => {
    const wanted = { body: request.body, headerKey: headerKeyOf(request) };
    const answer = valueOf(await settleReservation.release(runtimeCallerOf(request), reservationIdOf(request), wanted));
    const { unit, released, balances } = answer;
    return sendText(reply, `{"status":"RELEASED","released":${amountText(unit, released)},"balances":${balancesText(unit, balances)}}`);
  });
};

/** `POST /v1/reservations/{id}/extend`: lets the hold last longer. */
export const mountExtendReservation: RuntimeMount = (app, { settleReservation }) => {
  const config = { credential: 'key', permission: 'reservations:extend' } as const;
  app.post('/v1/reservations/:reservation_id/extend', { config, schema: { body: ReservationExtendRequest } }, async (request, reply) => {
    const wanted = { body: request.body, headerKey: headerKeyOf(request) };
    const answer = valueOf(await settleReservation.extend(tenantCallerOf(request), reservationIdOf(request), wanted));
    const { unit, expiresAtMs, remainingTtlMs, balances } = answer;
    const lease = `"expires_at_ms":${expiresAtMs},"remaining_ttl_ms":${remainingTtlMs}`;
    return sendText(reply, `{"status":"ACTIVE",${lease},"balances":${balancesText(unit, balances)}}`);
  });
};
