import { makeReadRelease, type ReadRelease } from '../app/containers/read-release.ts';
import { makeTakeReleaseHook, type TakeReleaseHook } from '../app/containers/take-release-hook.ts';
import { makeUpdateContainers, type UpdateContainers, type UpdateContainersDeps } from '../app/containers/update-containers.ts';
import { startJob, type Job } from '../jobs/start-job.ts';
import type { Log } from '../ports/log.ts';
import type { ReleaseSource } from '../ports/release-source.ts';
import { makeConfigReader } from '../sources/_shared/read-config.ts';
import { makeGithubHooks } from '../sources/github/github-hooks.ts';
import { makeReleaseSources } from './compose-sources.ts';
import type { ContainersConfig } from './declared/parse-containers.ts';

/** The part about releases. */
export interface ReleaseParts {
  readonly source: ReleaseSource;
  readonly readRelease: ReadRelease;
  /** Null where no webhooks of releases are declared. */
  readonly takeReleaseHook: TakeReleaseHook | null;
  /** Starts what keeps containers with their releases. */
  startUpdates(of: Pick<UpdateContainersDeps, 'containers' | 'lease'>): Job;
  /** A container changed on this node: what it serves now may be to be marked. */
  containerChanged(): void;
}

/** After a start, whoever acts on hosts is known by then. */
const FIRST_LOOK_MS = 2000;

/** Wires the part about releases. */
export function composeReleases(
  deps: Pick<UpdateContainersDeps, 'records' | 'writer' | 'clock' | 'ids'> & { readonly config: ContainersConfig; readonly log: Log },
): ReleaseParts {
  const { config, records, writer, clock, ids, log } = deps;
  const { sources, registries, prices, settings } = config;
  const app = sources.github?.app ?? null;
  const source = makeReleaseSources(sources, clock);
  let updates: UpdateContainers | null = null;
  let job: Job | null = null;
  const takes = app !== null && app.webhookSecrets.length > 0;
  return {
    source,
    readRelease: makeReadRelease({ source, reader: makeConfigReader(), registries, prices }),
    takeReleaseHook: takes
      ? makeTakeReleaseHook({
          hooks: makeGithubHooks({ secrets: app.webhookSecrets }),
          writer,
          note: (news) => {
            updates?.note(news);
            job?.wake();
          },
          clock,
          ids,
          log,
        })
      : null,
    startUpdates: ({ containers, lease }) => {
      const tagsMs = settings.autoUpdateMs;
      const pollMs = app?.pollMs ?? tagsMs;
      const made = makeUpdateContainers({ records, source, containers, writer, lease, tagsMs, pollMs, clock, ids, log });
      updates = made;
      const everyMs = Math.min(tagsMs, pollMs);
      job = startJob({ name: 'update-containers', everyMs, firstInMs: FIRST_LOOK_MS, run: () => made.run(), log });
      return job;
    },
    containerChanged: () => {
      if (app !== null) job?.wake();
    },
  };
}
