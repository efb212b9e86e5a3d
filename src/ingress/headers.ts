import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';

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
  readonly proto: 'http' | 'https';
}

/** Tells who sends a request. */
export type SenderOf = (request: Pick<IncomingMessage, 'headers' | 'socket'>) => Sender;

/** Whether an address is in a list. */
export type IsIn = (address: string) => boolean;

/** An address that a socket tells, in its own family: IPv4 comes as IPv6 where a listener takes both. */
const plainAddress = (address: string): string => address.replace(/^::ffff:(?=[0-9.]+$)/, '');

/** Makes what tells whether the address of a socket is one of `networks`: addresses, and networks such as `10.0.0.0/8`. */
export function makeIsIn(networks: readonly string[]): IsIn {
  const list = new BlockList();
  const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4');
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    if (bits === undefined) list.addAddress(address, familyOf(address));
    else list.addSubnet(address, Number(bits), familyOf(address));
  }
  return (given) => {
    const address = plainAddress(given);
    return isIP(address) !== 0 && list.check(address, familyOf(address));
  };
}

/**
 * Makes what tells who sends a request: whoever is at the other end, by plain HTTP. Where `isTrusted` says that it is a proxy of ours, it is believed that it
 * took the request by TLS (`X-Forwarded-Proto: https`), and from whom: the last address of `X-Forwarded-For`, which is the one that it saw itself.
 */
export const makeSenderOf =
  (isTrusted: IsIn): SenderOf =>
  ({ headers, socket }) => {
    const address = socket.remoteAddress ?? '';
    const { host = '' } = headers;
    if (!isTrusted(address)) return { address, host, proto: 'http' };
    const seen = String(headers['x-forwarded-for'] ?? '')
      .split(',')
      .at(-1)
      ?.trim();
    const proto = headers['x-forwarded-proto'] === 'https' ? 'https' : 'http';
    return { address: seen === undefined || isIP(seen) === 0 ? address : seen, host, proto };
  };

/** Whether a request brings a body. */
export function hasBody({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) !== 0);
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
  passed.push('x-forwarded-for', sender.address, 'x-forwarded-host', sender.host, 'x-forwarded-proto', sender.proto);
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
