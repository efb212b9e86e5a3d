import type { LedgerWriter } from '../../../app/ledger-writer.ts';
import type { PageCursors } from '../../../app/page-cursors.ts';
import type { RecordStore } from '../../../ports/record-store.ts';
import { linkNext, readPage } from '../../_shared/paging.ts';
import { queryText, refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { listedTenant } from '../key-manager.ts';
import { eventObject } from '../objects.ts';

/** `GET /events`: what happened to a tenant, newest first, page by page; of one type with `type`. */
export function mountEvents(
  app: TypedApp,
  deps: { records: Pick<RecordStore, 'record' | 'events'>; writer: Pick<LedgerWriter, 'barrier'>; cursors: PageCursors },
): void {
  const { records, cursors } = deps;
  app.get('/events', async (request, reply) => {
    refuseUnknownQuery(request, ['tenant_id', 'type', 'limit', 'cursor']);
    const tenantId = await listedTenant(request, records);
    const type = queryText(request, 'type');
    const list = `events of ${tenantId} ${type ?? ''}`;
    const { limit, after } = readPage(request, cursors, list);
    await deps.writer.barrier(tenantId);
    const found = await records.events({
      tenantId,
      limit: limit + 1,
      ...(type === undefined ? {} : { type }),
      ...(after === null ? {} : { beforeSeq: Number(after) }),
    });
    const page = found.slice(0, limit);
    const last = page.at(-1);
    const cursor = found.length > limit && last !== undefined ? cursors.issue(list, String(last.seq)) : null;
    const query = { tenant_id: tenantId, ...(type === undefined ? {} : { type }) };
    if (cursor !== null) linkNext(reply, { path: `${app.prefix}/events`, query, limit, cursor });
    return { events: page.map(({ event }) => eventObject(event)), has_more: cursor !== null, next_cursor: cursor };
  });
}
