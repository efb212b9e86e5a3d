import type { ShimConfig } from './config/container-config.ts';

/** What needs a key where a configuration says that some do and not which. Source: Tinfoil reference section 3, `authenticated-endpoints`. */
const DEFAULT_ENDPOINTS: readonly string[] = ['/v1/chat/completions'];
/** How often a path is decoded: no program behind us does it more often. What is still encoded then is refused. */
const MAX_DECODINGS = 4;
const ESCAPE = /%([0-9a-f]{2})/gi;

const utf8 = new TextEncoder();

/** The bytes of a text in UTF-8, one character each, so that a path compares the same whether its letters are escaped or not. */
function bytesOf(text: string): string {
  let bytes = '';
  for (const byte of utf8.encode(text)) bytes += String.fromCharCode(byte);
  return bytes;
}

const decode = (path: string, keep: (char: string) => boolean): string =>
  path.replace(ESCAPE, (escape, hex: string) => {
    const char = String.fromCharCode(Number.parseInt(hex, 16));
    return keep(char) ? escape.toLowerCase() : char;
  });

/** Escapes of these stand for themselves in the first reading: decoded they would be marks of a path. */
const isMark = (char: string): boolean => '/\\%?#;'.includes(char);
const isNothing = (): boolean => false;

/**
 * What programs may take a path for, of which one decodes every escape and another again: the escapes of marks left as they are; and all of them
 * decoded, once and more often. Null where decoding does not come to an end.
 */
function readingsOf(path: string): readonly string[] | null {
  const readings = [decode(bytesOf(path), isMark)];
  let last = bytesOf(path);
  for (let round = 0; round < MAX_DECODINGS; round += 1) {
    const next = decode(last, isNothing);
    if (next === last) return readings;
    readings.push(next);
    last = next;
  }
  return decode(last, isNothing) === last ? readings : null;
}

/**
 * `.` and `..`, also with parameters (`..;x`), which some programs cut off, or as one (`;..`), and between backslashes, which some take for slashes; and bytes that are in
 * no text but that some take for the longer form of a dot or slash.
 */
const hasDotSegment = (reading: string): boolean => /(?:^|[;/\\])\.{1,2}(?:[;/\\]|$)|[\u00c0\u00c1]/.test(reading);

/** Whether one reading of a path is what a pattern says: the same, or under it where it ends with `*`. */
function matches(pattern: string, reading: string): boolean {
  if (!pattern.endsWith('*')) return reading === pattern;
  const prefix = pattern.slice(0, -1);
  if (!reading.startsWith(prefix)) return false;
  return prefix === '' || prefix.endsWith('/') || reading.length === prefix.length || reading[prefix.length] === '/';
}

/** Patterns as the readings are, with escapes of marks and without. */
const formsOf = (pattern: string): readonly string[] => [decode(bytesOf(pattern), isMark), decode(bytesOf(pattern), isNothing)];

const pathOf = (target: string): string => {
  const end = target.search(/[?#]/);
  return end === -1 ? target : target.slice(0, end);
};

/**
 * Whether a path of a request is among those that are let through. `path` is as the request line has it; a query is not looked at.
 *
 * A pattern is a path, or the beginning of one with `*`, which ends at the end of a segment: `/v1/chat*` is `/v1/chat` and `/v1/chat/x`, and not
 * `/v1/chats`. No patterns: every path. Letters count, and so does a slash at the end. A path that programs may take for different ones because of
 * escapes must be let through as each of them; one with `.` or `..` segments, in whatever disguise, never is. Source: Tinfoil reference section 3.
 */
export function pathAllowed(paths: readonly string[], path: string): boolean {
  if (paths.length === 0) return true;
  const readings = readingsOf(pathOf(path));
  if (readings === null || readings.some(hasDotSegment)) return false;
  const patterns = paths.flatMap(formsOf);
  return readings.every((reading) => patterns.some((pattern) => matches(pattern, reading)));
}

/** An origin as it is compared: in lower case, and without the port that goes without saying. */
function plainOrigin(origin: string): string {
  const lower = origin.toLowerCase();
  if (lower.startsWith('https://')) return lower.replace(/:443$/, '');
  return lower.startsWith('http://') ? lower.replace(/:80$/, '') : lower;
}

/**
 * Whether a page of that origin may send requests. `origin` is the `Origin` header; undefined: not a page, or one of the same origin. `origins` null:
 * there is no rule; empty: no page may; `*`: every page may. `null`, which pages without an origin send, is let through by `*` alone.
 */
export function originAllowed(origins: readonly string[] | null, origin: string | undefined): boolean {
  if (origins === null || origin === undefined) return true;
  const plain = plainOrigin(origin);
  return origins.some((allowed) => allowed === '*' || plainOrigin(allowed) === plain);
}

/** A segment without dots and spaces at its end. By steps: an expression would look at each of many dots anew. */
function withoutDots(segment: string): string {
  let end = segment.length;
  while (end > 0 && /[.\s]/.test(segment.charAt(end - 1))) end -= 1;
  return segment.slice(0, end);
}

/**
 * A path as forgiving programs route it: without letters' case, doubled slashes, parameters of segments and slashes at its end; without what follows an escaped
 * mark or NUL, where some take it to end; without dots and spaces at the end of segments, which some file systems leave out.
 */
const looseForm = (reading: string): string =>
  `/${reading
    .toLowerCase()
    .replace(/[?#\u0000].*$/s, '')
    .split(/[/\\]/)
    .map((segment) => withoutDots(segment.replace(/;.*$/s, '')))
    .filter((segment) => segment !== '')
    .join('/')}`;

/** As {@link looseForm}, of what a pattern says before its `*`. */
const loosePattern = (pattern: string): string => (pattern.endsWith('*') ? `${looseForm(pattern.slice(0, -1))}*` : looseForm(pattern));

/**
 * Whether a request needs an API key: always under a rate limit, which is counted by key; else where `authenticated` is set and the path is one of the
 * endpoints that need one. `authenticatedEndpoints` null: `/v1/chat/completions` alone; empty: none. Patterns as for {@link pathAllowed}.
 *
 * In doubt a key is needed: where any program might take the path for such an endpoint, with other letters' case, more slashes, parameters or
 * escapes; and for any path with dot segments, unless no endpoint needs a key. Source: Tinfoil reference section 3.
 */
export function needsKey(shim: Pick<ShimConfig, 'authenticated' | 'authenticatedEndpoints' | 'rateLimit'>, path: string): boolean {
  if (shim.rateLimit !== null) return true;
  if (!shim.authenticated) return false;
  const endpoints = shim.authenticatedEndpoints ?? DEFAULT_ENDPOINTS;
  if (endpoints.length === 0) return false;
  const readings = readingsOf(pathOf(path));
  if (readings === null || readings.some(hasDotSegment)) return true;
  const patterns = endpoints.flatMap(formsOf).map(loosePattern);
  return readings.some((reading) => patterns.some((pattern) => matches(pattern, looseForm(reading))));
}

/** What a key may still send at a moment. */
export interface TokenBucket {
  readonly tokens: number;
  readonly atMs: number;
}

/** Whether a request is let through, and the bucket after it. `retryAfterMs` is when the next one would be; 0 where this one is. */
interface TokenTaken {
  readonly allowed: boolean;
  readonly bucket: TokenBucket;
  readonly retryAfterMs: number;
}

/** A whole token, but for what fractions lose when they are added up. */
const ONE = 1 - 1e-9;

/** Requests that a key may send at once where the configuration does not say: those of a second, and one at least. */
const defaultBurst = (limit: number): number => Math.max(1, Math.ceil(limit));

/**
 * Takes a token for one request of a key. `bucket` null: the key's first. `limit` is requests a second, above 0; `burst` is how many a full bucket
 * holds, null for those of a second. A bucket that nobody has used for `burst / limit` seconds is full, and may be forgotten. A clock that goes back
 * adds nothing and takes nothing away.
 */
export function takeToken(bucket: TokenBucket | null, nowMs: number, limit: number, burst: number | null): TokenTaken {
  const capacity = burst ?? defaultBurst(limit);
  const gained = bucket === null ? capacity : (Math.max(0, nowMs - bucket.atMs) * limit) / 1000;
  const tokens = Math.min(capacity, (bucket?.tokens ?? 0) + gained);
  if (tokens >= ONE) return { allowed: true, bucket: { tokens: Math.max(0, tokens - 1), atMs: nowMs }, retryAfterMs: 0 };
  return { allowed: false, bucket: { tokens, atMs: nowMs }, retryAfterMs: Math.ceil(((1 - tokens) * 1000) / limit) };
}
