import type { Clock } from '../../ports/clock.ts';
import type { AuditReads } from '../../ports/audit-reads.ts';
import type { ChainEnd, TrailExport } from '../../ports/audit-trail.ts';
import type { Log } from '../../ports/log.ts';

/** Heads, or places of chains, of one read. */
const PAGE = 1000;
/** Ends that a line of the log names; the hash that it has beside them is of all. */
const LOGGED = 20;
/** Ends beside the newest of each chain before older ones are left out. */
const FOLD_ABOVE = 20_000;

/** What an export needs. `barrier` resolves when every batch that was given to the writer before is on the disk. */
export interface ExportHeadsDeps {
  readonly store: Pick<AuditReads, 'auditHeads' | 'auditPlaces'>;
  readonly file: TrailExport;
  readonly barrier: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  readonly foldAbove?: number;
}

/**
 * Makes what exports where the chains of the audit trail end: those that have grown since the last export, into a file and the log. One
 * export at a time, in the order of asking.
 *
 * Only what is on the disk is exported: a row that the loss of power takes back must not be missed later. A chain that does not go on from
 * where it was exported last is told in the log as an error, once. Rejects where the store cannot be read or the file not be written; the
 * next export tells of what this one did not.
 */
export function makeExportHeads(deps: ExportHeadsDeps): () => Promise<void> {
  const { store, file, barrier, clock, log, foldAbove = FOLD_ABOVE } = deps;
  let last: Map<string, ChainEnd> | null = null;
  let lines = 0;
  let running: Promise<void> = Promise.resolve();
  const told = new Set<string>();

  const tell = (exported: ChainEnd, found: ChainEnd | undefined): void => {
    if (told.has(exported.tenantId)) return;
    told.add(exported.tenantId);
    const { tenantId: tenant, no } = exported;
    log.error({ tenant, exported: no, found: found?.no ?? 0 }, 'the audit trail is not the one that was exported: verify it');
  };

  /** Tells of chains that do not go on from where they were. */
  const compare = async (before: ReadonlyMap<string, ChainEnd>, ends: ReadonlyMap<string, ChainEnd>): Promise<void> => {
    const moved = [...before.values()].filter(({ tenantId, no, hash }) => {
      const end = ends.get(tenantId);
      return end?.no !== no || end.hash !== hash;
    });
    const states = await statesOf(store, moved);
    for (const [index, end] of moved.entries()) if (states[index] === 'differs') tell(end, ends.get(end.tenantId));
  };

  const run = async (): Promise<void> => {
    if (last === null) {
      const { exported } = await file.read();
      last = new Map(exported.map((end) => [end.tenantId, end]));
      lines = exported.length;
    }
    const known = last;
    const ends = new Map<string, ChainEnd>();
    for await (const end of endsOf(store)) ends.set(end.tenantId, end);
    await compare(known, ends);
    const grown = [...ends.values()].filter(({ tenantId, no, hash }) => {
      const before = known.get(tenantId);
      return before?.no !== no || before.hash !== hash;
    });
    if (grown.length === 0) return;
    await barrier();
    const sha256 = await file.append(grown, clock.nowMs());
    for (const end of grown) known.set(end.tenantId, end);
    log.info({ count: grown.length, ends: grown.slice(0, LOGGED), sha256 }, 'ends of the audit trail are exported');
    lines += grown.length;
    if (lines <= known.size + foldAbove) return;
    // What stood until now is vouched for by the newer end of its chain.
    await file.fold(async (older) => (await statesOf(store, older)).map((state) => state !== 'differs'));
    lines = (await file.read()).exported.length;
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

/** What became of places, as many at once as a read may hold. */
async function statesOf(store: Pick<AuditReads, 'auditPlaces'>, ends: readonly ChainEnd[]): Promise<string[]> {
  const states: string[] = [];
  for (let at = 0; at < ends.length; at += PAGE) states.push(...(await store.auditPlaces(ends.slice(at, at + PAGE))));
  return states;
}
