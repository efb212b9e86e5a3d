import { compare, gt, parse, type SemVer } from 'semver';

const MAX_TAGS = 10_000;

/** The version that a tag stands for, with or without a `v` before it; null for others. */
const versionOf = (tag: string): SemVer | null => (/^v?\d/.test(tag) ? parse(tag.replace(/^v/, '')) : null);

/**
 * The tag of the highest version above that of `than`; null where there is none, or `than` is no version. Versions that are not final count only where `than` is
 * not final either. Source: semver.org, section 11.
 */
export function newerVersion(tags: readonly string[], than: string): string | null {
  const from = versionOf(than);
  if (from === null) return null;
  const newer = tags.slice(0, MAX_TAGS).flatMap((tag) => {
    const version = versionOf(tag);
    const isMeant = version !== null && (version.prerelease.length === 0 || from.prerelease.length > 0);
    return isMeant && gt(version, from) ? [{ tag, version }] : [];
  });
  return newer.toSorted((a, b) => compare(a.version, b.version)).at(-1)?.tag ?? null;
}

/** A release that is published. `isFinal` is false for a pre-release. */
export interface PublishedRelease {
  readonly tag: string;
  readonly isFinal: boolean;
  readonly publishedAtMs: number;
}

/**
 * The release that a container at `than` is to be updated to; null where there is none. Where `than` is a version, the highest version above it; else the
 * newest release that was published after that of `than`, where there still is one. Pre-releases count only where `than` is one, whatever their names say.
 */
export function newerRelease(releases: readonly PublishedRelease[], than: string): string | null {
  const from = releases.find(({ tag }) => tag === than);
  const meant = releases.filter(({ isFinal }) => isFinal || from?.isFinal === false);
  if (versionOf(than) !== null) {
    return newerVersion(
      meant.map(({ tag }) => tag),
      than,
    );
  }
  if (from === undefined) return null;
  const newest = meant.toSorted((a, b) => a.publishedAtMs - b.publishedAtMs).at(-1);
  return newest === undefined || newest.publishedAtMs <= from.publishedAtMs ? null : newest.tag;
}
