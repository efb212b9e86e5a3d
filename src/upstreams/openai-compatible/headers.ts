/** The caller's headers that go upstream. Everything else stays here: credentials, cookies, subject headers, what names the caller. */
const REQUEST_HEADERS = ['accept', 'content-type', 'openai-beta'] as const;

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

/** The headers of the upstream request: those on the list, no compression, and our credential. */
export function requestHeaders(
  callerHeaders: Readonly<Record<string, string | readonly string[] | undefined>>,
  apiKey: string | null,
): Record<string, string> {
  // Scanning a compressed stream would cost a decompression and delay each event until its block is full.
  const headers: Record<string, string> = { 'accept-encoding': 'identity' };
  for (const name of REQUEST_HEADERS) {
    const value = callerHeaders[name];
    if (typeof value === 'string') headers[name] = value;
  }
  carryTraceContext(callerHeaders, headers);
  if (apiKey !== null) headers['authorization'] = `Bearer ${apiKey}`;
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

/** The answer's headers that the caller may see. */
export function responseHeaders(headers: Readonly<Record<string, string | readonly string[] | undefined>>): Record<string, string> {
  const allowed: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && RESPONSE_HEADERS.has(name)) allowed[name] = typeof value === 'string' ? value : value.join(', ');
  }
  return allowed;
}

/** One header's value as text; null if it is absent. */
export function headerText(value: string | readonly string[] | undefined): string | null {
  if (value === undefined) return null;
  return typeof value === 'string' ? value : value.join(', ');
}
