import type { FastifyPluginAsync } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { RequestAudit } from '../../app/audit/request-audit.ts';
import { makeCreateKey } from '../../app/create-key.ts';
import { makeDeleteKey } from '../../app/delete-key.ts';
import type { Directory } from '../../app/directory.ts';
import { makeFindKey } from '../../app/find-key.ts';
import { makeKeyReader } from '../../app/list-keys.ts';
import { makePageCursors } from '../../app/page-cursors.ts';
import { makeUsageReader } from '../../app/read-usage.ts';
import { makeUpdateKey } from '../../app/update-key.ts';
import { stringifyJson } from '../../core/json/int64.ts';
import type { Billing } from '../../ports/billing.ts';
import type { Clock } from '../../ports/clock.ts';
import type { DataKeys } from '../../ports/data-keys.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { KeyHasher, SecretBox } from '../../ports/secret-box.ts';
import { addAudit } from '../_shared/audit.ts';
import { addJsonBodyParser } from '../_shared/json-body.ts';
import { makeErrorHandler } from '../_shared/problem.ts';
import { compileValidator } from '../_shared/validation.ts';
import { tinfoilForm } from './errors.ts';
import { TINFOIL_SURFACE } from './operations.ts';
import { adminPrincipal, makeAuthenticateAdmin } from './principal.ts';
import type { ManageContainers } from '../../app/containers/manage-containers.ts';
import type { ManageDomains } from '../../app/containers/manage-domains.ts';
import type { ReadContainerUse } from '../../app/containers/read-container-use.ts';
import type { ReadLogs } from '../../app/containers/read-logs.ts';
import { mountCreateContainer, mountDeployContainer } from './routes/containers/deploy.ts';
import { mountContainerLifecycle, mountReadContainers } from './routes/containers/lifecycle.ts';
import { mountContainerUse } from './routes/containers/use.ts';
import { mountContainerLogs } from './routes/containers/logs.ts';
import { mountOrganizeContainers } from './routes/containers/organize.ts';
import { makeManageRegistries } from '../../app/containers/manage-registries.ts';
import { makeManageSecrets } from '../../app/containers/manage-secrets.ts';
import { mountRegistryCredentials } from './routes/containers/registry-credentials.ts';
import { mountSecrets } from './routes/containers/secrets.ts';
import { makeManageSshKeys } from '../../app/containers/manage-ssh-keys.ts';
import { mountDomains } from './routes/containers/domains.ts';
import { mountSshKeys } from './routes/containers/ssh-keys.ts';
import type { ParseSshKey } from '../../ports/ssh-keys.ts';
import { mountValidateContainer } from './routes/containers/validate.ts';
import { mountBillingUsage, mountKeyUsage } from './routes/billing-usage.ts';
import { mountCreateKey } from './routes/create-key.ts';
import { mountDeleteKey } from './routes/delete-key.ts';
import { mountListKeys } from './routes/list-keys.ts';
import { mountTimeSeries } from './routes/time-series.ts';
import { mountTransactions } from './routes/transactions.ts';
import { mountRenameKey, mountUpdateKey } from './routes/update-key.ts';

/** What the surface is made of. */
export interface TinfoilAdminDeps {
  readonly directory: Pick<Directory, 'authenticateAnew'>;
  readonly audit: RequestAudit;
  readonly records: RecordStore;
  readonly billing: Billing;
  /** The origin of links that leave this server; null: that of the request. */
  readonly publicUrl: string | null;
  readonly containers: ManageContainers;
  readonly logs: ReadLogs;
  readonly use: ReadContainerUse;
  readonly domains: ManageDomains;
  /** The domain below which containers are reached. */
  readonly baseDomain: string;
  /** The port of the gateway to debug containers; null where there is none. */
  readonly sshPort: () => number | null;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly hasher: KeyHasher;
  readonly secretBox: SecretBox;
  readonly dataKeys: DataKeys;
  readonly parseSshKey: ParseSshKey;
  readonly log: Log;
}

/** Largest body, but for routes that say more: metadata may have 5 KB, the rest is small. */
const BODY_LIMIT_BYTES = 64 * 1024;

/** The Tinfoil Admin API's keys, billing and containers as one Fastify plugin, to be registered without a prefix. */
export const makeTinfoilAdmin =
  (given: TinfoilAdminDeps): FastifyPluginAsync =>
  async (root) => {
    const deps = { ...given, writer: given.audit.writer };
    const app = root.withTypeProvider<TypeBoxTypeProvider>();
    addJsonBodyParser(root, { bodyLimit: BODY_LIMIT_BYTES });
    app.setValidatorCompiler(compileValidator);
    app.setReplySerializer((payload) => stringifyJson(payload));
    app.setErrorHandler(makeErrorHandler({ form: tinfoilForm, log: deps.log }));
    app.addHook('onRequest', async (request, reply) => void reply.header('x-request-id', request.id));
    app.decorateRequest('tinfoilAdmin');
    addAudit(app, { ...deps, form: tinfoilForm, operations: TINFOIL_SURFACE.operations, principalOf: adminPrincipal });
    app.addHook('onRequest', makeAuthenticateAdmin(deps));

    const keyUse = {
      ...deps,
      findKey: makeFindKey(deps),
      updateKey: makeUpdateKey(deps),
      deleteKey: makeDeleteKey(deps),
      createKey: makeCreateKey(deps),
    };
    mountListKeys(app, { ...deps, keys: makeKeyReader(deps), cursors: makePageCursors(deps.hasher) });
    mountCreateKey(app, keyUse);
    mountUpdateKey(app, keyUse);
    mountRenameKey(app, keyUse);
    mountDeleteKey(app, keyUse);

    const usageUse = { ...keyUse, usage: makeUsageReader(deps) };
    mountBillingUsage(app, usageUse);
    mountKeyUsage(app, usageUse);
    mountTimeSeries(app, usageUse);
    mountTransactions(app, deps);

    mountReadContainers(app, deps);
    mountContainerLogs(app, deps);
    mountContainerUse(app, deps);
    mountCreateContainer(app, deps);
    mountDeployContainer(app, deps);
    mountContainerLifecycle(app, deps);
    mountOrganizeContainers(app, deps);
    mountValidateContainer(app, deps);
    mountSecrets(app, { secrets: makeManageSecrets(deps) });
    mountSshKeys(app, { sshKeys: makeManageSshKeys(deps) });
    mountDomains(app, deps);
    mountRegistryCredentials(app, { registries: makeManageRegistries(deps) });
  };
