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
