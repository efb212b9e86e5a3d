import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { stringifyJson } from '../../../core/json/int64.ts';
import type { KeyReader, KeyWithUse } from '../../../app/list-keys.ts';
import type { LedgerWriter } from '../../../app/ledger-writer.ts';
import type { SecretBox } from '../../../ports/secret-box.ts';
import type { PageCursors } from '../../../app/page-cursors.ts';
import { linkNext, readPage } from '../../_shared/paging.ts';
import { queryText } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { keyObject } from '../key-object.ts';

/** Keys in one read: enough that a read's own cost does not count, few enough that nobody else waits for it. */
const PAGE_SIZE = 500;

/** What the route needs. */
interface ListKeysDeps {
  readonly keys: KeyReader;
  readonly writer: Pick<LedgerWriter, 'barrier'>;
  readonly secretBox: SecretBox;
  readonly cursors: PageCursors;
}

/**
 * `GET /api/keys`: all inference keys of the tenant. Written page by page, so that a hundred thousand of them hold nobody up. With
 * `limit` or `cursor`, which are ours, one page, and a `Link` header where another follows.
 */
export function mountListKeys(app: TypedApp, deps: ListKeysDeps): void {
  app.get('/api/keys', async (request, reply) => {
    const { key: adminKey } = request.tinfoilAdmin;
    if (queryText(request, 'limit') !== undefined || queryText(request, 'cursor') !== undefined) return listPage(request, reply, deps);
    await deps.writer.barrier(adminKey.tenantId);
    const pages = deps.keys.pages({ tenantId: adminKey.tenantId, kinds: ['inference'], limit: PAGE_SIZE });
    // A store that cannot be read must show before the status is sent.
    const first = await pages.next();
    const render = (page: readonly KeyWithUse[]): string =>
      page.map((each) => stringifyJson(keyObject(each, { viewerId: adminKey.createdBy, secretBox: deps.secretBox }))).join(',');
    reply.header('content-type', 'application/json; charset=utf-8');
    if (first.done === true) return reply.send('[]');
    return reply.send(Readable.from(listText(render(first.value), pages, render)));
  });
}

async function listPage(request: FastifyRequest, reply: FastifyReply, deps: ListKeysDeps): Promise<object[]> {
  const { tenantId, createdBy: viewerId } = request.tinfoilAdmin.key;
  const list = `inference keys of ${tenantId}`;
  const { limit, after } = readPage(request, deps.cursors, list);
  await deps.writer.barrier(tenantId);
  const { keys, next } = await deps.keys.page({ tenantId, kinds: ['inference'], limit, ...(after === null ? {} : { afterId: after }) });
  if (next !== null) linkNext(reply, { path: '/api/keys', query: {}, limit, cursor: deps.cursors.issue(list, next) });
  return keys.map((each) => keyObject(each, { viewerId, secretBox: deps.secretBox }));
}

async function* listText(
  first: string,
  rest: AsyncGenerator<KeyWithUse[]>,
  render: (page: readonly KeyWithUse[]) => string,
): AsyncGenerator<string> {
  yield `[${first}`;
  for await (const page of rest) yield `,${render(page)}`;
  yield ']';
}
