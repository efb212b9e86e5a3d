import type { makeFindKey } from '../../../app/find-key.ts';
import type { KeyChanges, makeUpdateKey } from '../../../app/update-key.ts';
import { RefusedRequest, valueOf } from '../../_shared/problem.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { capOf, expiryOf } from '../fields.ts';
import { actorOf } from '../principal.ts';
import { RenameKeyBody, UpdateKeyBody } from '../schemas.ts';

/** What both routes need. */
interface UpdateKeyDeps {
  readonly findKey: ReturnType<typeof makeFindKey>;
  readonly updateKey: ReturnType<typeof makeUpdateKey>;
}

/**
 * `POST /api/keys/update`: name, cap (0 clears it), `disabled`, expiry (null clears it).
 *
 * Null counts as not given for the others: a client that writes every field would take a cap away without meaning to.
 */
export function mountUpdateKey(app: TypedApp, deps: UpdateKeyDeps): void {
  app.post('/api/keys/update', { schema: { body: UpdateKeyBody } }, async (request) => {
    const { key: value, name, max_tokens: maxTokens, disabled, expires_at: expiresAt } = request.body;
    const changes: KeyChanges = {
      ...(typeof name === 'string' ? { name } : {}),
      ...(maxTokens === undefined || maxTokens === null ? {} : { maxTokens: capOf(maxTokens) }),
      ...(typeof disabled === 'boolean' ? { disabled } : {}),
      ...(expiresAt === undefined ? {} : { expiresAtMs: expiryOf(expiresAt) }),
    };
    if (Object.keys(changes).length === 0) {
      throw new RefusedRequest({ code: 'invalid_request', message: 'name, max_tokens, disabled or expires_at is required' });
    }
    const key = valueOf(await deps.findKey(request.tinfoilAdmin.key.tenantId, value));
    valueOf(await deps.updateKey(actorOf(request), key, changes));
    return { message: 'API key updated' };
  });
}

/** `POST /api/keys/rename`, of the two older documents. */
export function mountRenameKey(app: TypedApp, deps: UpdateKeyDeps): void {
  app.post('/api/keys/rename', { schema: { body: RenameKeyBody } }, async (request) => {
    const key = valueOf(await deps.findKey(request.tinfoilAdmin.key.tenantId, request.body.key));
    valueOf(await deps.updateKey(actorOf(request), key, { name: request.body.name }));
    return { message: 'API key renamed' };
  });
}
