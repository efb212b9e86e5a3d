import { Buffer } from 'node:buffer';
import { CONFIG_FILE } from '../../core/containers/release-names.ts';
import { SourceFault, type NoRelease, type ReleaseSource, type SourceOutcome } from '../../ports/release-source.ts';
import { boundedFetch, FORBIDDEN, makeAskGithub, MISSING, type AskGithub, type GithubLimits } from './github-requests.ts';

const MIB = 1024 * 1024;

/** What holds where nothing else is said. */
export const GITHUB_LIMITS: GithubLimits = { timeoutMs: 20_000, maxAnswerBytes: 8 * MIB, maxConfigBytes: MIB };

/** Tags that stand for tags are followed that far. */
const MAX_PEELS = 5;
const SHA = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/;

const none = (why: NoRelease, message: string): SourceOutcome => ({ ok: false, why, message });

/** The tag of a repository that is looked at, and how. */
interface Look {
  readonly ask: AskGithub;
  readonly owner: string;
  readonly name: string;
  readonly repo: string;
  readonly tag: string;
}

const closed = ({ repo }: Look): SourceOutcome => none('refused', `GitHub does not let this server read ${repo}`);

/** Why a tag has no release: the repository, the tag or only the release is missing. */
async function whyNoRelease({ ask, owner, name, repo, tag }: Look): Promise<SourceOutcome> {
  const found = await ask('GET /repos/{owner}/{repo}', { owner, repo: name });
  if (found === MISSING || found === FORBIDDEN)
    return none('no_repo', `there is no repository ${repo} on GitHub that this server may read`);
  const ref = await ask('GET /repos/{owner}/{repo}/git/ref/{ref}', { owner, repo: name, ref: `tags/${tag}` });
  if (ref === MISSING || ref === FORBIDDEN) return none('no_tag', `${repo} has no tag ${tag}`);
  return none('no_release', `the tag ${tag} of ${repo} has no published release`);
}

/** The commit that the tag stands for; null where it stands for none. */
async function commitOf({ ask, owner, name, tag }: Look): Promise<string | null> {
  let answer = await ask('GET /repos/{owner}/{repo}/git/ref/{ref}', { owner, repo: name, ref: `tags/${tag}` });
  for (let peels = 0; peels <= MAX_PEELS; peels += 1) {
    if (answer === MISSING || answer === FORBIDDEN) return null;
    const { sha, type } = (answer['object'] ?? {}) as { sha?: unknown; type?: unknown };
    if (typeof sha !== 'string' || !SHA.test(sha)) return null;
    if (type === 'commit') return sha;
    if (type !== 'tag') return null;
    answer = await ask('GET /repos/{owner}/{repo}/git/tags/{tag_sha}', { owner, repo: name, tag_sha: sha });
  }
  return null;
}

/** The bytes of a file in GitHub's form; null where they are not in there. */
function bytesOf({ encoding, content }: { readonly [name: string]: unknown }): Buffer | null {
  return encoding === 'base64' && typeof content === 'string' ? Buffer.from(content, 'base64') : null;
}

async function readFile(look: Look, commit: string, maxBytes: number): Promise<SourceOutcome> {
  const { ask, owner, name, repo, tag } = look;
  const at = { owner, repo: name, path: CONFIG_FILE, ref: commit };
  const file = await ask('GET /repos/{owner}/{repo}/contents/{path}', at);
  if (file === FORBIDDEN) return closed(look);
  if (file === MISSING) return none('no_file', `${repo} has no ${CONFIG_FILE} at ${tag}`);
  if (Array.isArray(file) || file['type'] !== 'file') return none('refused', `${CONFIG_FILE} of ${repo} at ${tag} must be a regular file`);
  const tooLarge = none('file_too_large', `${CONFIG_FILE} of ${repo} at ${tag} must be at most ${maxBytes} bytes`);
  if (typeof file['size'] === 'number' && file['size'] > maxBytes) return tooLarge;
  let bytes = bytesOf(file);
  if (bytes === null && typeof file['sha'] === 'string') {
    // Large ones are not among what tells of them.
    const blob = await ask('GET /repos/{owner}/{repo}/git/blobs/{file_sha}', { owner, repo: name, file_sha: file['sha'] });
    bytes = blob === MISSING || blob === FORBIDDEN ? null : bytesOf(blob);
  }
  if (bytes === null) {
    const publicMessage = 'GitHub gave an answer that cannot be read';
    throw new SourceFault({ isTimeout: false, message: 'GitHub gave a file without its content', publicMessage });
  }
  return bytes.length > maxBytes ? tooLarge : { ok: true, commit, text: bytes.toString('utf8') };
}

/**
 * Makes a source of repositories on GitHub, or on what answers as it does under `baseUrl`. A tag counts once it has a published release: drafts do not,
 * pre-releases do. `token` null: only what everybody may read. The library is loaded with the first question, and nothing is asked twice.
 */
export function makeGithubSource(deps: {
  readonly baseUrl: string;
  readonly token: string | null;
  readonly nowMs: () => number;
  readonly limits?: GithubLimits;
}): ReleaseSource {
  const { baseUrl, token, nowMs, limits = GITHUB_LIMITS } = deps;

  async function askFor(signal: AbortSignal): Promise<AskGithub> {
    const { Octokit } = await import('octokit');
    const silent = (): void => undefined;
    const octokit = new Octokit({
      baseUrl: baseUrl.replace(/\/+$/, ''),
      userAgent: 'castellan',
      ...(token === null ? {} : { auth: token }),
      request: { fetch: boundedFetch(limits.maxAnswerBytes) },
      retry: { enabled: false },
      throttle: { enabled: false },
      log: { debug: silent, info: silent, warn: silent, error: silent },
    });
    return makeAskGithub({ octokit, signal, nowMs });
  }

  return {
    // Its releases are told by the App of a repository's owner.
    isPolled: () => false,
    newerTag: async () => null,
    readConfig: async ({ repo, tag }) => {
      const [owner = '', name = ''] = repo.split('/');
      const look: Look = { ask: await askFor(AbortSignal.timeout(limits.timeoutMs)), owner, name, repo, tag };
      const release = await look.ask('GET /repos/{owner}/{repo}/releases/tags/{tag}', { owner, repo: name, tag });
      if (release === FORBIDDEN) return closed(look);
      if (release === MISSING || release['draft'] === true) return whyNoRelease(look);
      const commit = await commitOf(look);
      return commit === null
        ? none('no_tag', `the tag ${tag} of ${repo} stands for no commit`)
        : readFile(look, commit, limits.maxConfigBytes);
    },
  };
}
