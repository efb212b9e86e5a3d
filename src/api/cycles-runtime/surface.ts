import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { RequestAudit } from '../../app/audit/request-audit.ts';
import { makeBookEvent } from '../../app/cycles/book-event.ts';
import { makeReadSpending } from '../../app/cycles/read-spending.ts';
import type { DenialRecorder } from '../../app/cycles/record-denial.ts';
import { makeReserveBudget } from '../../app/cycles/reserve-budget.ts';
import { RUNTIME_SOURCE } from '../../app/cycles/runtime-caller.ts';
import { makeSettleReservation } from '../../app/cycles/settle-reservation.ts';
import type { Directory } from '../../app/directory.ts';
import { makePageCursors } from '../../app/page-cursors.ts';
import { mayUse } from '../../core/cycles/may-use.ts';
import { SUBJECT_LEVELS } from '../../core/cycles/scope.ts';
import { stringifyJson } from '../../core/json/int64.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { KeyHasher } from '../../ports/secret-box.ts';
import { addAudit } from '../_shared/audit.ts';
import { cyclesAuditPrincipal, makeAuthenticateCycles, type AuthNotes } from '../_shared/cycles-principal.ts';
import { addJsonBodyParser } from '../_shared/json-body.ts';
import { makeErrorHandler, problemOf } from '../_shared/problem.ts';
import { addCyclesTracing } from '../_shared/trace-context.ts';
import { compileValidator } from '../_shared/validation.ts';
import { runtimeForm } from './errors.ts';
import { RUNTIME_OPERATIONS } from './operations.ts';
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
  readonly audit: RequestAudit;
  readonly directory: Directory;
  readonly records: RecordStore;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly hasher: KeyHasher;
  readonly denials: Pick<DenialRecorder, 'record'>;
  readonly events: { readonly auth: AuthNotes };
  readonly log: Log;
  /** Whether the governance plane is on the same listener, and has `GET /v1/balances` for whoever names no level of a subject. */
  readonly sharesBalances: boolean;
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

/** Marks the route of a path of both planes that is for requests which name a level of a subject. */
const LEVELS = { name: 'cyclesLevels', value: 'named' } as const;

const SHARED_PATH = '/v1/balances?';

/** Tells such requests from the governance plane's. Source: the reference servers keep the two apart by their ports. */
const levelsConstraint = (): Parameters<FastifyInstance['addConstraintStrategy']>[0] => ({
  name: LEVELS.name,
  storage: () => {
    const routes = new Map<unknown, unknown>();
    return { get: (value) => (routes.get(value) ?? null) as never, set: (value, route) => void routes.set(value, route) };
  },
  deriveConstraint: ({ url = '' }) => {
    if (!url.startsWith(SHARED_PATH)) return undefined;
    const names = new URLSearchParams(url.slice(SHARED_PATH.length)).keys();
    return [...names].some((name) => SUBJECT_LEVELS.some((level) => level === name)) ? LEVELS.value : undefined;
  },
  mustMatchWhenDerived: false,
});

/** The Cycles runtime plane as one Fastify plugin, to be registered on both listeners without a prefix. */
export const makeCyclesRuntime =
  (given: CyclesRuntimeDeps): FastifyPluginAsync =>
  async (scope) => {
    const deps = { ...given, writer: given.audit.writer };
    const app = scope.withTypeProvider<TypeBoxTypeProvider>();
    addJsonBodyParser(scope, { bodyLimit: BODY_LIMIT_BYTES });
    app.setValidatorCompiler(compileValidator);
    app.setReplySerializer((payload) => stringifyJson(payload));
    app.setErrorHandler(makeRuntimeErrorHandler(deps.log));
    addCyclesTracing(app);
    // What keys do is in the journal; what the operator does for them is in the audit.
    const concerns = ({ headers }: FastifyRequest): boolean => headers['x-admin-api-key'] !== undefined;
    const auditPrincipal = cyclesAuditPrincipal(RUNTIME_SOURCE);
    const operatorPrincipal = (request: FastifyRequest) => (request.cycles?.kind === 'operator' ? auditPrincipal(request) : null);
    addAudit(app, { ...deps, form: runtimeForm, operations: RUNTIME_OPERATIONS, principalOf: operatorPrincipal, concerns });
    app.addHook('onRequest', makeAuthenticateCycles({ ...deps, mayUse, auth: deps.events.auth, source: RUNTIME_SOURCE }));
    const routeDeps = {
      reserveBudget: makeReserveBudget(deps),
      settleReservation: makeSettleReservation(deps),
      bookEvent: makeBookEvent(deps),
      readSpending: makeReadSpending(deps),
      cursors: makePageCursors(deps.hasher),
    };
    for (const mount of MOUNTS) mount(app, routeDeps);
    if (!deps.sharesBalances) return mountGetBalances(app, routeDeps, { config: {}, constraints: {} });
    if (!app.hasConstraintStrategy(LEVELS.name)) app.addConstraintStrategy(levelsConstraint());
    mountGetBalances(app, routeDeps, { config: { sharesAddress: true }, constraints: { [LEVELS.name]: LEVELS.value } });
  };
