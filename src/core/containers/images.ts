/** Which set of stored credentials an image's registry takes: one of the three that the API names, or none. */
export type RegistryKind = 'ghcr' | 'gcr' | 'dockerhub' | 'other';

/** An image as an engine pulls it. */
export interface ImageRef {
  /** Where it is pulled from, `host` or `host:port`; after the operator's mapping. */
  readonly host: string;
  /** Path below the host, such as `owner/name`. */
  readonly repository: string;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest: string;
  /** The registry that the configuration named, before the mapping. */
  readonly kind: RegistryKind;
}

/** What the operator declares of registries: where the three that the API names really are, and which others may be used. */
export interface Registries {
  /** Each `host`, `host:port`, or one of them with a path below it, such as a mirror's `mirror.example/ghcr`. */
  readonly ghcr: string;
  readonly gcr: string;
  readonly dockerhub: string;
  /** Other hosts that images may come from, each `host` or `host:port` as images name it. */
  readonly allow: readonly string[];
}

/** Where images come from unless the operator says otherwise. */
export const DEFAULT_REGISTRIES: Registries = { ghcr: 'ghcr.io', gcr: 'gcr.io', dockerhub: 'docker.io', allow: [] };

/** An image, or the rule that it breaks, in words for whoever wrote it. */
export type ImageResult = { readonly ok: true; readonly image: ImageRef } | { readonly ok: false; readonly rule: string };

const DIGEST = /^sha256:[0-9a-f]{64}$/;
const TAG = /^\w[\w.-]{0,127}$/;
const PATH_PART = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const HOST = /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*(?::[0-9]{1,5})?$/;
const DOCKER_HUB_HOSTS: readonly string[] = ['docker.io', 'index.docker.io', 'registry-1.docker.io'];
const MAX_NAME_LENGTH = 255;

const refuse = (rule: string): { readonly ok: false; readonly rule: string } => ({ ok: false, rule });

/** The first part of a name is a host if it looks like one: a dot, a port or `localhost`; else the image is of Docker Hub. */
function splitHost(name: string): { host: string; path: string } {
  const slash = name.indexOf('/');
  const first = slash === -1 ? '' : name.slice(0, slash);
  if (first.includes('.') || first.includes(':') || first === 'localhost') return { host: first, path: name.slice(slash + 1) };
  return { host: 'docker.io', path: name };
}

const kindOf = (host: string): RegistryKind => {
  if (DOCKER_HUB_HOSTS.includes(host)) return 'dockerhub';
  if (host === 'ghcr.io') return 'ghcr';
  return host === 'gcr.io' ? 'gcr' : 'other';
};

/** Takes a tag off the end of a name: what follows the last colon after the last slash. */
function splitTag(name: string): { path: string; tag: string | null } {
  const colon = name.indexOf(':', name.lastIndexOf('/') + 1);
  return colon === -1 ? { path: name, tag: null } : { path: name.slice(0, colon), tag: name.slice(colon + 1) };
}

/** An image as a configuration names it, before the operator's mapping. `path` is below the registry's host. */
type NamedImage = { readonly ok: true; readonly host: string; readonly path: string; readonly digest: string; readonly kind: RegistryKind };

/**
 * Reads an image as a configuration writes it: `[host/]path[:tag]@sha256:<64 hex>`. A tag is checked and left out: the digest decides. A name without a
 * host is of Docker Hub, and there a name of one part is below `library/`. Nothing is normalized beyond that: capital letters are refused.
 *
 * Rejects, in this order: no digest, not a sha256 digest, a bad tag, a name that is not one.
 * Source: the grammar of references of the OCI distribution specification.
 */
export function readImageName(image: string): NamedImage | { readonly ok: false; readonly rule: string } {
  const at = image.indexOf('@');
  if (at === -1) return refuse('must name its digest: a tag alone may change, so write name@sha256:<64 hexadecimal digits>');
  const digest = image.slice(at + 1);
  if (!DIGEST.test(digest)) return refuse('must end with @sha256: and 64 hexadecimal digits in lower case');
  const { host, path } = splitHost(image.slice(0, at));
  const named = splitTag(path);
  if (named.tag !== null && !TAG.test(named.tag)) return refuse('has a tag of other characters than letters, digits, `_`, `.` and `-`');
  if (!HOST.test(host)) return refuse('does not begin with the name of a registry host');
  const kind = kindOf(host);
  const written = kind === 'dockerhub' && !named.path.includes('/') ? `library/${named.path}` : named.path;
  const isPath = written.split('/').every((part) => PATH_PART.test(part));
  if (!isPath || written.length + host.length + 1 > MAX_NAME_LENGTH) {
    return refuse('is not an image name: parts of lower case letters, digits and single separators, at most 255 characters');
  }
  return { ok: true, host, path: written, digest, kind };
}

/**
 * Reads an image as a configuration writes it, and finds where it is pulled from. Names of ghcr.io, gcr.io and Docker Hub go to the hosts that are
 * declared for them; any other host must be on the operator's list as it is written.
 *
 * Rejects as {@link readImageName}, and then a host that is not on the list.
 */
export function resolveImage(image: string, registries: Registries): ImageResult {
  const named = readImageName(image);
  if (!named.ok) return named;
  const { host, path, digest, kind } = named;
  if (kind === 'other') {
    if (!registries.allow.includes(host)) return refuse('comes from a registry that the operator does not allow');
    return { ok: true, image: { host, repository: path, digest, kind } };
  }
  const [mappedHost = '', ...below] = registries[kind].split('/');
  return { ok: true, image: { host: mappedHost, repository: [...below, path].join('/'), digest, kind } };
}

/** The address of an image as programs write it, by its digest. */
export const imageAddress = (image: ImageRef): string => `${image.host}/${image.repository}@${image.digest}`;
