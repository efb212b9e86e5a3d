import type { Clock } from '../ports/clock.ts';
import { SourceFault, type ReleaseSource } from '../ports/release-source.ts';
import { makeGitSource } from '../sources/git/git-source.ts';
import { makeGithubSource } from '../sources/github/github-source.ts';
import type { DeclaredSources } from './declared/parse-sources.ts';

/** The source of each owner: the one that is declared for it, else GitHub, where that is declared. */
export function makeReleaseSources({ git, github }: DeclaredSources, clock: Clock): ReleaseSource {
  const byOwner = new Map(git.map(({ owner, baseUrl }) => [owner.toLowerCase(), makeGitSource({ baseUrl })]));
  const others = github === null ? null : makeGithubSource({ ...github, nowMs: () => clock.nowMs() });
  const ownerOf = (repo: string): string => (repo.split('/', 1)[0] ?? '').toLowerCase();
  const sourceOf = (repo: string): ReleaseSource | null => byOwner.get(ownerOf(repo)) ?? others;
  const mustHave = (repo: string): ReleaseSource => {
    const owner = ownerOf(repo);
    const source = sourceOf(repo);
    if (source !== null) return source;
    throw new SourceFault({ isTimeout: false, message: `no source for ${owner}`, publicMessage: `no source is declared for ${owner}` });
  };
  return {
    readConfig: async (release) => mustHave(release.repo).readConfig(release),
    isPolled: (repo) => sourceOf(repo)?.isPolled(repo) === true,
    newerTag: async (release) => mustHave(release.repo).newerTag(release),
  };
}
