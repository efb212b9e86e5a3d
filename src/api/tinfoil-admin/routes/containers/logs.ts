import { Readable } from 'node:stream';
import type { ContainerLogLine } from '../../../../app/containers/last-lines.ts';
import type { ReadLogs } from '../../../../app/containers/read-logs.ts';
import { parseRfc3339, formatRfc3339 } from '../../../../core/rfc3339.ts';
import { RefusedRequest, valueOf } from '../../../_shared/problem.ts';
import { queryText, queryWhole } from '../../../_shared/query.ts';
import type { TypedApp } from '../../../_shared/typed-app.ts';
import { containerIdOf } from './deploy.ts';

const MAX_TAIL = 10_000;
const DEFAULT_TAIL = 200;

const refuse = (field: string, rule: string): RefusedRequest =>
  new RefusedRequest({ code: 'invalid_request', message: `${field} must be ${rule}`, field });

function sinceOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  const ms = parseRfc3339(text);
  if (ms === null) throw refuse('since', 'an RFC 3339 timestamp such as 2026-12-31T23:59:59Z');
  return ms;
}

function followOf(text: string | undefined): boolean {
  if (text !== undefined && text !== 'true' && text !== 'false') throw refuse('follow', 'true or false');
  return text === 'true';
}

/** One line as one JSON text. */
const lineText = ({ atMs, unit, stream, line, tag, deploymentId }: ContainerLogLine): string =>
  `${JSON.stringify({ time: formatRfc3339(atMs), container: unit, stream, line, tag, deployment_id: deploymentId })}\n`;

async function* textsOf(lines: AsyncIterable<ContainerLogLine>): AsyncGenerator<string, void, undefined> {
  for await (const line of lines) yield lineText(line);
}

/** `GET /api/containers/:id/logs`: what the container writes, a JSON text a line. With `follow` until the client is gone. */
export function mountContainerLogs(app: TypedApp, { logs }: { readonly logs: ReadLogs }): void {
  app.get('/api/containers/:id/logs', async (request, reply) => {
    const abort = new AbortController();
    reply.raw.on('close', () => abort.abort());
    const query = {
      unit: queryText(request, 'container') ?? null,
      tail: queryWhole(request, 'tail', { min: 1, max: MAX_TAIL, fallback: DEFAULT_TAIL }),
      sinceMs: sinceOf(queryText(request, 'since')),
      follow: followOf(queryText(request, 'follow')),
    };
    const lines = valueOf(await logs.read(request.tinfoilAdmin.key.tenantId, containerIdOf(request), query, abort.signal));
    return reply.header('content-type', 'application/x-ndjson; charset=utf-8').send(Readable.from(textsOf(lines)));
  });
}
