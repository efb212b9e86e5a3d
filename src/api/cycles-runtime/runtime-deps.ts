import type { FastifyReply, FastifyRequest } from 'fastify';
import type { BookEvent } from '../../app/cycles/book-event.ts';
import type { ReadSpending } from '../../app/cycles/read-spending.ts';
import type { ReserveBudget } from '../../app/cycles/reserve-budget.ts';
import { RUNTIME_SOURCE, type RuntimeCaller, type TenantCaller } from '../../app/cycles/runtime-caller.ts';
import type { SettleReservation } from '../../app/cycles/settle-reservation.ts';
import type { PageCursors } from '../../app/page-cursors.ts';
import type { RateView } from '../../core/policy/rate-window.ts';
import { cyclesActorOf, principalOf, tenantKeyOf } from '../_shared/cycles-principal.ts';
import type { TypedApp } from '../_shared/typed-app.ts';

/** What the routes of the runtime plane are made of. */
export interface RuntimeRouteDeps {
  readonly reserveBudget: ReserveBudget;
  readonly settleReservation: SettleReservation;
  readonly bookEvent: BookEvent;
  readonly readSpending: ReadSpending;
  readonly cursors: PageCursors;
}

/** Mounts the routes of one operation, with their whole paths. */
export type RuntimeMount = (app: TypedApp, deps: RuntimeRouteDeps) => void;

/** The tenant's key behind a request whose route lets in nobody else. */
export function tenantCallerOf(request: FastifyRequest): TenantCaller {
  const { key, tenant } = tenantKeyOf(request);
  return { kind: 'tenant', key, tenant, actor: cyclesActorOf(request, RUNTIME_SOURCE) };
}

/** Who is behind a request: a tenant's key, or the operator. */
export const runtimeCallerOf = (request: FastifyRequest): RuntimeCaller =>
  principalOf(request).kind === 'operator' ? { kind: 'operator', actor: cyclesActorOf(request, RUNTIME_SOURCE) } : tenantCallerOf(request);

/** The idempotency key in the header of a request; undefined where there is none. */
export function headerKeyOf(request: FastifyRequest): string | undefined {
  const value = request.headers['x-idempotency-key'];
  return Array.isArray(value) ? value.join(', ') : value;
}

/** Says how the limit of a policy stands, where there is one; the reset in seconds since the epoch. */
export function showRate(reply: FastifyReply, rate: RateView | null): void {
  if (rate === null) return;
  void reply
    .header('x-ratelimit-limit', String(rate.limit))
    .header('x-ratelimit-remaining', String(rate.remaining))
    .header('x-ratelimit-reset', String(Math.ceil(rate.resetAtMs / 1000)));
}

/** Answers with JSON text as it is. */
export const sendText = (reply: FastifyReply, text: string): FastifyReply =>
  reply.header('content-type', 'application/json; charset=utf-8').send(text);
