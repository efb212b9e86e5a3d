import type { Octokit } from 'octokit';
import { SourceFault } from '../../ports/release-source.ts';

/** How far a look at GitHub may go. Sizes in bytes, lengths in milliseconds. */
export interface GithubLimits {
  /** For everything that is asked about one release. */
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
  readonly maxConfigBytes: number;
}

/** GitHub answered that there is no such thing, or that it is not to be seen: it tells the two apart for nobody. */
export const MISSING = Symbol('missing');
/** GitHub does not let this server see it, or do it. */
export const FORBIDDEN = Symbol('forbidden');
/** It is as it was when it was asked for last. */
export const UNCHANGED = Symbol('unchanged');

/** What a question came to: GitHub's JSON, unchecked. */
export type GithubAnswer = { readonly [name: string]: unknown } | typeof MISSING | typeof FORBIDDEN;

/** Asks one of GitHub's routes, as its documentation writes them. Throws a {@link SourceFault}. */
export type AskGithub = (route: string, parameters: Readonly<Record<string, string | number>>) => Promise<GithubAnswer>;

/** Asks only for what is not as the answer with that tag was: questions that nothing came of do not count against the limit. */
export type AskChanged = (
  route: string,
  parameters: Readonly<Record<string, string | number>>,
  etag: string | null,
) => Promise<{ readonly etag: string | null; readonly answer: GithubAnswer } | typeof UNCHANGED>;

/** What is asked with one credential. */
export interface GithubQuestions {
  readonly ask: AskGithub;
  readonly askChanged: AskChanged;
}

class AnswerTooLarge extends Error {}

/** The platform's fetch with answers that end: one that is larger than `maxBytes` fails instead of filling memory, one that takes longer is given up. */
export function boundedFetch({ maxAnswerBytes: maxBytes, timeoutMs }: Pick<GithubLimits, 'maxAnswerBytes' | 'timeoutMs'>): typeof fetch {
  return async (input, init) => {
    const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(init?.signal ? [init.signal] : [])]);
    const answer = await fetch(input, { ...init, signal });
    const { body } = answer;
    if (body === null) return answer;
    let bytes = 0;
    const count = new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        bytes += chunk.byteLength;
        if (bytes > maxBytes) controller.error(new AnswerTooLarge(`more than ${maxBytes} bytes`));
        else controller.enqueue(chunk);
      },
    });
    const bounded = new Response(body.pipeThrough(count), {
      status: answer.status,
      statusText: answer.statusText,
      headers: answer.headers,
    });
    // Octokit reads where an answer came from, which a response that is made here does not know.
    Object.defineProperty(bounded, 'url', { value: answer.url });
    return bounded;
  };
}

/** What a failed request tells; of the library's error no more is kept, since it holds the request with its headers. */
function readError(err: unknown): {
  readonly status: number | null;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
} {
  const { status, response, message } = err as { status?: unknown; response?: { headers?: Record<string, unknown> }; message?: unknown };
  const hasAnswer = typeof status === 'number' && response !== undefined;
  return { status: hasAnswer ? status : null, headers: response?.headers ?? {}, text: String(message).slice(0, 200) };
}

/** Seconds until a limit of requests is over, as GitHub tells them; null where no limit is the reason. */
function limitedForS(status: number, headers: Readonly<Record<string, unknown>>, nowMs: number): number | null {
  const retryAfter = Number(headers['retry-after'] ?? Number.NaN);
  if (Number.isFinite(retryAfter)) return Math.max(1, Math.ceil(retryAfter));
  if (status !== 429 && String(headers['x-ratelimit-remaining']) !== '0') return null;
  const reset = Number(headers['x-ratelimit-reset'] ?? Number.NaN);
  return Number.isFinite(reset) ? Math.max(1, Math.ceil(reset - nowMs / 1000)) : 60;
}

/**
 * Makes the questions that are asked with one credential. None is asked a second time. A 404 and a 403 without a used-up limit are answers; all else that is
 * not good is thrown as a fault with a sentence for the owner of the container: a credential that is not taken, a limit that is used up, an answer that does
 * not come.
 */
export function makeAskGithub(deps: {
  readonly octokit: Pick<Octokit, 'request'>;
  readonly signal: AbortSignal;
  /** Only to tell how long a limit lasts yet. */
  readonly nowMs: () => number;
  /** What the operator declared, for the case that GitHub does not take it. */
  readonly credential?: string;
  /** Called where GitHub does not take the credential. */
  readonly onRefused?: () => void;
}): GithubQuestions {
  const { octokit, signal, credential = 'token' } = deps;

  async function send(route: string, parameters: Readonly<Record<string, unknown>>): ReturnType<AskChanged> {
    try {
      const { data, headers, status } = (await octokit.request(route, { ...parameters, request: { signal } })) as {
        readonly data: unknown;
        readonly headers: { readonly etag?: string };
        readonly status: number;
      };
      if (typeof data === 'object' && data !== null) {
        return { etag: headers.etag ?? null, answer: data as { readonly [name: string]: unknown } };
      }
      // The library gives what it has of an answer that was cut off.
      if (signal.aborted) throw unanswered(route, true, '');
      throw githubFault(route, { message: `${status} without a JSON object`, publicMessage: 'GitHub gave an answer that cannot be read' });
    } catch (err) {
      if ((err as { status?: unknown }).status === 401) deps.onRefused?.();
      return readFailure(route, err, { ...deps, credential });
    }
  }

  return {
    askChanged: (route, parameters, etag) =>
      send(route, { ...parameters, ...(etag === null ? {} : { headers: { 'if-none-match': etag } }) }),
    ask: async (route, parameters) => {
      const sent = await send(route, parameters);
      if (sent !== UNCHANGED) return sent.answer;
      throw githubFault(route, { message: '304', publicMessage: 'GitHub gave an answer that cannot be read' });
    },
  };
}

/** What a failed question means: an answer, or a fault that is thrown. */
function readFailure(
  route: string,
  err: unknown,
  at: { readonly signal: AbortSignal; readonly nowMs: () => number; readonly credential: string },
): Awaited<ReturnType<AskChanged>> {
  if (err instanceof SourceFault) throw err;
  const { status, headers, text } = readError(err);
  if (status === null) throw unanswered(route, at.signal.aborted || isTimeout(err), text);
  if (status === 304) return UNCHANGED;
  const limitedS = status === 403 || status === 429 ? limitedForS(status, headers, at.nowMs()) : null;
  if (limitedS !== null) throw limited(route, status, limitedS);
  if (status === 404) return { etag: null, answer: MISSING };
  // A repository that was taken down, or whose access is blocked; something that may not be done.
  if (status === 403 || status === 422 || status === 451) return { etag: null, answer: FORBIDDEN };
  throw refused(route, status, at.credential);
}

/** Whether the time that our own fetch gives an answer was over. */
const isTimeout = (err: unknown): boolean => {
  const { name, cause } = err as { name?: unknown; cause?: { name?: unknown } };
  return name === 'TimeoutError' || cause?.name === 'TimeoutError';
};

/** A fault in what GitHub answered to a question. */
export function githubFault(
  route: string,
  told: { readonly message: string; readonly publicMessage: string; readonly retryAfterMs?: number },
): SourceFault {
  return new SourceFault({ ...told, isTimeout: false, message: `GitHub, ${route}: ${told.message}` });
}

const unanswered = (route: string, isLate: boolean, text: string): SourceFault =>
  new SourceFault({
    isTimeout: isLate,
    message: `GitHub, ${route}: ${isLate ? 'no answer in time' : text}`,
    publicMessage: isLate ? 'GitHub takes too long to answer' : 'GitHub could not be reached, or gave an answer that cannot be read',
  });

const limited = (route: string, status: number, forS: number): SourceFault =>
  githubFault(route, {
    message: `${status}, limited for ${forS} s`,
    publicMessage: `GitHub takes no more requests of this server for now: try again in ${forS} s`,
    retryAfterMs: forS * 1000,
  });

const refused = (route: string, status: number, credential: string): SourceFault =>
  githubFault(route, {
    message: String(status),
    publicMessage:
      status === 401
        ? `GitHub does not take the ${credential} of this server: its operator has to declare another one`
        : `GitHub answered with status ${status}: try again later`,
  });
