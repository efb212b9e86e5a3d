import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CONFIG_FILE } from '../../core/containers/release-names.ts';
import { SourceFault, type NoRelease, type ReleaseSource, type SourceOutcome } from '../../ports/release-source.ts';
import { newerVersion } from '../_shared/newer-version.ts';
import { GateBusy, makeGate } from '../_shared/gate.ts';
import { GIT_SETTINGS, GitStopped, runGit, type GitBounds, type GitResult } from './run-git.ts';

/** How far a look at a repository may go. Sizes in bytes, lengths in milliseconds; `timeoutMs` is for all of it. */
export interface GitSourceLimits extends GitBounds {
  /** Looks at once: others wait, for as long as one may take. */
  readonly atOnce: number;
  readonly maxConfigBytes: number;
}

const MIB = 1024 * 1024;

/** What holds where nothing else is said. */
export const GIT_LIMITS: GitSourceLimits = {
  atOnce: 4,
  timeoutMs: 30_000,
  maxFileBytes: 256 * MIB,
  maxOutputBytes: 2 * MIB,
  maxConfigBytes: MIB,
};

/** What `ls-remote --exit-code` ends with where nothing has the name. */
const NO_MATCH = 2;
const SHA = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/;
const REGULAR = new Set(['100644', '100755']);
const NO_REPOSITORY = /does not appear to be a git repository|repository .*not found|does not exist|not found|no such file or directory/i;

/** What git complained of, without the credentials that an address may hold. */
const complaintOf = (err: unknown): string => (err instanceof Error ? err.message : 'git failed').replace(/\/\/[^\s/@]+@/g, '//');

/** Git wrote more than it may: itself, or a program of its own, which it says was ended by that signal. */
const isTooLarge = (err: unknown): boolean =>
  (err instanceof GitStopped && !err.isTimeout) || (err instanceof Error && /died of signal 25\b|file too large/i.test(err.message));

const none = (why: NoRelease, message: string): SourceOutcome => ({ ok: false, why, message });

/**
 * Makes a source of plain git: `owner/repo` is `<baseUrl>/repo` or, where that is none, `<baseUrl>/repo.git`, and any tag of it is a release. The tag's commit
 * is fetched without its history, the file without the others where the server can leave them out, into a folder that goes afterwards. Nothing is checked out.
 */
export function makeGitSource({
  baseUrl,
  limits = GIT_LIMITS,
}: {
  readonly baseUrl: string;
  readonly limits?: GitSourceLimits;
}): ReleaseSource {
  const gate = makeGate({ atOnce: limits.atOnce, waitMs: limits.timeoutMs });
  const base = baseUrl.replace(/\/+$/, '');

  const read = async (folder: string, { repo, tag }: { readonly repo: string; readonly tag: string }): Promise<SourceOutcome> => {
    const endMs = performance.now() + limits.timeoutMs;
    const git = (...args: readonly string[]): Promise<GitResult> =>
      runGit(folder, args, { ...limits, timeoutMs: Math.max(1, endMs - performance.now()) });
    const must = async (...args: readonly string[]): Promise<Buffer> => {
      const { code, output, complaint } = await git(...args);
      if (code !== 0) throw new Error(`git ${args[0] ?? ''}: ${complaint.trim()}`);
      return output;
    };
    await writeFile(join(folder, GIT_SETTINGS.name), GIT_SETTINGS.text);
    await must('init', '--bare', '--quiet', '--template=');
    const found = await addressOf(git, `${base}/${repo.split('/')[1] ?? ''}`, tag);
    if (found === 'no_tag') return none('no_tag', `${repo} has no tag ${tag}`);
    if (found === 'no_repo') return none('no_repo', `there is no repository ${repo}`);
    for (const [name, value] of [
      ['url', found.url],
      ['promisor', 'true'],
      ['partialCloneFilter', 'blob:none'],
    ] as const) {
      await must('config', `remote.origin.${name}`, value);
    }
    await must('fetch', '--quiet', '--depth=1', '--no-tags', '--no-recurse-submodules', 'origin', `+refs/tags/${tag}:refs/tags/wanted`);
    const peeled = await git('rev-parse', '--verify', '--quiet', 'refs/tags/wanted^{commit}');
    const commit = peeled.output.toString('utf8').trim();
    if (peeled.code !== 0 || !SHA.test(commit)) return none('no_tag', `the tag ${tag} of ${repo} stands for no commit`);
    return readFile({ must, commit, repo, tag });
  };

  /** The file itself: a regular one, and not too large. */
  async function readFile(of: {
    readonly must: (...args: readonly string[]) => Promise<Buffer>;
    readonly commit: string;
    readonly repo: string;
    readonly tag: string;
  }): Promise<SourceOutcome> {
    const { must, commit, repo, tag } = of;
    const listed = (await must('ls-tree', '-z', '--full-tree', commit, '--', CONFIG_FILE)).toString('utf8');
    const [mode = '', type = '', sha = ''] = listed.split(/[\t\0 ]/, 3);
    if (listed === '') return none('no_file', `${repo} has no ${CONFIG_FILE} at ${tag}`);
    if (type !== 'blob' || !REGULAR.has(mode) || !SHA.test(sha))
      return none('refused', `${CONFIG_FILE} of ${repo} at ${tag} must be a regular file`);
    const size = Number((await must('cat-file', '-s', sha)).toString('utf8'));
    if (!(size <= limits.maxConfigBytes)) {
      return none('file_too_large', `${CONFIG_FILE} of ${repo} at ${tag} must be at most ${limits.maxConfigBytes} bytes`);
    }
    return { ok: true, commit, text: (await must('cat-file', 'blob', sha)).toString('utf8') };
  }

  async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
    const folder = await mkdtemp(join(tmpdir(), 'castellan-git-'));
    try {
      return await work(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** What went wrong, for the owner of the container. */
  function faultOf(repo: string, err: unknown): SourceFault {
    const isTimeout = err instanceof GateBusy || (err instanceof GitStopped && err.isTimeout);
    const publicMessage = `${repo} could not be read: its source ${isTimeout ? 'takes too long' : 'failed'}`;
    return new SourceFault({ isTimeout, message: complaintOf(err), publicMessage });
  }

  /** The names of a repository's tags; none where there is no such repository. */
  async function tagsOf(folder: string, repo: string): Promise<string[]> {
    await writeFile(join(folder, GIT_SETTINGS.name), GIT_SETTINGS.text);
    const url = `${base}/${repo.split('/')[1] ?? ''}`;
    for (const address of [url, `${url}.git`]) {
      const { code, output, complaint } = await runGit(folder, ['ls-remote', '--quiet', '--tags', '--refs', '--', address], limits);
      if (code === 0) return [...output.toString('utf8').matchAll(/\trefs\/tags\/([^\n]+)/g)].map(([, tag = '']) => tag);
      if (!NO_REPOSITORY.test(complaint)) throw new Error(`git ls-remote: ${complaint.trim()}`);
    }
    return [];
  }

  return {
    readConfig: async (release) => {
      try {
        return await gate(() => inFolder((folder) => read(folder, release)));
      } catch (err) {
        if (isTooLarge(err)) return none('refused', `${release.repo} at ${release.tag} is too large to be read`);
        throw faultOf(release.repo, err);
      }
    },
    isPolled: () => true,
    // Plain git knows no Apps, and no releases of which one could be the latest.
    connection: async () => 'elsewhere',
    markLatest: async () => 'not_permitted',
    newerTag: async ({ repo, than }) => {
      try {
        return newerVersion(await gate(() => inFolder((folder) => tagsOf(folder, repo))), than);
      } catch (err) {
        throw faultOf(repo, err);
      }
    },
  };
}

/** Where the repository is, of the two places that it may be at; or that it is nowhere, or has no such tag. */
async function addressOf(
  git: (...args: readonly string[]) => Promise<GitResult>,
  url: string,
  tag: string,
): Promise<{ readonly url: string } | 'no_tag' | 'no_repo'> {
  for (const address of [url, `${url}.git`]) {
    const { code, complaint } = await git('ls-remote', '--exit-code', '--quiet', '--', address, `refs/tags/${tag}`);
    if (code === 0) return { url: address };
    if (code === NO_MATCH) return 'no_tag';
    if (!NO_REPOSITORY.test(complaint)) throw new Error(`git ls-remote: ${complaint.trim()}`);
  }
  return 'no_repo';
}
