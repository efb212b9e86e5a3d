import type { IncomingHttpHeaders } from 'node:http';

/** Headers that are for one connection only. Source: RFC 9110 section 7.6.1. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** What says where a request comes from: only the ingress says so. */
const FORWARDED = new Set(['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port', 'x-real-ip']);

/** Who sends a request, and how. */
export interface Sender {
  readonly address: string;
  readonly host: string;
}

const NONE: ReadonlySet<string> = new Set();

/** The headers that a connection names as its own. Most name none. */
function namedByConnection(value: string | undefined): ReadonlySet<string> {
  if (value === undefined || value === 'keep-alive' || value === 'close') return NONE;
  return new Set(value.split(',').map((name) => name.trim().toLowerCase()));
}

/**
 * The headers that go on to a unit, as pairs in one list: all but those of the connection and what others say of where it comes from. `keep` are
 * names that go on all the same.
 */
export function requestHeaders(
  raw: readonly string[],
  connection: string | undefined,
  sender: Sender,
  keep: readonly string[] = [],
): string[] {
  const named = namedByConnection(connection);
  const passed: string[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? '';
    const lower = name.toLowerCase();
    const isOfConnection = HOP_BY_HOP.has(lower) || named.has(lower) || lower === 'expect';
    if ((isOfConnection && !keep.includes(lower)) || FORWARDED.has(lower)) continue;
    passed.push(name, raw[index + 1] ?? '');
  }
  passed.push('x-forwarded-for', sender.address, 'x-forwarded-host', sender.host, 'x-forwarded-proto', 'http');
  return passed;
}

/** The headers of a unit's answer that go on to the client. */
export function answerHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const named = namedByConnection(typeof headers.connection === 'string' ? headers.connection : undefined);
  const passed: Record<string, string | string[]> = {};
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    if (value !== undefined && !HOP_BY_HOP.has(name) && !named.has(name)) passed[name] = value;
  }
  return passed;
}
