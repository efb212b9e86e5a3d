import { USAGE_ANSWER_HEADER, USAGE_REQUEST_HEADER } from '../../core/metering/usage-header.ts';
import type { Dialect } from '../../core/records.ts';
import { ENCAPSULATED_KEY_HEADER, RESPONSE_NONCE_HEADER } from '../../core/sealed/protocol.ts';

/** The caller's headers that go upstream. Everything else stays here: credentials, cookies, subject headers, what names the caller. */
const REQUEST_HEADERS: Readonly<Record<Dialect, readonly string[]>> = {
  openai: ['accept', 'content-type', 'openai-beta'],
  anthropic: ['accept', 'content-type', 'anthropic-version', 'anthropic-beta'],
};

/** What goes along with a sealed body, to the upstream and back. Source: Tinfoil reference, sections 5 and 6. */
const SEALED_REQUEST_HEADERS = [ENCAPSULATED_KEY_HEADER];
const SEALED_RESPONSE_HEADERS: ReadonlySet<string> = new Set([RESPONSE_NONCE_HEADER, USAGE_ANSWER_HEADER.toLowerCase()]);

/** Sent where the caller names no version; Anthropic refuses requests without one. */
const ANTHROPIC_VERSION = '2023-06-01';

/**
 * Headers of an answer that go to the caller. Not on the list, on purpose: rate limits and organization (ours, not the caller's), cookies,
 * connection headers, and the length and encoding of a body that may be changed on the way.
 */
const RESPONSE_HEADERS: ReadonlySet<string> = new Set([
  'cache-control',
  'content-language',
  'content-type',
  'openai-processing-ms',
  'openai-version',
  'retry-after',
]);

/**
 * The headers of the upstream request: those on the list of its API, with a sealed body those of the seal and the wish for its usage, no compression, our credential as that API wants it, and what was
 * declared for the upstream.
 */
export function requestHeaders(
  callerHeaders: Readonly<Record<string, string | readonly string[] | undefined>>,
  own: { readonly apiKey: string | null; readonly headers?: Readonly<Record<string, string>> },
  dialect: Dialect = 'openai',
  isSealed = false,
): Record<string, string> {
  // Scanning a compressed stream would cost a decompression and delay each event until its block is full.
  const headers: Record<string, string> = { 'accept-encoding': 'identity' };
  if (dialect === 'anthropic') headers['anthropic-version'] = ANTHROPIC_VERSION;
  if (isSealed) headers[USAGE_REQUEST_HEADER] = 'true';
  for (const name of isSealed ? [...REQUEST_HEADERS[dialect], ...SEALED_REQUEST_HEADERS] : REQUEST_HEADERS[dialect]) {
    const value = callerHeaders[name];
    if (typeof value === 'string') headers[name] = value;
  }
  carryTraceContext(callerHeaders, headers);
  if (own.apiKey !== null && dialect === 'anthropic') headers['x-api-key'] = own.apiKey;
  else if (own.apiKey !== null) headers['authorization'] = `Bearer ${own.apiKey}`;
  for (const [name, value] of Object.entries(own.headers ?? {})) headers[name.toLowerCase()] = value;
  return headers;
}

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
const TRACESTATE = /^[\x20-\x7e]{1,512}$/;

/** Passes the trace that a call belongs to on, where it is one. Source: W3C Trace Context, sections 3.2 and 3.3. */
function carryTraceContext(from: Readonly<Record<string, string | readonly string[] | undefined>>, to: Record<string, string>): void {
  const { traceparent, tracestate } = from;
  if (typeof traceparent !== 'string' || !TRACEPARENT.test(traceparent)) return;
  to['traceparent'] = traceparent;
  if (typeof tracestate === 'string' && TRACESTATE.test(tracestate)) to['tracestate'] = tracestate;
}

/** The answer's headers that the caller may see; of a sealed one those of the seal too, and what it says of its usage. */
export function responseHeaders(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  isSealed = false,
): Record<string, string> {
  const allowed: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && (RESPONSE_HEADERS.has(name) || (isSealed && SEALED_RESPONSE_HEADERS.has(name))))
      allowed[name] = typeof value === 'string' ? value : value.join(', ');
  }
  return allowed;
}

/** One header's value as text; null if it is absent. */
export function headerText(value: string | readonly string[] | undefined): string | null {
  if (value === undefined) return null;
  return typeof value === 'string' ? value : value.join(', ');
}
