/** Why a call got no answer from any upstream, as its caller may learn it. */
export type CallFailureCode = 'upstream_failed' | 'upstream_timeout' | 'upstream_rate_limited';

/** What an upstream's status means for the call: relay the answer, pass the caller's own error on, or go on to the next upstream. */
export type UpstreamVerdict =
  | { readonly kind: 'answer' }
  | { readonly kind: 'caller_error' }
  | { readonly kind: 'failure'; readonly code: CallFailureCode };

const ANSWER: UpstreamVerdict = { kind: 'answer' };
const CALLER_ERROR: UpstreamVerdict = { kind: 'caller_error' };
const FAILED: UpstreamVerdict = { kind: 'failure', code: 'upstream_failed' };
const TIMED_OUT: UpstreamVerdict = { kind: 'failure', code: 'upstream_timeout' };
const RATE_LIMITED: UpstreamVerdict = { kind: 'failure', code: 'upstream_rate_limited' };

/**
 * Judges the status of an upstream's answer.
 *
 * 401, 402, 403 and 407 are about our credential there, not the caller's; redirects and informational codes are no answer to an
 * inference request. Source: architecture section 8.
 */
export function judgeStatus(status: number): UpstreamVerdict {
  if (status >= 200 && status < 300) return ANSWER;
  if (status === 429) return RATE_LIMITED;
  if (status === 408 || status === 504) return TIMED_OUT;
  if (status === 401 || status === 402 || status === 403 || status === 407) return FAILED;
  return status >= 400 && status < 500 ? CALLER_ERROR : FAILED;
}

/** An upstream's error in OpenAI's form, fit for the caller. */
export interface PassedError {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
}

/** Longer texts of an upstream's error are cut. */
const MAX_TEXT_CHARS = 2000;

/** Addresses, and words that look like a credential. What an upstream knows about itself is no business of the caller. */
const URL_LIKE = /\b[a-z][a-z0-9+.-]*:\/\/[^\s"'<>)\]}]+/gi;
const CREDENTIAL_LIKE = /\b(?:bearer\s+\S+|(?:sk|pk|rk|tk|mk|key|api|admin|token)[-_][\w*.-]{6,})/gi;
const HOST_LIKE = /\b(?:(?:\d{1,3}\.){3}\d{1,3}|localhost|(?:[a-z0-9-]+\.)+[a-z]{2,})(?::\d{1,5})\b/gi;

/**
 * The error of an upstream's 4xx body without anything that tells where the upstream is or how we log on to it: `secrets` (its key, its
 * host), every URL, every host with a port, and every word that looks like a credential. `rename` puts our name of the model in the place
 * of the upstream's. What is no error in OpenAI's form becomes a plain sentence.
 */
export function scrubbedError(
  body: unknown,
  options: {
    readonly status: number;
    readonly secrets: readonly string[];
    readonly rename: { readonly from: string; readonly to: string };
  },
): PassedError {
  const error = asObject(asObject(body)?.['error']) ?? asObject(body) ?? {};
  const plain = asObject(body)?.['error'];
  const scrub = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? scrubText(value, options) : null);
  return {
    message:
      scrub(error['message']) ?? scrub(plain) ?? scrub(error['detail']) ?? `The model refused the request with status ${options.status}.`,
    type: scrub(error['type']) ?? 'invalid_request_error',
    param: scrub(error['param']),
    code: scrub(error['code']),
  };
}

function scrubText(
  text: string,
  options: { readonly secrets: readonly string[]; readonly rename: { readonly from: string; readonly to: string } },
): string {
  // Whole addresses first: a host taken out of one would leave its port and path behind.
  let clean = text.slice(0, MAX_TEXT_CHARS);
  clean = clean.replace(URL_LIKE, '[removed]').replace(CREDENTIAL_LIKE, '[removed]').replace(HOST_LIKE, '[removed]');
  for (const secret of options.secrets) if (secret.length > 3) clean = clean.replaceAll(secret, '[removed]');
  const { from, to } = options.rename;
  return from.length < 3 || from === to ? clean : clean.replaceAll(from, to);
}

const asObject = (value: unknown): Readonly<Record<string, unknown>> | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
