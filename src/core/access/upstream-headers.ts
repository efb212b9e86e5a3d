/** RFC 9110's `token`, no longer than a header's name is anywhere. */
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/;
/** Visible ASCII, with blanks inside: no line break can be smuggled in, and nothing is trimmed on the way. */
const VALUE = /^[\x21-\x7e](?:[\x20-\x7e]{0,4094}[\x21-\x7e])?$/;
const MAX_HEADERS = 32;

/**
 * Headers that belong to one connection or describe the body as we send it (RFC 9110, sections 6.4 and 7.6), and those by which an answer
 * would come in a form that cannot be metered as it passes.
 */
const OURS: ReadonlySet<string> = new Set([
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * The rule that the names of an upstream's headers break, as words that complete "must ..."; null where they break none. Names are
 * compared without regard to case.
 */
export function headerNamesFault(names: readonly string[]): string | null {
  if (names.length > MAX_HEADERS) return `hold at most ${MAX_HEADERS} headers`;
  const seen = new Set<string>();
  for (const name of names) {
    if (!NAME.test(name)) return 'have names of 1 to 100 letters, digits, hyphens and the other characters of an HTTP token';
    const lower = name.toLowerCase();
    if (OURS.has(lower)) return `not hold ${lower}: that header belongs to the connection or to the body`;
    if (seen.has(lower)) return `name each header once, but ${lower} stands there twice`;
    seen.add(lower);
  }
  return null;
}

/**
 * The rule that an upstream's headers break, names first; null where they break none. Values may be credentials: no complaint shows one.
 * The configuration file and the operator API ask the same question here.
 */
export function upstreamHeadersFault(headers: Readonly<Record<string, string>>): string | null {
  const fault = headerNamesFault(Object.keys(headers));
  if (fault !== null) return fault;
  const bad = Object.entries(headers).find(([, value]) => !VALUE.test(value));
  return bad === undefined ? null : `give ${bad[0]} a value of 1 to 4096 visible ASCII characters, with blanks inside only`;
}

/** Whether the headers log on by `Authorization`, which is not to be given beside an `api_key`: nobody could tell which one counts. */
export const logsOn = (names: readonly string[]): boolean => names.some((name) => name.toLowerCase() === 'authorization');
