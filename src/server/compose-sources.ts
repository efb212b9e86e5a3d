import type { Clock } from '../ports/clock.ts';
import { SourceFault, type ReleaseSource } from '../ports/release-source.ts';
import { makeGitSource } from '../sources/git/git-source.ts';
import { makeGithubSource } from '../sources/github/github-source.ts';
import type { DeclaredSources } from './declared/parse-sources.ts';

/** The source of each owner: the one that is declared for it, else GitHub, where that is declared. */
export function makeReleaseSources({ git, github }: DeclaredSources, clock: Clock): ReleaseSource {
  const byOwner = new Map(git.map(({ owner, baseUrl }) => [owner.toLowerCase(), makeGitSource({ baseUrl })]));
  const others = github === null ? null : makeGithubSource({ ...github, nowMs: () => clock.nowMs() });
  return {
    readConfig: async (release) => {
      const owner = (release.repo.split('/', 1)[0] ?? '').toLowerCase();
      const source = byOwner.get(owner) ?? others;
      if (source !== null) return source.readConfig(release);
      throw new SourceFault({ isTimeout: false, message: `no source for ${owner}`, publicMessage: `no source is declared for ${owner}` });
    },
  };
}
