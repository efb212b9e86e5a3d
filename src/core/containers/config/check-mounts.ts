import { parseSize } from './sizes-and-lengths.ts';
import type { ConfigNode } from './config-node.ts';
import type { UnitConfig } from './container-config.ts';

const MAX_TMPFS = 64;
const MAX_PATH_LENGTH = 4096;
const PATH = /^(?:\/[^/:,\u0000-\u001f\u007f]+)+$/;
/** Where the kernel's own file systems are: nothing is mounted over or below them. */
const KERNEL_PATH = /^\/(?:proc|sys|dev)(?:\/|$)/;

const TMPFS_FLAGS: readonly string[] = ['rw', 'ro', 'exec', 'noexec', 'nosuid', 'nodev', 'noatime'];
const TMPFS_VALUES: Readonly<Record<string, RegExp>> = {
  mode: /^[01]?[0-7]{3}$/,
  uid: /^[0-9]{1,9}$/,
  gid: /^[0-9]{1,9}$/,
  nr_inodes: /^[1-9][0-9]{0,9}k?$/,
};

/** The rule that a path inside of a container breaks, in words that complete "must ..."; null where it is a good place for a mount. */
function mountPathRule(path: string): string | null {
  const isClean =
    path.length <= MAX_PATH_LENGTH &&
    path.isWellFormed() &&
    PATH.test(path) &&
    !path.split('/').some((part) => part === '.' || part === '..');
  if (!isClean) return 'be an absolute path without `.`, `..`, `//`, a colon, a comma or a slash at its end, and not `/`';
  return KERNEL_PATH.test(path) ? 'not lie in /proc, /sys or /dev' : null;
}

type Volumes = UnitConfig['volumes'];

/** Reads `volumes` of a container: `name:/path` of volumes that are declared, each path once. */
export function checkVolumeMounts(node: ConfigNode, declared: ReadonlySet<string>): Volumes {
  const mounts: { name: string; path: string }[] = [];
  for (const item of node.items() ?? []) {
    const text = item.required().text();
    if (text === null) continue;
    const colon = text.indexOf(':');
    const name = text.slice(0, Math.max(colon, 0));
    const path = text.slice(colon + 1);
    const rule = mountPathRule(path);
    if (colon < 1) item.refuse('must be the name of a volume, a colon and a path, such as data:/var/lib/data');
    else if (!declared.has(name)) item.refuse('must name a volume that is declared under volumes');
    else if (rule !== null) item.refuse(`has a path that must ${rule}`);
    else if (mounts.some((mount) => mount.path === path)) item.refuse('has a path that another volume of the container has');
    else mounts.push({ name, path });
  }
  return mounts;
}

/** The rule that the options of a tmpfs break, in words that complete "must ..."; null where they are good. */
function tmpfsRule(options: string): string | null {
  const seen = new Set<string>();
  for (const option of options === '' ? [] : options.split(',')) {
    const equals = option.indexOf('=');
    const name = equals === -1 ? option : option.slice(0, equals);
    const value = equals === -1 ? null : option.slice(equals + 1);
    if (seen.has(name)) return 'name each option once';
    seen.add(name);
    if (value === null ? TMPFS_FLAGS.includes(name) : Object.hasOwn(TMPFS_VALUES, name) && TMPFS_VALUES[name]?.test(value) === true)
      continue;
    // Without a bound, or with a share of the host's memory, a tmpfs could fill it.
    if (name === 'size' && value !== null && /^[1-9][0-9]*[kmg]?$/i.test(value) && parseSize(value) !== null) continue;
    return `hold only ${[...TMPFS_FLAGS, ...Object.keys(TMPFS_VALUES), 'size'].join(', ')}, as a mount takes them: size=64m,mode=1777`;
  }
  return null;
}

/** Reads `tmpfs` of a container: a map of paths to options of a mount, which may be left out. `taken` are the paths of its volumes. */
export function checkTmpfs(node: ConfigNode, taken: Volumes): UnitConfig['tmpfs'] {
  const mounts: { path: string; options: string }[] = [];
  for (const [path, field] of node.entries(MAX_TMPFS)) {
    const options = field.isGiven ? field.text() : '';
    if (options === null) continue;
    const pathRule = mountPathRule(path);
    const optionsRule = tmpfsRule(options);
    if (pathRule !== null) field.refuse(`has a path that must ${pathRule}`);
    else if (taken.some((volume) => volume.path === path)) field.refuse('has a path that a volume of the container has');
    else if (optionsRule !== null) field.refuse(`must ${optionsRule}`);
    else mounts.push({ path, options });
  }
  return mounts;
}
