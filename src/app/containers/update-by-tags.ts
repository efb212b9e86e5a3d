import type { Container } from '../../core/containers/container-records.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { SourceFault, type ReleaseSource } from '../../ports/release-source.ts';
import type { Actor } from '../audited-command.ts';
import type { ContainerLease } from './container-lease.ts';
import type { Deployments } from './deploy-container.ts';

/** What updating needs. */
export interface UpdateByTagsDeps {
  readonly records: Pick<RecordStore, 'records'>;
  readonly source: Pick<ReleaseSource, 'isPolled' | 'newerTag'>;
  readonly deployments: Pick<Deployments, 'deploy'>;
  /** Only the node that acts on hosts asks. */
  readonly lease: Pick<ContainerLease, 'isHeld'>;
  readonly clock: Clock;
  readonly ids: Pick<Ids, 'next'>;
  readonly log: Pick<Log, 'info' | 'warn'>;
}

/** A repository whose source failed is left alone for so long, unless it says how long itself. */
const LEAVE_ALONE_MS = 300_000;

/** Whether a container updates itself now: it serves, nothing is under way with it, and it does not wait to be accepted. Source: Tinfoil reference section 4. */
const mayUpdate = ({ autoUpdate, staging, status, update, deletedAtMs }: Container): boolean =>
  autoUpdate && !staging && status === 'ready' && deletedAtMs === null && (update === null || update.state === 'failed');

/**
 * Makes what looks once at the repositories of containers that update themselves and whose sources are asked, and relaunches with the newest version above
 * the one that serves. A tag that was tried is not tried again, whatever became of it.
 */
export function makeUpdateByTags(deps: UpdateByTagsDeps): () => Promise<void> {
  const { records, source, deployments, lease, clock, ids, log } = deps;
  /** By container. */
  const tried = new Map<string, string>();
  /** Until when, by repository. */
  const leftAlone = new Map<string, number>();

  async function look(container: Container): Promise<void> {
    const { id, tenantId, repo, current, update } = container;
    const tag = await source.newerTag({ repo, than: current.tag });
    if (tag === null || tag === update?.tag || tag === tried.get(id)) return;
    tried.set(id, tag);
    const actor: Actor = { kind: 'system', id: 'auto-update', requestId: ids.next('req') };
    const outcome = await deployments.deploy(actor, tenantId, id, { tag, start: false });
    if (outcome.ok) log.info({ containerId: id, tag }, 'a container updates itself');
    else
      log.warn(
        { containerId: id, tag, code: outcome.rejection.code, why: outcome.rejection.message },
        'a container could not update itself',
      );
  }

  return async () => {
    if (!lease.isHeld()) return;
    const containers = await records.records('container');
    const known = new Set(containers.map(({ id }) => id));
    for (const id of tried.keys()) if (!known.has(id)) tried.delete(id);
    for (const container of containers.filter(mayUpdate)) {
      const { repo } = container;
      if (!source.isPolled(repo) || (leftAlone.get(repo) ?? 0) > clock.nowMs()) continue;
      try {
        leftAlone.delete(repo);
        await look(container);
      } catch (err) {
        const waitMs = (err instanceof SourceFault ? err.retryAfterMs : undefined) ?? LEAVE_ALONE_MS;
        leftAlone.set(repo, clock.nowMs() + waitMs);
        log.warn({ err, containerId: container.id, repo, waitMs }, 'the tags of a repository could not be read');
      }
    }
  };
}
