import type { FastifyPluginAsync } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { RequestAudit } from '../../app/audit/request-audit.ts';
import type { Directory } from '../../app/directory.ts';
import { makeKeyReader } from '../../app/list-keys.ts';
import { makePageCursors } from '../../app/page-cursors.ts';
import { makeRotateKey, type OnRotated } from '../../app/rotate-key.ts';
import { stringifyJson } from '../../core/json/int64.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { KeyHasher, SecretBox } from '../../ports/secret-box.ts';
import { addAudit } from '../_shared/audit.ts';
import { cyclesForm } from '../_shared/cycles-form.ts';
import { addJsonBodyParser } from '../_shared/json-body.ts';
import { makeErrorHandler } from '../_shared/problem.ts';
import { compileValidator } from '../_shared/validation.ts';
import { makeAuthenticateKeyManager, managerPrincipal } from './key-manager.ts';
import { OPERATOR_SURFACE } from './operations.ts';
import { mountEvents } from './routes/events.ts';
import { mountKeyList } from './routes/key-list.ts';
import { mountRotateKey } from './routes/rotate-key.ts';

/** What the scope is made of. */
export interface TenantScopeDeps {
  readonly operatorKey: string;
  readonly directory: Pick<Directory, 'authenticateAnew'>;
  readonly audit: RequestAudit;
  readonly records: RecordStore;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly hasher: KeyHasher;
  readonly secretBox: SecretBox;
  readonly onRotated?: OnRotated;
  readonly log: Log;
}

const BODY_LIMIT_BYTES = 64 * 1024;

/** The part of the operator API that a tenant's admin keys may use as well, for their own tenant. */
export const makeTenantScope =
  (given: TenantScopeDeps): FastifyPluginAsync =>
  async (scope) => {
    const deps = { ...given, writer: given.audit.writer };
    const app = scope.withTypeProvider<TypeBoxTypeProvider>();
    addJsonBodyParser(scope, { bodyLimit: BODY_LIMIT_BYTES });
    app.setValidatorCompiler(compileValidator);
    app.setReplySerializer((payload) => stringifyJson(payload));
    app.setErrorHandler(makeErrorHandler({ form: cyclesForm, log: deps.log }));
    app.addHook('onRequest', async (request, reply) => void reply.header('x-request-id', request.id));
    app.decorateRequest('tenantAdmin');
    addAudit(app, { ...deps, form: cyclesForm, operations: OPERATOR_SURFACE.operations, principalOf: managerPrincipal });
    app.addHook('onRequest', makeAuthenticateKeyManager(deps));

    const cursors = makePageCursors(deps.hasher);
    mountKeyList(app, { ...deps, cursors, keys: makeKeyReader(deps) });
    mountRotateKey(app, { ...deps, rotateKey: makeRotateKey(deps) });
    mountEvents(app, { ...deps, cursors });
  };
