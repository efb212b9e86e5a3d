import type Docker from 'dockerode';
import { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { inspect } from 'node:util';
import { EngineFault } from '../../ports/container-engine.ts';

export interface EngineRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  /** Path below the API's version, its parts encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  /** Plain JSON, or bytes of a tar archive. */
  readonly body?: object | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** Until the status and headers are there, and again until the whole body is; the adapter's own limit unless given. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface EngineAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** Parsed where it is JSON; else undefined. */
  readonly json: unknown;
  /** What the engine says of a failure; empty otherwise. */
  readonly said: string;
}

/** Requests to one engine. All throw `EngineFault` of kind `unreachable`, `timeout` or `aborted`, and answer whatever status came. */
export interface EngineRequests {
  send(request: EngineRequest): Promise<EngineAnswer>;
  /** The answer with its body unread. It must be read or destroyed. */
  open(request: EngineRequest): Promise<IncomingMessage>;
  /** A stream in both directions in the place of an answer; the answer where there is none. `close` ends the stream too. */
  upgrade(request: EngineRequest): Promise<Duplex | EngineAnswer>;
  close(): void;
}

export interface RequestLimits {
  /** For an engine's answer to an ordinary request. */
  readonly requestMs: number;
  /** For an answer's body, in bytes: listings of thousands of units fit. */
  readonly answerBytes: number;
}

/** A request that is on its way, and what ends it. */
interface Ending {
  readonly signal: AbortSignal;
  /** Why it was ended: null while it was not. */
  reason(): 'timeout' | 'aborted' | 'closed' | null;
  done(): void;
}

const UNREACHABLE = 'The host of the container cannot be reached.';
const TIMED_OUT = 'The host of the container did not answer in time.';
const ABORTED = 'The request to the host was given up.';

/** Every status is an answer: what it means is for whoever asked. */
const ANY_STATUS = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [i + 100, true]));
/** Least version of the API that is spoken, Docker 20.10's: all that is needed is in it. Newer engines may ask for a newer one. */
const OLDEST_VERSION = '1.41';

const numberOf = (version: string): number => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major * 1000 + minor;
};

/** Makes the requests of one engine over dockerode's connection. `host` names it in messages for logs. */
export function makeEngineRequests({ docker, agent, host, limits }: EngineRequestsOptions): EngineRequests {
  const dial = makeDial(docker.modem);
  const running = new Set<AbortController>();
  const upgraded = new Set<Duplex>();
  let closed = false;
  let version: Promise<string> | null = null;

  const begin = (request: EngineRequest, timeoutMs: number): Ending => {
    const controller = new AbortController();
    let reason: ReturnType<Ending['reason']> = closed ? 'closed' : null;
    const end = (why: NonNullable<typeof reason>): void => {
      reason ??= why;
      controller.abort();
    };
    const onAbort = (): void => end('aborted');
    const timer = setTimeout(() => end('timeout'), timeoutMs);
    if (request.signal?.aborted === true) end('aborted');
    else request.signal?.addEventListener('abort', onAbort);
    if (closed) controller.abort();
    running.add(controller);
    return {
      signal: controller.signal,
      reason: () => reason ?? (closed ? 'closed' : null),
      done: () => {
        clearTimeout(timer);
        request.signal?.removeEventListener('abort', onAbort);
        running.delete(controller);
      },
    };
  };

  const fault = (request: EngineRequest, reason: ReturnType<Ending['reason']>, cause: unknown): EngineFault => {
    const what = `${host}: ${request.method} ${request.path}`;
    if (reason === 'timeout')
      return new EngineFault({ kind: 'timeout', message: `${what} took too long`, publicMessage: TIMED_OUT, cause });
    if (reason === 'aborted') return new EngineFault({ kind: 'aborted', message: `${what} was given up`, publicMessage: ABORTED, cause });
    // Another engine may answer at this address from now on.
    version = null;
    const why = reason === 'closed' ? 'the connection was closed by us' : textOf(cause);
    return new EngineFault({ kind: 'unreachable', message: `${what}: ${why}`, publicMessage: UNREACHABLE, cause });
  };

  const negotiate = (): Promise<string> => {
    version ??= (async () => {
      const answer = await sendAs({ method: 'GET', path: '/version' }, null);
      const { MinAPIVersion: least = OLDEST_VERSION } = (answer.json ?? {}) as { MinAPIVersion?: string };
      return numberOf(least) > numberOf(OLDEST_VERSION) ? least : OLDEST_VERSION;
    })();
    const asked = version;
    asked.catch(() => {
      if (version === asked) version = null;
    });
    return asked;
  };

  const during = async <T>(request: EngineRequest, work: (ending: Ending) => Promise<T>): Promise<T> => {
    const ending = begin(request, request.timeoutMs ?? limits.requestMs);
    try {
      return await work(ending);
    } catch (error) {
      throw fault(request, ending.reason(), error);
    } finally {
      ending.done();
    }
  };

  const sendAs = (request: EngineRequest, apiVersion: string | null): Promise<EngineAnswer> =>
    during(request, async (ending) => readWhole(await dial(request, apiVersion, ending), ending, limits.answerBytes));

  return {
    send: async (request) => sendAs(request, await negotiate()),
    open: async (request) => {
      const apiVersion = await negotiate();
      return during(request, (ending) => dial(request, apiVersion, ending));
    },
    upgrade: async (request) => {
      const apiVersion = await negotiate();
      return during(request, async (ending) => {
        const answer = await dial<IncomingMessage | Duplex>(request, apiVersion, ending, true);
        if (answer instanceof IncomingMessage) return readWhole(answer, ending, limits.answerBytes);
        upgraded.add(answer);
        // Whoever reads or writes hears of what breaks by the stream's end.
        answer.on('error', () => undefined).once('close', () => upgraded.delete(answer));
        return answer;
      });
    },
    close: () => {
      closed = true;
      for (const controller of running) controller.abort();
      for (const stream of upgraded) stream.destroy();
      agent.destroy();
    },
  };
}

export interface EngineRequestsOptions {
  readonly docker: Docker;
  readonly agent: { destroy(): void };
  readonly host: string;
  readonly limits: RequestLimits;
}

/** The connection layer below dockerode's methods, which the published types leave open. */
interface Modem {
  dial(
    options: {
      path: string;
      method: string;
      isStream: boolean;
      hijack: boolean;
      abortSignal: AbortSignal;
      statusCodes: Record<number, boolean>;
      headers: Record<string, string>;
      file?: Buffer;
      options?: { _body: object; _query: object };
    },
    callback: (error: Error | null, answer: unknown) => void,
  ): void;
}

const textOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/** Sends a request on its way; the value is the answer with its body unread, or with `hijack` perhaps a stream in its place. */
const makeDial =
  (modem: Modem) =>
  <T extends IncomingMessage | Duplex = IncomingMessage>(
    request: EngineRequest,
    apiVersion: string | null,
    ending: Ending,
    hijack = false,
  ): Promise<T> =>
    new Promise((resolve, reject) => {
      const query = new URLSearchParams(Object.entries(request.query ?? {}).map(([name, value]) => [name, String(value)])).toString();
      const path = `${apiVersion === null ? '' : `/v${apiVersion}`}${request.path}${query === '' ? '' : `?${query}&`}`;
      // The connection layer may not call back when it is ended in an unlucky moment.
      ending.signal.addEventListener('abort', () => reject(new Error('ended')));
      if (ending.signal.aborted) return reject(new Error('ended'));
      const { body } = request;
      modem.dial(
        {
          path,
          method: request.method,
          isStream: true,
          hijack,
          abortSignal: ending.signal,
          statusCodes: ANY_STATUS,
          // The connection layer writes headers out for its debug log, and one may hold a password.
          headers: {
            [inspect.custom]: () => 'headers',
            ...request.headers,
            ...(body instanceof Uint8Array ? { 'Content-Type': 'application/x-tar' } : {}),
          },
          ...(body instanceof Uint8Array ? { file: Buffer.from(body) } : {}),
          ...(body === undefined || body instanceof Uint8Array ? {} : { options: { _body: body, _query: {} } }),
        },
        (error, answer) => (error === null ? resolve(answer as T) : reject(error)),
      );
    });

/** An answer with its whole body. */
async function readWhole(answer: IncomingMessage, ending: Ending, maxBytes: number): Promise<EngineAnswer> {
  ending.signal.addEventListener('abort', () => answer.destroy(new Error('ended')));
  const text = await readText(answer, maxBytes);
  if (ending.reason() !== null) throw new Error('ended');
  const json = parseJson(text);
  const status = answer.statusCode ?? 0;
  return { status, headers: answer.headers, json, said: status < 400 ? '' : saidBy(json, text) };
}

async function readText(answer: IncomingMessage, maxBytes: number): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of answer as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > maxBytes) throw new Error(`the answer has more than ${maxBytes} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

const saidBy = (json: unknown, text: string): string => {
  const said = typeof json === 'object' && json !== null && 'message' in json ? json.message : text;
  return (typeof said === 'string' ? said : text).trim().slice(0, 1000);
};
