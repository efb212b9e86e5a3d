import type { Container } from '../../core/containers/container-records.ts';
import type { RejectionCode } from '../../core/rejection.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { SourceFault, type ReleaseSource } from '../../ports/release-source.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import type { ContainerLease } from './container-lease.ts';
import type { ManageContainers } from './manage-containers.ts';

/** Keeps containers with their releases: updates those that update themselves, marks what they serve as the latest, disconnects those whose App is gone. */
export interface UpdateContainers {
  /** Looks once at all that is due. */
  run(): Promise<void>;
  /** There is news of a repository, or of all of an owner's (`repo` null): the next look is at them, on whichever node this is. */
  note(news: { readonly owner: string; readonly repo: string | null }): void;
}

/** What updating needs. */
export interface UpdateContainersDeps {
  readonly records: Pick<RecordStore, 'records'>;
  readonly source: Pick<ReleaseSource, 'isPolled' | 'newerTag' | 'connection' | 'markLatest'>;
  readonly containers: Pick<ManageContainers, 'deploy' | 'set'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  /** Only the node that acts on hosts looks without being told to. */
  readonly lease: Pick<ContainerLease, 'isHeld'>;
  /** Repositories whose tags are asked, and those with an App, are looked at that often. In milliseconds. */
  readonly tagsMs: number;
  readonly pollMs: number;
  readonly clock: Clock;
  readonly ids: Pick<Ids, 'next'>;
  readonly log: Pick<Log, 'info' | 'warn'>;
}

/** A repository whose source failed is left alone for so long, unless it says how long itself. */
const LEAVE_ALONE_MS = 300_000;

/** Looks are made at times of a job, which may come a little early. */
const EARLY = 0.95;

/** What another look may find otherwise: a tag that was refused for one of these is tried again. */
const PASSING: ReadonlySet<RejectionCode> = new Set<RejectionCode>([
  'invalid_transition',
  'stale_view',
  'payment_required',
  'tenant_suspended',
]);

/** Whether a container updates itself now: it serves, nothing is under way with it, and it does not wait to be accepted. Source: Tinfoil reference section 4. */
const mayUpdate = ({ autoUpdate, staging, status, update }: Container): boolean =>
  autoUpdate && !staging && status === 'ready' && (update === null || update.state === 'failed');

/** Whether the release that a container serves is to be marked: as soon as it serves, but for debugging. Source: Tinfoil reference section 4, "Staging". */
const isUnmarked = ({ githubAppConnected, current, markedDeploymentId }: Container): boolean =>
  githubAppConnected && !current.debug && current.state === 'serving' && markedDeploymentId !== current.id;

const ownerOf = (repo: string): string => (repo.split('/', 1)[0] ?? '').toLowerCase();

/** Makes the {@link UpdateContainers}. A tag that was tried is not tried again, whatever became of it. */
export function makeUpdateContainers(deps: UpdateContainersDeps): UpdateContainers {
  const { records, source, containers, writer, lease, clock, ids, log } = deps;
  /** By container. */
  const tried = new Map<string, string>();
  /** Until when, by repository; by owner where the source takes no more questions. */
  const leftAlone = new Map<string, number>();
  /** When a repository was looked at last. */
  const looked = new Map<string, number>();
  /** Repositories and owners of which there is news. */
  const news = new Set<string>();

  const actor = (): Actor => ({ kind: 'system', id: 'auto-update', requestId: ids.next('req') });
  const isLeftAlone = (repo: string): boolean =>
    [repo.toLowerCase(), ownerOf(repo)].some((name) => (leftAlone.get(name) ?? 0) > clock.nowMs());
  const isNews = (repo: string): boolean => news.has(repo.toLowerCase()) || news.has(ownerOf(repo));

  async function update({ id, tenantId, repo, current, update: before }: Container): Promise<void> {
    const tag = await source.newerTag({ tenantId, repo, than: current.tag });
    if (tag === null || tag === before?.tag || tag === tried.get(id)) return;
    const outcome = await containers.deploy(actor(), tenantId, id, { tag, start: false });
    if (outcome.ok || !PASSING.has(outcome.rejection.code)) tried.set(id, tag);
    if (outcome.ok) return log.info({ containerId: id, tag }, 'a container updates itself');
    const { code, message: why } = outcome.rejection;
    if (PASSING.has(code)) leaveAlone(repo, LEAVE_ALONE_MS);
    log.warn({ containerId: id, tag, code, why }, 'a container could not update itself');
  }

  async function mark({ id, tenantId, repo, current }: Container): Promise<void> {
    const { tag } = current;
    const outcome = await source.markLatest({ tenantId, repo, tag });
    if (outcome !== 'marked') log.warn({ containerId: id, repo, tag, outcome }, 'a release could not be marked as the latest');
    const base = auditedBase(ids, actor(), { name: 'mark-release', tenantId, resourceKind: 'container', resourceId: id });
    await writer.execute({ verb: 'note-release-mark', ...base, containerId: id, deploymentId: current.id, mark: outcome });
  }

  /** Whether the App is there for a container that is connected to it; one that is told to be gone is disconnected. */
  async function isConnected({ id, tenantId, repo }: Container): Promise<boolean> {
    const connection = await source.connection({ tenantId, repo });
    if (connection === 'connected') return true;
    if (connection === 'not_installed') await containers.set(actor(), tenantId, id, { githubAppConnected: false });
    log.warn({ containerId: id, repo, connection }, 'a container is connected to a GitHub App that is not there for it');
    return false;
  }

  /** Looks at one container; at what there is on the other side only when it is time for that (`isDue`). */
  async function look(container: Container, isDue: boolean): Promise<void> {
    const { githubAppConnected } = container;
    if (githubAppConnected && isDue && !(await isConnected(container))) return;
    if (isUnmarked(container)) await mark(container);
    if (isDue && mayUpdate(container)) await update(container);
  }

  function leaveAlone(name: string, waitMs: number): void {
    leftAlone.set(name.toLowerCase(), clock.nowMs() + waitMs);
  }

  async function attempt(container: Container, isDue: boolean): Promise<void> {
    const { id: containerId, repo } = container;
    try {
      await look(container, isDue);
    } catch (err) {
      const told = err instanceof SourceFault ? err.retryAfterMs : undefined;
      const waitMs = told ?? LEAVE_ALONE_MS;
      leaveAlone(told === undefined ? repo : ownerOf(repo), waitMs);
      // What was not looked at is still to be looked at.
      if (isDue) looked.delete(repo.toLowerCase());
      log.warn({ err, containerId, repo, waitMs }, 'the releases of a repository could not be looked at');
    }
  }

  function forgetOthers(known: readonly Container[]): void {
    const knownIds = new Set(known.map(({ id }) => id));
    for (const id of tried.keys()) if (!knownIds.has(id)) tried.delete(id);
    const repos = new Set(known.flatMap(({ repo }) => [repo.toLowerCase(), ownerOf(repo)]));
    for (const map of [leftAlone, looked]) for (const name of map.keys()) if (!repos.has(name)) map.delete(name);
  }

  return {
    note: ({ owner, repo }) => void news.add((repo ?? owner).toLowerCase()),
    run: async () => {
      const acts = lease.isHeld();
      if (!acts && news.size === 0) return;
      const all = (await records.records('container')).filter(({ deletedAtMs }) => deletedAtMs === null);
      forgetOthers(all);
      const meant = all.filter((container) => container.githubAppConnected || (container.autoUpdate && source.isPolled(container.repo)));
      const mine = meant.filter(({ repo }) => (acts || isNews(repo)) && !isLeftAlone(repo));
      const nowMs = clock.nowMs();
      const isDue = (repo: string): boolean => {
        const everyMs = source.isPolled(repo) ? deps.tagsMs : deps.pollMs;
        return isNews(repo) || nowMs - (looked.get(repo.toLowerCase()) ?? Number.NEGATIVE_INFINITY) >= EARLY * everyMs;
      };
      const due = new Set(mine.filter(({ repo }) => isDue(repo)).map(({ repo }) => repo.toLowerCase()));
      // News of what is left alone waits; news of what nobody here runs is over.
      const waiting = new Set(meant.filter(({ repo }) => isLeftAlone(repo)).flatMap(({ repo }) => [repo.toLowerCase(), ownerOf(repo)]));
      for (const name of news) if (!waiting.has(name)) news.delete(name);
      for (const repo of due) looked.set(repo, nowMs);
      for (const container of mine) if (!isLeftAlone(container.repo)) await attempt(container, due.has(container.repo.toLowerCase()));
    },
  };
}
