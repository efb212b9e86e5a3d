import { parseAmounts, requestBody } from './exact-json.ts';
import { ApiError, ServerUnreachable } from './errors.ts';

/** The part of `fetch` that the client needs. */
export type Send = (url: string, init: { method: string; headers: Record<string, string>; body?: string }) => Promise<Answer>;

/** The part of a `Response` that the client needs. */
interface Answer {
  readonly status: number;
  text(): Promise<string>;
}

/** Where a request goes. `query` values that are undefined are left out. */
export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: object;
}

/** Sends one request to an API and gives what the answer's body says. */
export type Ask = <T>(call: Call) => Promise<T>;

/** Which API is asked, and as whom: what stands before every path, and the headers of every request. */
export interface Access {
  readonly baseUrl: string;
  readonly prefix: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly send: Send;
}

/**
 * Makes the way to an API of the control plane at `baseUrl`. Throws an {@link ApiError} for an answer of 400 and above, and a
 * {@link ServerUnreachable} where there is none, or none of ours.
 */
export function makeAsk(options: Access): Ask {
  const baseUrl = options.baseUrl.replace(/\/+$/, '');
  return async <T>({ method, path, query = {}, body }: Call): Promise<T> => {
    const given = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
    const search = given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
    const headers: Record<string, string> = { accept: 'application/json', ...options.headers };
    if (body !== undefined) headers['content-type'] = 'application/json';
    const init = { method, headers, ...(body === undefined ? {} : { body: requestBody(body) }) };
    let status: number;
    let text: string;
    try {
      const answer = await options.send(`${baseUrl}${options.prefix}${path}${search}`, init);
      ({ status } = answer);
      text = await answer.text();
    } catch (cause) {
      throw new ServerUnreachable({ baseUrl, reason: reasonOf(cause), cause });
    }
    if (status === 204) return undefined as T;
    const value = parsed(text);
    if (status >= 400) throw refusalOf(status, value, { baseUrl, api: options.prefix });
    if (value === undefined) throw new ServerUnreachable({ baseUrl, reason: 'the answer is no JSON' });
    // The server's answers are what this client's types say; its own tests hold the two together.
    return value as T;
  };
}

function parsed(text: string): unknown {
  try {
    return parseAmounts(text);
  } catch {
    return undefined;
  }
}

function refusalOf(status: number, value: unknown, { baseUrl, api }: { readonly baseUrl: string; readonly api: string }): Error {
  const {
    error,
    message,
    code,
    request_id: requestId,
  } = (value ?? {}) as {
    error?: unknown;
    message?: unknown;
    code?: unknown;
    request_id?: unknown;
  };
  if (typeof error !== 'string' || typeof message !== 'string')
    return new ServerUnreachable({ baseUrl, reason: `status ${status} without a reason` });
  // The operator's own API has its word for the kind of refusal in `error`, the Tinfoil surface in `code`.
  return new ApiError({
    status,
    code: typeof code === 'string' ? code : error,
    message,
    requestId: typeof requestId === 'string' ? requestId : null,
    api,
  });
}

/** The system's word for a failed connection: `fetch` hides it behind a cause, and tries several addresses of one name. */
function reasonOf(error: unknown): string {
  const { cause, code } = (error ?? {}) as { cause?: unknown; code?: unknown };
  if (typeof code === 'string') return code;
  const errors = (cause as { errors?: unknown } | undefined)?.errors;
  if (Array.isArray(errors) && errors.length > 0) return reasonOf(errors[0]);
  if (cause !== undefined && cause !== null) return reasonOf(cause);
  return error instanceof Error ? error.message : String(error);
}
