import type { Clock } from '../ports/clock.ts';
import { SourceFault, type ReleaseSource } from '../ports/release-source.ts';
import { makeGitSource } from '../sources/git/git-source.ts';
import { makeGithubApp, type GithubApp } from '../sources/github/github-app.ts';
import { GITHUB_LIMITS, makeGithubSource } from '../sources/github/github-source.ts';
import type { DeclaredSources } from './declared/parse-sources.ts';

/** The declared App, where there is one. */
const openApp = ({ app, baseUrl }: NonNullable<DeclaredSources['github']>, nowMs: () => number): GithubApp | null =>
  app === null ? null : makeGithubApp({ app, baseUrl, nowMs, limits: GITHUB_LIMITS });

/** The source of each owner: the one that is declared for it, else GitHub, where that is declared. */
export function makeReleaseSources({ git, github }: DeclaredSources, clock: Clock): ReleaseSource {
  const byOwner = new Map(git.map(({ owner, baseUrl }) => [owner.toLowerCase(), makeGitSource({ baseUrl })]));
  const nowMs = (): number => clock.nowMs();
  const others = github === null ? null : makeGithubSource({ ...github, app: openApp(github, nowMs), nowMs });
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
    connection: async (of) => (sourceOf(of.repo) === null ? 'elsewhere' : mustHave(of.repo).connection(of)),
    markLatest: async (release) => mustHave(release.repo).markLatest(release),
  };
}
