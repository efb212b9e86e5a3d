import type { AppConnection, MarkOutcome } from '../core/containers/app-connection.ts';
import { Fault } from '../core/fault.ts';

/** Why a source has no configuration to give. */
export type NoRelease = 'no_repo' | 'no_tag' | 'no_release' | 'no_file' | 'file_too_large' | 'refused';

/** A configuration file as it stands at a tag, with the tag's commit (40 hex digits); or why there is none, with a sentence for its owner. */
export type SourceOutcome =
  | { readonly ok: true; readonly commit: string; readonly text: string }
  | { readonly ok: false; readonly why: NoRelease; readonly message: string };

/** A repository (`owner/repo`, by the rules of names), and the tenant for whom it is asked: an App shows to no tenant what it sees for another. */
export interface RepositoryOf {
  readonly tenantId: string;
  readonly repo: string;
}

/** Where releases of repositories are read. Everything but {@link ReleaseSource.isPolled} throws a {@link SourceFault} where the source cannot be asked. */
export interface ReleaseSource {
  /** The `tinfoil-config.yml` of a repository at `tag`, which keeps the rules of tags. Nothing of the repository is run. */
  readConfig(release: RepositoryOf & { readonly tag: string }): Promise<SourceOutcome>;
  /** Whether {@link ReleaseSource.newerTag} can be asked about a repository without an App. */
  isPolled(repo: string): boolean;
  /**
   * The tag that a container at `than` is to be updated to; null where there is none. By the rules of semantic versions it is the highest above `than`; where a
   * source has releases and `than` is no version, that of the newest release after its own. What is not final counts only where `than` is not final either.
   */
  newerTag(release: RepositoryOf & { readonly than: string }): Promise<string | null>;
  /** How the App stands to a repository, asked anew. */
  connection(of: RepositoryOf): Promise<AppConnection>;
  /** Marks the release of a tag as the latest of its repository, where the App may do that. */
  markLatest(release: RepositoryOf & { readonly tag: string }): Promise<MarkOutcome>;
}

/** What a webhook tells: a repository, or all of an owner's, that it is worth to look at. `atMs` is when it happened; null where it does not say. */
export type ReleaseHook =
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'malformed'; readonly rule: string }
  /** Nothing that concerns releases. */
  | { readonly kind: 'other' }
  | { readonly kind: 'news'; readonly owner: string; readonly repo: string | null; readonly digest: string; readonly atMs: number | null };

/** Reads webhooks of a release source. */
export interface ReleaseHooks {
  /** Reads one. `event` and `signature` are what its headers say, empty where there is none; `body` are the bytes that are signed. */
  read(delivery: { readonly event: string; readonly signature: string; readonly body: Uint8Array }): ReleaseHook;
}

/**
 * A source could not be asked: out of reach, too slow, or it answered nonsense. `publicMessage` is for the owner of the container;
 * `retryAfterMs` is there where it takes no more questions for so long.
 */
export class SourceFault extends Fault {
  constructor(options: {
    readonly isTimeout: boolean;
    readonly message: string;
    readonly publicMessage: string;
    readonly retryAfterMs?: number;
    readonly cause?: unknown;
  }) {
    super({ ...options, code: options.isTimeout ? 'upstream_timeout' : 'upstream_failed' });
  }
}
