import type { Context } from '../context.ts';
import { CommandError, EXIT } from '../exit-codes.ts';

/** The last two parts of a repository's address, `owner/repo`, however it is written. */
export function repoOf(remote: string): string | null {
  const path = remote
    .trim()
    .replace(/\/+$/, '')
    .replace(/\.git$/, '');
  const [, owner, name] = /(?:^|[/:])([A-Za-z0-9._-]+)\/([A-Za-z0-9._-]+)$/.exec(path) ?? [];
  return owner === undefined || name === undefined ? null : `${owner}/${name}`;
}

/** What is to be deployed: as it was said, else of a folder's checkout the origin and the newest tag that leads to what is checked out. */
export async function releaseOf(
  context: Context,
  given: { readonly folder: string; readonly repo: string | undefined; readonly tag: string | undefined },
): Promise<{ readonly repo: string; readonly tag: string }> {
  const { folder } = given;
  const git = (...args: string[]): Promise<string | null> => context.around.output('git', args, folder);
  const repo = given.repo ?? repoOf((await git('remote', 'get-url', 'origin')) ?? '');
  if (repo === null || repo === '') {
    throw new CommandError(`${folder} is no checkout with an origin: name the repository with --repo owner/repo.`, EXIT.usage);
  }
  if (given.tag !== undefined) return { repo, tag: given.tag };
  const tag = given.repo === undefined ? ((await git('describe', '--tags', '--abbrev=0')) ?? '').trim() : '';
  if (tag === '') throw new CommandError('Say what is to be deployed with --tag: the checkout has no tag.', EXIT.usage);
  return { repo, tag };
}
