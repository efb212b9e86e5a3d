import { Fault } from '../core/fault.ts';

/** Why a source has no configuration to give. */
export type NoRelease = 'no_repo' | 'no_tag' | 'no_release' | 'no_file' | 'file_too_large' | 'refused';

/** A configuration file as it stands at a tag, with the tag's commit (40 hex digits); or why there is none, with a sentence for its owner. */
export type SourceOutcome =
  | { readonly ok: true; readonly commit: string; readonly text: string }
  | { readonly ok: false; readonly why: NoRelease; readonly message: string };

/** Where releases of repositories are read. */
export interface ReleaseSource {
  /**
   * The `tinfoil-config.yml` of `repo` (`owner/repo`) at `tag`, both of which keep the rules of names. Nothing of the repository is run. Throws a
   * {@link SourceFault} where the source cannot be asked.
   */
  readConfig(release: { readonly repo: string; readonly tag: string }): Promise<SourceOutcome>;
  /** Whether {@link ReleaseSource.newerTag} can be asked about a repository: others tell of their releases by themselves. */
  isPolled(repo: string): boolean;
  /**
   * The newest tag of `repo` that is a version above that of `than`, by the rules of semantic versions; null where there is none, or `than` is no version. A version that is not final
   * comes after one that is not final either. Throws as {@link ReleaseSource.readConfig}.
   */
  newerTag(release: { readonly repo: string; readonly than: string }): Promise<string | null>;
}

/** A source could not be asked: out of reach, too slow, or it answered nonsense. `publicMessage` is for the owner of the container. */
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
