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
/** GitHub does not let this server see it. */
export const FORBIDDEN = Symbol('forbidden');

/** What a question came to: GitHub's JSON, unchecked. */
export type GithubAnswer = { readonly [name: string]: unknown } | typeof MISSING | typeof FORBIDDEN;

/** Asks one of GitHub's routes, as its documentation writes them. Throws a {@link SourceFault}. */
export type AskGithub = (route: string, parameters: Readonly<Record<string, string>>) => Promise<GithubAnswer>;

class AnswerTooLarge extends Error {}

/** The platform's fetch with answers that end: one that is larger than `maxBytes` fails instead of filling memory. */
export function boundedFetch(maxBytes: number): typeof fetch {
  return async (input, init) => {
    const answer = await fetch(input, init);
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
 * Makes the questions about one repository. None is asked a second time. A 404 and a 403 without a used-up limit are answers; all else that is not good
 * is thrown as a fault with a sentence for the owner of the container: a token that is not taken, a limit that is used up, an answer that does not come.
 */
export function makeAskGithub(deps: {
  readonly octokit: Pick<Octokit, 'request'>;
  readonly signal: AbortSignal;
  /** Only to tell how long a limit lasts yet. */
  readonly nowMs: () => number;
}): AskGithub {
  const { octokit, signal } = deps;
  return async (route, parameters) => {
    try {
      const answer = await octokit.request(route, { ...parameters, request: { signal } });
      const data: unknown = answer.data;
      if (typeof data === 'object' && data !== null) return data as { readonly [name: string]: unknown };
      // The library gives what it has of an answer that was cut off.
      if (signal.aborted) throw unanswered(route, true, '');
      throw fault(route, { message: `${answer.status} without a JSON object`, publicMessage: 'GitHub gave an answer that cannot be read' });
    } catch (err) {
      if (err instanceof SourceFault) throw err;
      const { status, headers, text } = readError(err);
      if (status === null) throw unanswered(route, signal.aborted, text);
      const limitedS = status === 403 || status === 429 ? limitedForS(status, headers, deps.nowMs()) : null;
      if (limitedS !== null) throw limited(route, status, limitedS);
      if (status === 404) return MISSING;
      // A repository that was taken down, or whose access is blocked.
      if (status === 403 || status === 451) return FORBIDDEN;
      throw refused(route, status);
    }
  };
}

function fault(
  route: string,
  told: { readonly message: string; readonly publicMessage: string; readonly retryAfterMs?: number },
): SourceFault {
  return new SourceFault({ ...told, isTimeout: false, message: `GitHub, ${route}: ${told.message}` });
}

const unanswered = (route: string, isTimeout: boolean, text: string): SourceFault =>
  new SourceFault({
    isTimeout,
    message: `GitHub, ${route}: ${isTimeout ? 'no answer in time' : text}`,
    publicMessage: isTimeout ? 'GitHub takes too long to answer' : 'GitHub could not be reached, or gave an answer that cannot be read',
  });

const limited = (route: string, status: number, forS: number): SourceFault =>
  fault(route, {
    message: `${status}, limited for ${forS} s`,
    publicMessage: `GitHub takes no more requests of this server for now: try again in ${forS} s`,
    retryAfterMs: forS * 1000,
  });

const refused = (route: string, status: number): SourceFault =>
  fault(route, {
    message: String(status),
    publicMessage:
      status === 401
        ? 'GitHub does not take the token of this server: its operator has to declare another one'
        : `GitHub answered with status ${status}: try again later`,
  });
