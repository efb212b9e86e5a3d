import { Buffer } from 'node:buffer';
import type { MarkOutcome } from '../../core/containers/app-connection.ts';
import { CONFIG_FILE, checkTag } from '../../core/containers/release-names.ts';
import { SourceFault, type NoRelease, type ReleaseSource, type RepositoryOf, type SourceOutcome } from '../../ports/release-source.ts';
import { newerRelease, type PublishedRelease } from '../_shared/newer-version.ts';
import { githubOptions, type GithubApp, type Installation } from './github-app.ts';
import {
  FORBIDDEN,
  makeAskGithub,
  MISSING,
  UNCHANGED,
  type AskGithub,
  type GithubLimits,
  type GithubQuestions,
} from './github-requests.ts';

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
    throw unreadable('GitHub gave a file without its content');
  }
  return bytes.length > maxBytes ? tooLarge : { ok: true, commit, text: bytes.toString('utf8') };
}

/** What a workflow that measures a release puts beside it. Source: Tinfoil reference section 4, "GitHub". */
const DEPLOYMENT_ASSETS = ['tinfoil-deployment.json', 'tinfoil.hash'] as const;

/** The deployment assets that a release does not have, or not wholly yet. */
function missingAssets(release: { readonly [name: string]: unknown }): string[] {
  const assets = (Array.isArray(release['assets']) ? release['assets'] : []) as readonly {
    readonly name?: unknown;
    readonly state?: unknown;
  }[];
  return DEPLOYMENT_ASSETS.filter((wanted) => !assets.some(({ name, state }) => name === wanted && (state ?? 'uploaded') === 'uploaded'));
}

/** The newest of a repository's releases are looked at: as many as GitHub gives at once. */
const RELEASES_AT_ONCE = 100;
/** Repositories whose releases are remembered, so that GitHub is asked for changes only. */
const REMEMBERED = 500;

/**
 * Makes a source of repositories on GitHub, or on what answers as it does under `baseUrl`. A tag counts once it has a published release: drafts do not,
 * pre-releases do. With `needsAssets` it has to have both deployment assets as well. `token` null: only what everybody may read. A repository that the App
 * (`app`, null where there is none) is installed for is read as the App. The library is loaded with the first question, and nothing is asked twice.
 */
export function makeGithubSource(deps: {
  readonly baseUrl: string;
  readonly token: string | null;
  readonly app: GithubApp | null;
  readonly needsAssets: boolean;
  readonly nowMs: () => number;
  readonly limits?: GithubLimits;
}): ReleaseSource {
  const { baseUrl, token, app, needsAssets, nowMs, limits = GITHUB_LIMITS } = deps;
  const remembered = new Map<string, { readonly etag: string; readonly releases: readonly PublishedRelease[] }>();

  async function askAsServer(signal: AbortSignal): Promise<GithubQuestions> {
    const { Octokit } = await import('octokit');
    const octokit = new Octokit({ ...githubOptions(baseUrl, limits), ...(token === null ? {} : { auth: token }) });
    return makeAskGithub({ octokit, signal, nowMs });
  }

  const installationOf = async (of: RepositoryOf, signal: AbortSignal): Promise<Installation> =>
    app === null ? { connection: 'no_app' } : app.installation(of, signal);

  /** The questions of whoever may see most of the repository for the tenant. */
  async function askFor(of: RepositoryOf, signal: AbortSignal): Promise<GithubQuestions> {
    const installation = await installationOf(of, signal);
    return installation.connection === 'connected' ? installation.questions() : askAsServer(signal);
  }

  function publishedOf(list: unknown): PublishedRelease[] {
    if (!Array.isArray(list)) throw unreadable('GitHub gave no list of releases');
    return (list as readonly { readonly [name: string]: unknown }[]).flatMap((release) => {
      const { tag_name: tag, draft, prerelease, published_at: published } = release;
      const publishedAtMs = typeof published === 'string' ? Date.parse(published) : Number.NaN;
      const isMeant = typeof tag === 'string' && draft !== true && Number.isFinite(publishedAtMs) && checkTag(tag) === null;
      return isMeant && !(needsAssets && missingAssets(release).length > 0) ? [{ tag, isFinal: prerelease !== true, publishedAtMs }] : [];
    });
  }

  async function releasesOf({ repo }: RepositoryOf, { askChanged }: GithubQuestions): Promise<readonly PublishedRelease[]> {
    const [owner = '', name = ''] = repo.split('/');
    const before = remembered.get(repo);
    const asked = { owner, repo: name, per_page: RELEASES_AT_ONCE };
    const found = await askChanged('GET /repos/{owner}/{repo}/releases', asked, before?.etag ?? null);
    if (found === UNCHANGED) return before?.releases ?? [];
    remembered.delete(repo);
    const { etag, answer } = found;
    if (answer === MISSING || answer === FORBIDDEN) return [];
    const releases = publishedOf(answer);
    const [oldest] = remembered.keys();
    if (remembered.size >= REMEMBERED && oldest !== undefined) remembered.delete(oldest);
    if (etag !== null) remembered.set(repo, { etag, releases });
    return releases;
  }

  return {
    isPolled: () => false,
    connection: async (of) => (await installationOf(of, AbortSignal.timeout(limits.timeoutMs))).connection,
    newerTag: async (release) => {
      const { than } = release;
      return newerRelease(await releasesOf(release, await askFor(release, AbortSignal.timeout(limits.timeoutMs))), than);
    },
    markLatest: async ({ tag, ...of }) => {
      const installation = await installationOf(of, AbortSignal.timeout(limits.timeoutMs));
      if (installation.connection !== 'connected' || !installation.mayWrite) return 'not_permitted';
      return mark(of.repo, tag, (await installation.questions()).ask);
    },
    readConfig: async ({ tag, ...of }) => {
      const { repo } = of;
      const [owner = '', name = ''] = repo.split('/');
      const { ask } = await askFor(of, AbortSignal.timeout(limits.timeoutMs));
      const look: Look = { ask, owner, name, repo, tag };
      const release = await ask('GET /repos/{owner}/{repo}/releases/tags/{tag}', { owner, repo: name, tag });
      if (release === FORBIDDEN) return closed(look);
      if (release === MISSING || release['draft'] === true) return whyNoRelease(look);
      const missing = needsAssets ? missingAssets(release) : [];
      if (missing.length > 0) return none('no_release', `the release ${tag} of ${repo} has no ${missing.join(' and no ')} yet`);
      const commit = await commitOf(look);
      return commit === null
        ? none('no_tag', `the tag ${tag} of ${repo} stands for no commit`)
        : readFile(look, commit, limits.maxConfigBytes);
    },
  };
}

const unreadable = (message: string): SourceFault =>
  new SourceFault({ isTimeout: false, message, publicMessage: 'GitHub gave an answer that cannot be read' });

/** Marks the release of a tag as the latest, unless it is that already. GitHub lets no pre-release be that. */
async function mark(repo: string, tag: string, ask: AskGithub): Promise<MarkOutcome> {
  const [owner = '', name = ''] = repo.split('/');
  const at = { owner, repo: name };
  const release = await ask('GET /repos/{owner}/{repo}/releases/tags/{tag}', { ...at, tag });
  if (release === MISSING || release === FORBIDDEN || release['draft'] === true) return 'no_release';
  if (release['prerelease'] === true) return 'prerelease';
  const latest = await ask('GET /repos/{owner}/{repo}/releases/latest', at);
  if (latest !== MISSING && latest !== FORBIDDEN && latest['tag_name'] === tag) return 'marked';
  const { id } = release;
  if (typeof id !== 'number') throw unreadable('GitHub gave a release without its id');
  const done = await ask('PATCH /repos/{owner}/{repo}/releases/{release_id}', { ...at, release_id: id, make_latest: 'true' });
  return done === MISSING || done === FORBIDDEN ? 'not_permitted' : 'marked';
}
