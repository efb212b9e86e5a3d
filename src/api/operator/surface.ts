import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { UpstreamHealth } from '../../app/calls/upstream-health.ts';
import type { UpstreamSpeeds } from '../../app/calls/upstream-speeds.ts';
import { makeBalanceManagement } from '../../app/balance/manage-balance.ts';
import { makeReadBalance } from '../../app/balance/read-balance.ts';
import { makeBillManagement } from '../../app/bills/manage-bills.ts';
import { makeReadOpenBill } from '../../app/bills/open-lines.ts';
import { makeCreateKey } from '../../app/create-key.ts';
import { makeDeleteKey } from '../../app/delete-key.ts';
import type { Directory } from '../../app/directory.ts';
import { makeKeyReader } from '../../app/list-keys.ts';
import { makeCatalogueManagement } from '../../app/manage-catalogue.ts';
import { makeExchangeRateManagement } from '../../app/manage-exchange-rates.ts';
import { makeBudgetRules } from '../../app/manage/budget-rules.ts';
import { makeTenantManagement } from '../../app/manage-tenants.ts';
import { makePageCursors } from '../../app/page-cursors.ts';
import { makeReporterManagement } from '../../app/reports/manage-reporters.ts';
import { makePaymentManagement } from '../../app/payments/manage-payments.ts';
import { makeQuarantine } from '../../app/reports/quarantine.ts';
import { makeUsageRows } from '../../app/read-usage-rows.ts';
import type { RotateMasterKey } from '../../app/rotate-master-key.ts';
import { makeUpdateKey } from '../../app/update-key.ts';
import { makeVerifyLedger } from '../../app/verify-ledger.ts';
import { stringifyJson } from '../../core/json/int64.ts';
import { SYSTEM_TENANT } from '../../core/records.ts';
import type { BillTokens } from '../../ports/bill-tokens.ts';
import type { Clock } from '../../ports/clock.ts';
import type { DeclaredFields } from '../../ports/declared-fields.ts';
import type { Ids } from '../../ports/ids.ts';
import type { LedgerStore } from '../../ports/ledger-store.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { KeyHasher, SecretBox } from '../../ports/secret-box.ts';
import { addAudit } from '../_shared/audit.ts';
import { cyclesForm } from '../_shared/cycles-form.ts';
import { addJsonBodyParser } from '../_shared/json-body.ts';
import { makeErrorHandler } from '../_shared/problem.ts';
import { compileValidator } from '../_shared/validation.ts';
import { makeAuthenticateOperator, operatorOf } from './authenticate.ts';
import { OPERATOR_SURFACE } from './operations.ts';
import { OPERATOR_PREFIX } from './prefix.ts';
import { mountBalances } from './routes/balance.ts';
import { mountBills } from './routes/bills.ts';
import { mountModels, mountPrices, mountUpstreams } from './routes/catalogue.ts';
import { mountExchangeRates } from './routes/exchange-rates.ts';
import { mountInferenceKeys } from './routes/inference-keys.ts';
import { mountKeys } from './routes/keys.ts';
import { mountMemberKeys, mountMembers } from './routes/members.ts';
import { mountRotateMasterKey, mountServer, type ServerFacts } from './routes/server.ts';
import { mountWindowBudgets } from './routes/window-budgets.ts';
import { mountPayments } from './routes/payments.ts';
import { mountTenantLimits, mountTenants } from './routes/tenants.ts';
import { mountQuarantine, mountUsageReporters } from './routes/usage-reporters.ts';
import { mountUsage } from './routes/usage.ts';
import { mountVerify } from './routes/verify.ts';
import { makeTenantScope, type TenantScopeDeps } from './tenant-scope.ts';

/** What the surface is made of. `tokenizerNames` are those that a model may name. */
export interface OperatorDeps extends TenantScopeDeps {
  readonly operatorKey: string;
  readonly directory: Pick<Directory, 'authenticateAnew' | 'catalogue' | 'currentTenant' | 'refresh' | 'tenant'>;
  readonly clock: Clock;
  readonly store: Pick<LedgerStore, 'verify'>;
  readonly records: RecordStore;
  readonly server: ServerFacts;
  readonly rotateMasterKey: RotateMasterKey;
  readonly ids: Ids;
  readonly hasher: KeyHasher;
  readonly secretBox: SecretBox;
  readonly declared: DeclaredFields;
  readonly tokenizerNames: readonly string[];
  readonly health: Pick<UpstreamHealth, 'report'>;
  readonly speeds: Pick<UpstreamSpeeds, 'report'>;
  readonly billTokens: BillTokens;
  /** The origin of links that leave this server; null: that of the request. */
  readonly publicUrl: string | null;
  readonly log: Log;
}

const BODY_LIMIT_BYTES = 256 * 1024;

/** The operator API as one Fastify plugin, to be registered without a prefix. Errors have the Cycles form. */
export const makeOperatorApi =
  (given: OperatorDeps): FastifyPluginAsync =>
  async (root) => {
    const deps = { ...given, writer: given.audit.writer };
    await root.register(
      async (scope) => {
        const app = scope.withTypeProvider<TypeBoxTypeProvider>();
        addJsonBodyParser(scope, { bodyLimit: BODY_LIMIT_BYTES });
        app.setValidatorCompiler(compileValidator);
        app.setReplySerializer((payload) => stringifyJson(payload));
        app.setErrorHandler(makeErrorHandler({ form: cyclesForm, log: deps.log }));
        app.addHook('onRequest', async (request, reply) => void reply.header('x-request-id', request.id));
        const principalOf = (request: FastifyRequest) =>
          request.isOperator === true ? { actor: operatorOf(request), tenantId: SYSTEM_TENANT } : null;
        addAudit(app, { ...deps, form: cyclesForm, operations: OPERATOR_SURFACE.operations, principalOf });
        app.addHook('onRequest', makeAuthenticateOperator(deps.operatorKey));

        const tenants = makeTenantManagement(deps);
        mountTenants(app, { ...deps, tenants });
        mountTenantLimits(app, { tenants });
        mountWindowBudgets(app, { budgetRules: makeBudgetRules(deps) });
        const balances = { balances: makeBalanceManagement(deps), readBalance: makeReadBalance(deps) };
        mountBalances(app, { ...deps, ...balances, cursors: makePageCursors(deps.hasher) });
        mountMembers(app, { tenants });
        mountPayments(app, { payments: makePaymentManagement(deps) });
        mountBills(app, { ...deps, readOpenBill: makeReadOpenBill(deps), bills: makeBillManagement({ ...deps, tokens: deps.billTokens }) });
        const createKey = makeCreateKey(deps);
        mountMemberKeys(app, { createKey });
        mountInferenceKeys(app, { tenants, createKey });
        mountKeys(app, { ...deps, keys: makeKeyReader(deps), updateKey: makeUpdateKey(deps), deleteKey: makeDeleteKey(deps) });
        const catalogue = makeCatalogueManagement(deps);
        for (const mount of [mountUpstreams, mountModels, mountPrices]) mount(app, { ...deps, catalogue });
        mountExchangeRates(app, { exchangeRates: makeExchangeRateManagement(deps) });
        mountUsageReporters(app, { reporters: makeReporterManagement(deps) });
        mountQuarantine(app, { quarantine: makeQuarantine(deps) });
        mountUsage(app, { records: deps.records, usageRows: makeUsageRows(deps) });
        mountServer(app, deps);
        mountRotateMasterKey(app, deps);
        mountVerify(app, { verifyLedger: makeVerifyLedger(deps.store) });
      },
      { prefix: OPERATOR_PREFIX },
    );
    await root.register(makeTenantScope(given), { prefix: OPERATOR_PREFIX });
  };
