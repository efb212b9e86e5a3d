import type { FastifyPluginAsync } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { RequestAudit } from '../../app/audit/request-audit.ts';
import { makeCreateKey } from '../../app/create-key.ts';
import { makeDeleteKey } from '../../app/delete-key.ts';
import type { Directory } from '../../app/directory.ts';
import { makeBudgetRules } from '../../app/manage/budget-rules.ts';
import { makeMemberKeys } from '../../app/manage/member-keys.ts';
import { makeReadBalance } from '../../app/balance/read-balance.ts';
import { makeSetProjectSettings } from '../../app/manage/set-project-settings.ts';
import { stringifyJson } from '../../core/json/int64.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { KeyHasher, SecretBox } from '../../ports/secret-box.ts';
import { addAudit } from '../_shared/audit.ts';
import { addJsonBodyParser } from '../_shared/json-body.ts';
import { makeErrorHandler } from '../_shared/problem.ts';
import { compileValidator } from '../_shared/validation.ts';
import { auditCodeOf, managementForm } from './errors.ts';
import { MANAGEMENT_SURFACE } from './operations.ts';
import { MANAGEMENT_PREFIXES } from './prefixes.ts';
import { makeAuthenticateManager, managerPrincipal } from './principal.ts';
import { mountApiKeys } from './routes/api-keys.ts';
import { mountBalance } from './routes/balance.ts';
import { mountBudgets } from './routes/budgets.ts';
import { mountProjectConfigs } from './routes/project-configs.ts';

/** What the surface is made of. */
export interface ManagementDeps {
  readonly directory: Pick<Directory, 'authenticateAnew'>;
  readonly audit: RequestAudit;
  readonly records: RecordStore;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly hasher: KeyHasher;
  readonly secretBox: SecretBox;
  readonly log: Log;
}

/** Largest body: five hundred ids of models at their longest, and the rest. */
const BODY_LIMIT_BYTES = 256 * 1024;

/** The Cortecs management API as one Fastify plugin, to be registered without a prefix on both listeners. */
export const makeManagement =
  (given: ManagementDeps): FastifyPluginAsync =>
  async (root) => {
    const deps = { ...given, writer: given.audit.writer };
    const app = root.withTypeProvider<TypeBoxTypeProvider>();
    addJsonBodyParser(root, { bodyLimit: BODY_LIMIT_BYTES });
    app.setValidatorCompiler(compileValidator);
    app.setReplySerializer((payload) => stringifyJson(payload));
    app.setErrorHandler(makeErrorHandler({ form: managementForm, log: deps.log }));
    app.addHook('onRequest', async (request, reply) => void reply.header('x-request-id', request.id));
    app.decorateRequest('manager');
    const { operations } = MANAGEMENT_SURFACE;
    addAudit(app, { ...deps, form: managementForm, auditCodeOf, operations, principalOf: managerPrincipal });
    app.addHook('onRequest', makeAuthenticateManager(deps));

    const memberKeys = makeMemberKeys({ ...deps, createKey: makeCreateKey(deps), deleteKey: makeDeleteKey(deps) });
    const uses = {
      memberKeys,
      setProjectSettings: makeSetProjectSettings(deps),
      readBalance: makeReadBalance(deps),
      budgetRules: makeBudgetRules(deps),
    };
    for (const prefix of MANAGEMENT_PREFIXES) {
      mountApiKeys(app, prefix, uses);
      mountProjectConfigs(app, prefix, uses);
      mountBalance(app, prefix, uses);
      mountBudgets(app, prefix, uses);
    }
  };
