import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { makeBookEvent } from '../../app/cycles/book-event.ts';
import { makeReadSpending } from '../../app/cycles/read-spending.ts';
import type { DenialRecorder } from '../../app/cycles/record-denial.ts';
import { makeReserveBudget } from '../../app/cycles/reserve-budget.ts';
import { makeSettleReservation } from '../../app/cycles/settle-reservation.ts';
import type { Directory } from '../../app/directory.ts';
import type { LedgerWriter } from '../../app/ledger-writer.ts';
import { makePageCursors } from '../../app/page-cursors.ts';
import { mayUse } from '../../core/cycles/may-use.ts';
import { stringifyJson } from '../../core/json/int64.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { KeyHasher } from '../../ports/secret-box.ts';
import { makeAuthenticateCycles } from '../_shared/cycles-principal.ts';
import { addJsonBodyParser } from '../_shared/json-body.ts';
import { makeErrorHandler, problemOf } from '../_shared/problem.ts';
import { addCyclesTracing } from '../_shared/trace-context.ts';
import { compileValidator } from '../_shared/validation.ts';
import { runtimeForm } from './errors.ts';
import { mountCreateEvent } from './routes/create-event.ts';
import { mountCreateReservation } from './routes/create-reservation.ts';
import { mountDecide } from './routes/decide.ts';
import { mountEvidence } from './routes/evidence.ts';
import { mountGetBalances } from './routes/get-balances.ts';
import { mountGetReservation, mountListReservations } from './routes/read-reservations.ts';
import { mountCommitReservation, mountExtendReservation, mountReleaseReservation } from './routes/settle-reservation.ts';
import { showRate, type RuntimeMount } from './runtime-deps.ts';

/** Paths below these are the surface's own, also those that it does not serve. The governance plane has the last two as well. */
export const RUNTIME_PREFIXES = [
  '/v1/decide',
  '/v1/reservations',
  '/v1/evidence',
  '/v1/.well-known',
  '/v1/balances',
  '/v1/events',
] as const;

const BODY_LIMIT_BYTES = 256 * 1024;

/** What the runtime plane is made of. */
export interface CyclesRuntimeDeps {
  readonly operatorKey: string;
  readonly writer: LedgerWriter;
  readonly directory: Directory;
  readonly records: RecordStore;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly hasher: KeyHasher;
  readonly denials: Pick<DenialRecorder, 'record'>;
  readonly log: Log;
  /** What keeps `GET /v1/balances` apart from the governance plane's, where both are on one listener. */
  readonly balancesConstraints: Readonly<Record<string, string>>;
}

const MOUNTS: readonly RuntimeMount[] = [
  mountDecide,
  mountCreateReservation,
  mountListReservations,
  mountGetReservation,
  mountCommitReservation,
  mountReleaseReservation,
  mountExtendReservation,
  mountCreateEvent,
  mountEvidence,
];

/** The error handler of the surface; a limit of a policy shows how it stands. */
function makeRuntimeErrorHandler(log: Log) {
  const handle = makeErrorHandler({ form: runtimeForm, log });
  return (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const { code, details } = problemOf(error);
    if (code === 'rate_limited') {
      const { limit, remaining, reset_at_ms: resetAtMs } = details as { limit: number; remaining: number; reset_at_ms: number };
      showRate(reply, { limit, remaining, resetAtMs });
    }
    return handle(error, request, reply);
  };
}

/** The Cycles runtime plane as one Fastify plugin, to be registered on both listeners without a prefix. */
export const makeCyclesRuntime =
  (deps: CyclesRuntimeDeps): FastifyPluginAsync =>
  async (scope) => {
    const app = scope.withTypeProvider<TypeBoxTypeProvider>();
    addJsonBodyParser(scope, { bodyLimit: BODY_LIMIT_BYTES });
    app.setValidatorCompiler(compileValidator);
    app.setReplySerializer((payload) => stringifyJson(payload));
    app.setErrorHandler(makeRuntimeErrorHandler(deps.log));
    addCyclesTracing(app);
    app.addHook('onRequest', makeAuthenticateCycles({ ...deps, mayUse }));
    const routeDeps = {
      reserveBudget: makeReserveBudget(deps),
      settleReservation: makeSettleReservation(deps),
      bookEvent: makeBookEvent(deps),
      readSpending: makeReadSpending(deps),
      cursors: makePageCursors(deps.hasher),
    };
    for (const mount of MOUNTS) mount(app, routeDeps);
    mountGetBalances(app, routeDeps, deps.balancesConstraints);
  };
