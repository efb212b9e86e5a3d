import { SourceFault, type ReleaseSource } from '../ports/release-source.ts';
import { makeGitSource } from '../sources/git/git-source.ts';
import type { DeclaredSources } from './declared/parse-sources.ts';

/** The source of each owner: the one that is declared for it, else GitHub. */
export async function makeReleaseSources({ git }: DeclaredSources): Promise<ReleaseSource> {
  const byOwner = new Map(git.map(({ owner, baseUrl }) => [owner.toLowerCase(), makeGitSource({ baseUrl })]));
  return {
    readConfig: (release) => {
      const owner = (release.repo.split('/', 1)[0] ?? '').toLowerCase();
      const source = byOwner.get(owner);
      if (source !== undefined) return source.readConfig(release);
      throw new SourceFault({ isTimeout: false, message: `no source for ${owner}`, publicMessage: `no source is declared for ${owner}` });
    },
  };
}
