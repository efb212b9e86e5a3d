import type { Clock } from '../../ports/clock.ts';
import type { AuditReads } from '../../ports/audit-reads.ts';
import type { ChainEnd, TrailExport } from '../../ports/audit-trail.ts';
import type { Log } from '../../ports/log.ts';

/** Heads of one read. */
const PAGE = 1000;
/** Ends that a line of the log names; the hash that it has beside them is of all. */
const LOGGED = 20;

/** What an export needs. `barrier` resolves when every batch that was given to the writer before is on the disk. */
export interface ExportHeadsDeps {
  readonly store: Pick<AuditReads, 'auditHeads'>;
  readonly file: TrailExport;
  readonly barrier: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Makes what exports where the chains of the audit trail end: those that have grown since the last export, into a file and the log. One
 * export at a time, in the order of asking.
 *
 * Only what is on the disk is exported: a row that the loss of power takes back must not be missed later. Rejects where the store cannot be
 * read or the file not be written; the next export tells of what this one did not.
 */
export function makeExportHeads(deps: ExportHeadsDeps): () => Promise<void> {
  let last: Map<string, ChainEnd> | null = null;
  let running: Promise<void> = Promise.resolve();

  const run = async (): Promise<void> => {
    const { store, file, barrier, clock, log } = deps;
    last ??= new Map((await file.read()).exported.map((end) => [end.tenantId, end]));
    const grown: ChainEnd[] = [];
    for await (const end of endsOf(store)) {
      const before = last.get(end.tenantId);
      if (before?.no === end.no && before.hash === end.hash) continue;
      if (before !== undefined && before.no >= end.no)
        log.error({ tenant: end.tenantId, exported: before.no, found: end.no }, 'the audit trail is not the one that was exported');
      grown.push(end);
    }
    if (grown.length === 0) return;
    await barrier();
    const sha256 = await file.append(grown, clock.nowMs());
    for (const end of grown) last.set(end.tenantId, end);
    log.info({ count: grown.length, ends: grown.slice(0, LOGGED), sha256 }, 'ends of the audit trail are exported');
  };

  return () => (running = running.catch(() => undefined).then(run));
}

/** Where every chain ends, page by page. */
async function* endsOf(store: Pick<AuditReads, 'auditHeads'>): AsyncGenerator<ChainEnd> {
  for (let afterTenantId = ''; ;) {
    const page = await store.auditHeads({ afterTenantId, limit: PAGE });
    yield* page;
    afterTenantId = page.at(-1)?.tenantId ?? '';
    if (page.length < PAGE) return;
  }
}
