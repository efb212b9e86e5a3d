import { Agent, request as send } from 'undici';

/** An answer that was read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly trailers: Readonly<Record<string, string>>;
  /** The body parsed as JSON; throws where it is none. */
  json<T = Record<string, unknown>>(): T;
}

/** What a request is made of. An object as `body` is sent as JSON with its content type; text and bytes go as they are. */
export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Called as soon as the head of the answer is there. */
  readonly onHead?: (status: number, headers: Answer['headers']) => void;
  readonly signal?: AbortSignal;
}

/** Sends requests over a pool of connections of its own. Rejects where the connection breaks before the end of the answer. */
export interface HttpClient {
  ask(url: string, options?: Ask): Promise<Answer>;
  close(): Promise<void>;
}

/** Makes a client with at most `connections` connections to each server. */
export function makeHttpClient(options: { readonly connections?: number } = {}): HttpClient {
  const agent = new Agent({ connections: options.connections ?? 64, pipelining: 1, headersTimeout: 120_000, bodyTimeout: 120_000 });
  return {
    ask: async (url, { method = 'GET', headers = {}, body, onHead, signal } = {}) => {
      const isRaw = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
      const response = await send(url, {
        method,
        headers: isRaw ? headers : { 'content-type': 'application/json', ...headers },
        body: isRaw ? (body ?? null) : JSON.stringify(body),
        dispatcher: agent,
        ...(signal === undefined ? {} : { signal }),
      });
      onHead?.(response.statusCode, response.headers);
      const text = await response.body.text();
      return {
        status: response.statusCode,
        headers: response.headers,
        text,
        trailers: response.trailers,
        json: <T>() => JSON.parse(text) as T,
      };
    },
    close: () => agent.destroy(),
  };
}

/** The header of a bearer credential. */
export const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });

/** The header of the operator's credential. */
export const operator = (key: string): Record<string, string> => ({ 'x-admin-api-key': key });
