import type { LedgerWriter } from '../../../app/ledger-writer.ts';
import type { KeyReader } from '../../../app/list-keys.ts';
import type { PageCursors } from '../../../app/page-cursors.ts';
import type { KeyKind } from '../../../core/records.ts';
import type { RecordStore } from '../../../ports/record-store.ts';
import { linkNext, readPage } from '../../_shared/paging.ts';
import { refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { listedTenant } from '../key-manager.ts';
import { keyObject } from '../objects.ts';

const ALL_KINDS: readonly KeyKind[] = ['admin', 'inference', 'management', 'tenant'];

/** `GET /keys`: a tenant's keys of every kind, oldest first, page by page. */
export function mountKeyList(
  app: TypedApp,
  deps: { records: Pick<RecordStore, 'record'>; writer: Pick<LedgerWriter, 'barrier'>; keys: KeyReader; cursors: PageCursors },
): void {
  const { records, keys, cursors } = deps;
  app.get('/keys', async (request, reply) => {
    refuseUnknownQuery(request, ['tenant_id', 'limit', 'cursor']);
    const tenantId = await listedTenant(request, records);
    const list = `keys of ${tenantId}`;
    const { limit, after } = readPage(request, cursors, list);
    await deps.writer.barrier(tenantId);
    const { keys: page, next } = await keys.page({ tenantId, kinds: ALL_KINDS, limit, ...(after === null ? {} : { afterId: after }) });
    const cursor = next === null ? null : cursors.issue(list, next);
    if (cursor !== null) linkNext(reply, { path: `${app.prefix}/keys`, query: { tenant_id: tenantId }, limit, cursor });
    return { keys: page.map(keyObject), has_more: cursor !== null, next_cursor: cursor };
  });
}
