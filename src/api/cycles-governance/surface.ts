import type { FastifyInstance, FastifyPluginAsync } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { makePageCursors } from '../../app/page-cursors.ts';
import { mayUse } from '../../core/cycles/may-use.ts';
import { stringifyJson } from '../../core/json/int64.ts';
import { addAudit } from '../_shared/audit.ts';
import { cyclesAuditPrincipal, makeAuthenticateCycles } from '../_shared/cycles-principal.ts';
import { addJsonBodyParser } from '../_shared/json-body.ts';
import { makeErrorHandler, RefusedRequest } from '../_shared/problem.ts';
import { targetOf } from '../_shared/request-target.ts';
import { addCyclesTracing } from '../_shared/trace-context.ts';
import { compileValidator } from '../_shared/validation.ts';
import { governanceForm } from './errors.ts';
import { GOVERNANCE_SOURCE, type GovernanceDeps, type GovernanceMount } from './governance-deps.ts';
import { GOVERNANCE_OPERATIONS } from './operations.ts';
import { mountApiKeys } from './routes/api-keys.ts';
import { mountAudit } from './routes/audit.ts';
import { mountAuth } from './routes/auth.ts';
import { mountBalances, mountBudgetLists } from './routes/budget-lists.ts';
import { mountBudgets } from './routes/budgets.ts';
import { mountEvents } from './routes/events.ts';
import { mountPolicies } from './routes/policies.ts';
import { mountOverview } from './routes/overview.ts';
import { mountTenants } from './routes/tenants.ts';
import { mountWebhooks } from './routes/webhooks.ts';

/** Paths below these are the surface's own on the control plane, also those that it does not serve. */
export const GOVERNANCE_PREFIXES = ['/v1/admin', '/v1/auth', '/v1/webhooks', '/v1/events', '/v1/balances'] as const;

const BODY_LIMIT_BYTES = 256 * 1024;

/** The routes of the surface, by resource. Each names its credential and, for tenant keys, the permission in its `config`. */
const MOUNTS: readonly GovernanceMount[] = [
  mountTenants,
  mountApiKeys,
  mountAuth,
  mountOverview,
  mountBudgets,
  mountBudgetLists,
  mountBalances,
  mountPolicies,
  mountAudit,
  mountEvents,
  mountWebhooks,
];

const DOTS = /^(?:\.|%2e){1,2}$/i;

/** Refuses `.` and `..` as a part of the path, written plainly or escaped, before anything else looks at it. */
function refuseDotSegments(app: FastifyInstance): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const hasDots = targetOf(request)
      .path.split(/\/|%2f/i)
      .some((segment) => DOTS.test(segment));
    done(hasDots ? new RefusedRequest({ code: 'bad_url', message: 'the path must not hold the segments . and ..' }) : undefined);
  });
}

/** The Cycles governance plane as one Fastify plugin, to be registered on the control plane without a prefix. */
export const makeCyclesGovernance =
  (deps: GovernanceDeps): FastifyPluginAsync =>
  async (scope) => {
    const app = scope.withTypeProvider<TypeBoxTypeProvider>();
    addJsonBodyParser(scope, { bodyLimit: BODY_LIMIT_BYTES });
    app.setValidatorCompiler(compileValidator);
    app.setReplySerializer((payload) => stringifyJson(payload));
    app.setErrorHandler(makeErrorHandler({ form: governanceForm, log: deps.log }));
    addCyclesTracing(app);
    refuseDotSegments(app);
    addAudit(app, {
      ...deps,
      form: governanceForm,
      operations: GOVERNANCE_OPERATIONS,
      principalOf: cyclesAuditPrincipal(GOVERNANCE_SOURCE),
    });
    app.addHook('onRequest', makeAuthenticateCycles({ ...deps, mayUse, auth: deps.events.auth, source: GOVERNANCE_SOURCE }));
    const routeDeps = { ...deps, writer: deps.audit.writer, cursors: makePageCursors(deps.hasher) };
    for (const mount of MOUNTS) mount(app, routeDeps);
  };
