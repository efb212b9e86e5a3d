import type { makeRotateKey } from '../../../app/rotate-key.ts';
import { previousValidUntilMs } from '../../../core/access/decide-rotate-key.ts';
import { formatRfc3339OrNull } from '../../../core/rfc3339.ts';
import type { RecordStore } from '../../../ports/record-store.ts';
import { RefusedRequest, valueOf } from '../../_shared/problem.ts';
import { refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { managerOf } from '../key-manager.ts';
import { RotateKeyBody } from '../schemas.ts';

/** `POST /keys/{id}/rotate`: a new value for a key, told this once; the old one stays good for `grace_seconds`. */
export function mountRotateKey(
  app: TypedApp,
  deps: { records: Pick<RecordStore, 'record'>; rotateKey: ReturnType<typeof makeRotateKey> },
): void {
  app.post('/keys/:id/rotate', { schema: { body: RotateKeyBody } }, async (request, reply) => {
    refuseUnknownQuery(request, []);
    const { id } = request.params as { id: string };
    const found = await deps.records.record('key', id);
    if (found === undefined || found.deletedAtMs !== null) throw new RefusedRequest({ code: 'not_found', message: 'API key not found' });
    // A key of another tenant is not found in the admin's own.
    const by = { tenantId: request.tenantAdmin?.tenant.id ?? found.tenantId, asMember: request.tenantAdmin?.key.createdBy ?? null };
    const graceMs = (request.body?.grace_seconds ?? 0) * 1000;
    const { key, plaintext } = valueOf(await deps.rotateKey(managerOf(request), found, { ...by, graceMs }));
    reply.header('cache-control', 'no-store');
    const rotatedAtMs = key.rotation?.atMs ?? null;
    return {
      id: key.id,
      key: plaintext,
      name: key.name,
      kind: key.kind,
      tenant_id: key.tenantId,
      member_id: key.createdBy,
      disabled: key.disabled,
      expires_at: formatRfc3339OrNull(key.expiresAtMs),
      rotated_at: formatRfc3339OrNull(rotatedAtMs),
      previous_valid_until: formatRfc3339OrNull(previousValidUntilMs(key, rotatedAtMs ?? 0)),
    };
  });
}
