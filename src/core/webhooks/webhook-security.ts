import type { PlainJson } from '../json/plain-json.ts';
import { accepted, rejected, type Outcome } from '../rejection.ts';
import { isInRange, meaningsOf, parseIp, parseRange, type IpRange } from './ip-ranges.ts';

/** Where webhooks may lead. Source: Cycles governance, `WebhookSecurityConfig`. */
export interface WebhookSecurity {
  readonly blockedCidrRanges: readonly string[];
  /** Globs of addresses; empty: every address that is not blocked. */
  readonly allowedUrlPatterns: readonly string[];
  readonly allowHttp: boolean;
}

/** The id of the setting that holds the {@link WebhookSecurity}; there is none until an operator changes it. */
export const WEBHOOK_SECURITY = 'webhook-security';

/**
 * What holds until an operator says otherwise: the ranges of the document, and the others that lead into a network of one's own: shared
 * address space (where some clouds keep their metadata), benchmarking and protocol assignments, and what IPv6 has of the kind.
 */
export const DEFAULT_WEBHOOK_SECURITY: WebhookSecurity = {
  blockedCidrRanges: [
    '10.0.0.0/8',
    '172.16.0.0/12',
    '192.168.0.0/16',
    '127.0.0.0/8',
    '169.254.0.0/16',
    '::1/128',
    'fc00::/7',
    '100.64.0.0/10',
    '192.0.0.0/24',
    '192.0.2.0/24',
    '198.18.0.0/15',
    '198.51.100.0/24',
    '203.0.113.0/24',
    'fe80::/10',
    'fec0::/10',
    '2001:db8::/32',
    '100::/64',
  ],
  allowedUrlPatterns: [],
  allowHttp: false,
};

const MAX_ENTRIES = 1000;
const MAX_ENTRY_LENGTH = 2048;

/** Ranges that no server has an address of its own in; whatever the operator allows, nothing is sent there. */
const NEVER: readonly IpRange[] = ['0.0.0.0/8', '224.0.0.0/4', '240.0.0.0/4', '::/128', 'ff00::/8'].flatMap(
  (text) => parseRange(text) ?? [],
);

/** Refuses a configuration that means nothing: `invalid_request` with the field. */
export function checkWebhookSecurity(security: WebhookSecurity): Outcome<WebhookSecurity> {
  const refuse = (field: string, message: string): Outcome<never> =>
    rejected({ code: 'invalid_request', message: `${field} ${message}`, field });
  for (const [field, entries] of [
    ['blocked_cidr_ranges', security.blockedCidrRanges],
    ['allowed_url_patterns', security.allowedUrlPatterns],
  ] as const) {
    if (entries.length > MAX_ENTRIES) return refuse(field, `must have at most ${MAX_ENTRIES} entries`);
    if (entries.some((entry) => entry.length > MAX_ENTRY_LENGTH))
      return refuse(field, `must hold entries of at most ${MAX_ENTRY_LENGTH} characters`);
  }
  const badRange = security.blockedCidrRanges.findIndex((text) => parseRange(text) === null);
  if (badRange >= 0) return refuse(`blocked_cidr_ranges.${badRange}`, 'must be a range such as 10.0.0.0/8 or fc00::/7');
  const badPattern = security.allowedUrlPatterns.findIndex((text) => splitPattern(text) === null);
  if (badPattern >= 0) return refuse(`allowed_url_patterns.${badPattern}`, 'must be a pattern such as https://*.example.com/*');
  return accepted(security);
}

/** What a setting's value says; the defaults where there is none. */
export function webhookSecurityOf(value: PlainJson | undefined): WebhookSecurity {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return DEFAULT_WEBHOOK_SECURITY;
  return { ...DEFAULT_WEBHOOK_SECURITY, ...(value as Partial<WebhookSecurity>) };
}

interface UrlPattern {
  readonly scheme: RegExp;
  readonly authority: RegExp;
  readonly rest: RegExp;
}

const PATTERN = /^([a-z*]+):\/\/([^/?#@\s]+)(\/[^#\s]*)?$/i;

const globOf = (glob: string, any: string): RegExp =>
  new RegExp(
    `^${glob
      .split('*')
      .map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'))
      .join(any)}$`,
    'i',
  );

/** Takes a glob apart, so that a `*` in the host never reaches into the path: `https://*.example.com/*` must not match another host. */
function splitPattern(pattern: string): UrlPattern | null {
  const parts = PATTERN.exec(pattern);
  if (parts === null) return null;
  const [, scheme = '', authority = '', rest = '/*'] = parts;
  return { scheme: globOf(scheme, '[a-z]*'), authority: globOf(authority, '[^/?#@]*'), rest: globOf(rest, '.*') };
}

/** Whether an address in its canonical form (`URL.href`, with its parts) matches a glob. */
const matchesPattern = (url: URL, { scheme, authority, rest }: UrlPattern): boolean =>
  scheme.test(url.protocol.slice(0, -1)) &&
  (authority.test(url.host) || authority.test(url.hostname)) &&
  rest.test(url.pathname + url.search);

/** What is an address as it stands: parsers of browsers make one of much more, and may not agree on the host. */
const ADDRESS = /^https?:\/\/[^\s\\/?#]+(?:[/?#][^\s\\]*)?$/i;

const refuseUrl = (message: string): Outcome<never> => rejected({ code: 'webhook_url_invalid', message, field: 'url' });

/**
 * Checks what can be told of an address without asking anybody: its form, scheme, the allowed patterns, and a host that is an IP address.
 * The value is the address taken apart. Rejects: `webhook_url_invalid`. Source: Cycles governance, `WebhookSubscription.url`.
 */
export function checkWebhookUrl(text: string, security: WebhookSecurity): Outcome<URL> {
  const url = ADDRESS.test(text) ? URL.parse(text) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) return refuseUrl('url must be an absolute https address');
  if (url.protocol === 'http:' && !security.allowHttp) return refuseUrl('url must be an https address: the operator has not allowed http');
  if (url.username !== '' || url.password !== '') return refuseUrl('url must not hold a user name or password: use headers');
  if (url.hash !== '') return refuseUrl('url must not hold a fragment');
  const patterns = security.allowedUrlPatterns.flatMap((pattern) => splitPattern(pattern) ?? []);
  if (security.allowedUrlPatterns.length > 0 && !patterns.some((pattern) => matchesPattern(url, pattern)))
    return refuseUrl('url matches none of the allowed patterns');
  const address = addressIn(url);
  if (address !== null && isBlockedAddress(address, security)) return refuseUrl('url leads to an address that is blocked');
  return accepted(url);
}

/** The IP address that stands as the host of an address; null for a name, which somebody has to resolve. */
export function addressIn(url: URL): string | null {
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
  return parseIp(host) === null ? null : host;
}

/** Whether nothing may be sent to an IP address. What is no address is blocked: nobody knows where it leads. */
export function isBlockedAddress(text: string, security: WebhookSecurity): boolean {
  const address = parseIp(text);
  if (address === null) return true;
  const ranges = [...NEVER, ...security.blockedCidrRanges.flatMap((range) => parseRange(range) ?? [])];
  return meaningsOf(address).some((meaning) => ranges.some((range) => isInRange(meaning, range)));
}
