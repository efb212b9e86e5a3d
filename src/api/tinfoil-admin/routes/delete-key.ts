import type { makeDeleteKey } from '../../../app/delete-key.ts';
import type { makeFindKey } from '../../../app/find-key.ts';
import { valueOf } from '../../_shared/problem.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { actorOf } from '../principal.ts';

/** `DELETE /api/keys/:key`: deletes the key of that full value. */
export function mountDeleteKey(
  app: TypedApp,
  deps: { findKey: ReturnType<typeof makeFindKey>; deleteKey: ReturnType<typeof makeDeleteKey> },
): void {
  app.delete<{ Params: { key: string } }>('/api/keys/:key', async (request) => {
    const key = valueOf(await deps.findKey(request.tinfoilAdmin.key.tenantId, request.params.key));
    valueOf(await deps.deleteKey(actorOf(request), key));
    return { message: 'API key deleted' };
  });
}
