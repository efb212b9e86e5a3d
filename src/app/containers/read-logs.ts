import { liveDeployments, type Container } from '../../core/containers/container-records.ts';
import { invalid } from '../../core/access/rules.ts';
import { accepted, type Outcome } from '../../core/rejection.ts';
import type { LogLine, OwnedUnit } from '../../ports/container-engine.ts';
import type { ContainerHosts } from '../../ports/container-hosts.ts';
import type { ContainerLogLine, LastLines } from './last-lines.ts';
import type { ContainerLookups } from './container-reads.ts';

/** Which lines are asked for. `unit` null: those of all; `tail` counts for each unit. */
export interface LogQuery {
  readonly unit: string | null;
  readonly tail: number | null;
  readonly sinceMs: number | null;
  readonly follow: boolean;
}

/** Reads what containers write. */
export interface ReadLogs {
  /**
   * The lines of a container's deployments that run, and the last ones of one that failed, in the order of their time; with `follow` those that follow, until all units have ended or the
   * signal. The engine keeps a bounded part of them. Throws the engine's fault at the first line where it cannot be asked.
   *
   * Rejects, in this order: `not_found`, `invalid_request` (no unit of that name).
   */
  read(tenantId: string, id: string, query: LogQuery, signal: AbortSignal): Promise<Outcome<AsyncIterable<ContainerLogLine>>>;
}

/** Makes the {@link ReadLogs}. */
export function makeReadLogs(deps: {
  readonly lookups: Pick<ContainerLookups, 'container'>;
  readonly hosts: ContainerHosts;
  readonly lastLines: LastLines;
  /** The name of this installation on hosts. */
  readonly installation: () => Promise<string>;
}): ReadLogs {
  /** The units of a container, each with the lines that are asked for. */
  async function sources(
    container: Container,
    query: LogQuery,
    signal: AbortSignal,
  ): Promise<AsyncIterable<ContainerLogLine, undefined>[]> {
    const installation = await deps.installation();
    const found: AsyncIterable<ContainerLogLine, undefined>[] = [];
    for (const deployment of liveDeployments(container)) {
      const host = deps.hosts.find(({ name }) => name === deployment.hostName);
      if (host === undefined) continue;
      const { units } = await host.engine.list(installation);
      const wanted = ({ owner, unit }: OwnedUnit): boolean =>
        owner.deployment === deployment.id && (query.unit === null || unit === query.unit);
      for (const { id, unit } of units.filter(wanted)) {
        const { tail, sinceMs, follow } = query;
        const lines = host.engine.logs(id, { tail, sinceMs, follow, signal });
        found.push(labelled(lines, { unit, deploymentId: deployment.id, tag: deployment.tag }));
      }
    }
    return found;
  }

  return {
    read: async (tenantId, id, query, signal) => {
      const found = await deps.lookups.container(tenantId, id);
      if (!found.ok) return found;
      const { current, update } = found.value;
      const known = [current, ...(update === null ? [] : [update])].flatMap(({ config }) => config.units.map(({ name }) => name));
      if (query.unit !== null && !known.includes(query.unit)) return invalid('container', `be one of ${[...new Set(known)].join(', ')}`);
      const all = await sources(found.value, query, signal);
      const failed = [current, ...(update === null ? [] : [update])]
        .filter(({ state }) => state === 'failed')
        .map((deployment) => deployment.id);
      const kept = deps.lastLines
        .of(id)
        .filter((line) => failed.includes(line.deploymentId) && (query.unit === null || line.unit === query.unit));
      if (kept.length > 0) all.push(given(kept));
      return accepted(query.follow ? asTheyCome(all) : byTime(all));
    },
  };
}

async function* given(lines: readonly ContainerLogLine[]): AsyncGenerator<ContainerLogLine, undefined, undefined> {
  yield* lines;
}

async function* labelled(
  lines: AsyncIterable<LogLine>,
  label: { readonly unit: string; readonly deploymentId: string; readonly tag: string },
): AsyncGenerator<ContainerLogLine, undefined, undefined> {
  for await (const line of lines) yield { ...line, ...label };
}

/** The next line of a source, with the source; null at its end. */
interface Next {
  readonly source: AsyncIterator<ContainerLogLine, undefined>;
  readonly line: ContainerLogLine | null;
}

async function take(source: AsyncIterator<ContainerLogLine, undefined>): Promise<Next> {
  const next = await source.next();
  return { source, line: next.done === true ? null : next.value };
}

const endAll = async (sources: readonly AsyncIterator<ContainerLogLine, undefined>[]): Promise<void> =>
  void (await Promise.allSettled(sources.map(async (source) => source.return?.())));

/** Lines of several sources, each in its order, merged by their time: one line of each is held at most. */
async function* byTime(all: readonly AsyncIterable<ContainerLogLine, undefined>[]): AsyncGenerator<ContainerLogLine, undefined, undefined> {
  const sources = all.map((lines) => lines[Symbol.asyncIterator]());
  try {
    let heads = await Promise.all(sources.map(take));
    for (;;) {
      heads = heads.filter(({ line }) => line !== null);
      const [first, ...rest] = heads;
      if (first === undefined) return;
      const next = rest.reduce((least, head) => ((head.line?.atMs ?? 0) < (least.line?.atMs ?? 0) ? head : least), first);
      if (next.line !== null) yield next.line;
      const following = await take(next.source);
      heads = heads.map((head) => (head === next ? following : head));
    }
  } finally {
    await endAll(sources);
  }
}

/** Lines of several sources as they come. */
async function* asTheyCome(
  all: readonly AsyncIterable<ContainerLogLine, undefined>[],
): AsyncGenerator<ContainerLogLine, undefined, undefined> {
  const sources = all.map((lines) => lines[Symbol.asyncIterator]());
  const pending = new Map(sources.map((source) => [source, take(source)]));
  try {
    while (pending.size > 0) {
      const { source, line } = await Promise.race(pending.values());
      pending.delete(source);
      if (line === null) continue;
      pending.set(source, take(source));
      yield line;
    }
  } finally {
    await endAll(sources);
  }
}
