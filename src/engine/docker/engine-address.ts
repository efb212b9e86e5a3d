/** Certificates of a connection by TLS, as PEM text. */
export interface EngineTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Where an engine is. */
export type EngineAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly tls: EngineTls | null }
  | { readonly kind: 'ssh'; readonly host: string; readonly port: number | null; readonly user: string | null };

/** What is wrong with an address, in words that follow the name of the setting. */
export type AddressResult = { readonly ok: true; readonly address: EngineAddress } | { readonly ok: false; readonly rule: string };

const DEFAULT_TLS_PORT = 2376;
const SSH_USER = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;
/** No leading hyphen: the host is an argument of a program. */
const SSH_HOST = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})$/;

const refuse = (rule: string): AddressResult => ({ ok: false, rule });

/**
 * Reads the address of an engine: `unix:///path`, `tcp://host[:port]` (2376 unless named) or `ssh://[user@]host[:port]`.
 *
 * TCP needs certificates, unless the engine is on loopback: whoever reaches an engine without them is root on its machine. `tls` is refused
 * with the other two.
 */
export function parseEngineAddress(text: string, tls: EngineTls | null): AddressResult {
  if (text.startsWith('unix://')) {
    if (tls !== null) return refuse('takes no certificates with unix://');
    const path = text.slice('unix://'.length);
    return path.startsWith('/') ? { ok: true, address: { kind: 'unix', path } } : refuse('must be unix:// and an absolute path');
  }
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'tcp:' && url.protocol !== 'ssh:')) return refuse('must begin with unix://, tcp:// or ssh://');
  if (url.hostname === '' || url.password !== '' || url.search !== '' || url.hash !== '' || !['', '/'].includes(url.pathname)) {
    return refuse('must be a host and a port and nothing more');
  }
  return url.protocol === 'tcp:' ? tcpAddress(url, tls) : sshAddress(url, tls);
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '[::1]' || /^127(?:\.\d+){3}$/.test(host);

function tcpAddress(url: URL, tls: EngineTls | null): AddressResult {
  if (url.username !== '') return refuse('takes no user with tcp://');
  if (tls === null && !isLoopback(url.hostname)) return refuse('needs the certificates `tls` with tcp:// to another machine');
  const port = url.port === '' ? DEFAULT_TLS_PORT : Number(url.port);
  return { ok: true, address: { kind: 'tcp', host: url.hostname.replace(/^\[|\]$/g, ''), port, tls } };
}

function sshAddress(url: URL, tls: EngineTls | null): AddressResult {
  if (tls !== null) return refuse('takes no certificates with ssh://');
  if (!SSH_HOST.test(url.hostname)) return refuse('must name a host after ssh://');
  if (url.username !== '' && !SSH_USER.test(url.username)) return refuse('must name a user of letters, digits, `_`, `.` and `-`');
  const port = url.port === '' ? null : Number(url.port);
  return { ok: true, address: { kind: 'ssh', host: url.hostname, port, user: url.username === '' ? null : url.username } };
}
