import type { FastifyPluginAsync } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { makeKeyChecks } from '../../app/check-key.ts';
import type { Directory } from '../../app/directory.ts';
import type { LedgerWriter } from '../../app/ledger-writer.ts';
import { makeAcceptReport } from '../../app/reports/accept-report.ts';
import { makeReporterSecrets } from '../../app/reports/manage-reporters.ts';
import { makeSourceLimiter } from '../../app/source-limiter.ts';
import { stringifyJson } from '../../core/json/int64.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { KeyHasher, SecretBox } from '../../ports/secret-box.ts';
import { addJsonBodyParser } from '../_shared/json-body.ts';
import { makeErrorHandler, type ErrorForm } from '../_shared/problem.ts';
import { compileValidator } from '../_shared/validation.ts';
import type { TypedApp } from '../_shared/typed-app.ts';
import { shimForm, tinfoilForm } from './errors.ts';
import { mountRouteContext, mountValidateKey } from './routes/shim.ts';
import { mountUsageReports } from './routes/usage-reports.ts';

/** What the surface is made of. `elapsedMs` is a clock that never goes back. */
export interface TinfoilMachineDeps {
  readonly directory: Pick<Directory, 'authenticate' | 'authenticateAnew' | 'catalogue' | 'currentTenant' | 'refresh' | 'tenant'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly records: RecordStore;
  readonly clock: Clock;
  readonly elapsedMs: () => number;
  readonly ids: Ids;
  readonly hasher: KeyHasher;
  readonly secretBox: SecretBox;
  readonly log: Log;
}

/** A report is not signed by a bearer credential, so a 401 asks for none. */
const reportForm: ErrorForm = (problem, requestId) => {
  const { status, body } = tinfoilForm(problem, requestId);
  return { status, body };
};

/** Largest body of a question about a key. */
const SHIM_BODY_LIMIT_BYTES = 16 * 1024;

/**
 * What a single address may ask about keys: 3,000 questions at once and 500 a second. A bad key counts for 30 of them, so that who
 * guesses has 100 guesses at once and 16 a second.
 */
const SHIM_LIMIT = { capacity: 3000, perSecond: 500 };

/** Addresses that are remembered. */
const MAX_SOURCES = 10_000;

/**
 * The endpoints below `/api` that other programs use, and that no admin key opens: signed usage reports, and questions about keys. One
 * Fastify plugin, to be registered without a prefix.
 */
export const makeTinfoilMachine =
  (deps: TinfoilMachineDeps): FastifyPluginAsync =>
  async (root) => {
    await root.register(async (scope) => {
      const app = prepare(scope.withTypeProvider<TypeBoxTypeProvider>(), reportForm, deps.log);
      mountUsageReports(app, { acceptReport: makeAcceptReport(deps), reporterSecrets: makeReporterSecrets(deps), clock: deps.clock });
    });
    await root.register(async (scope) => {
      const app = prepare(scope.withTypeProvider<TypeBoxTypeProvider>(), shimForm, deps.log);
      addJsonBodyParser(scope, { bodyLimit: SHIM_BODY_LIMIT_BYTES });
      const limiter = makeSourceLimiter({ limit: SHIM_LIMIT, maxSources: MAX_SOURCES, elapsedMs: deps.elapsedMs });
      const shim = { checks: makeKeyChecks(deps), limiter, clock: deps.clock };
      mountValidateKey(app, shim);
      mountRouteContext(app, shim);
    });
  };

function prepare(app: TypedApp, form: ErrorForm, log: Log): TypedApp {
  app.setValidatorCompiler(compileValidator);
  app.setReplySerializer((payload) => stringifyJson(payload));
  app.setErrorHandler(makeErrorHandler({ form, log }));
  app.addHook('onRequest', async (request, reply) => void reply.header('x-request-id', request.id));
  return app;
}
