import { Fault } from '../core/fault.ts';
import type { Dialect } from '../core/records.ts';

/** One inference request. */
export interface UpstreamRequest {
  /** Path below the upstream's base address, such as `/chat/completions`. */
  readonly path: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** The API of the request, which decides how the credential goes and which headers do; OpenAI's where it is not given. */
  readonly dialect?: Dialect;
  /** The caller's headers, names in lower case. The adapter sends only those on its list, and its own credential. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** JSON text, or raw bytes, or null for none. What comes in pieces is sent as it comes; what its source throws ends the request. */
  readonly body: string | Uint8Array | AsyncIterable<Uint8Array> | null;
  /**
   * The body is sealed for the upstream: what belongs to the seal goes with it in both directions, and usage is asked for. Absent: it is not.
   */
  readonly sealed?: true;
  /** Aborts the request, also while its body is read. Null if the request is never given up before its time limits. */
  readonly signal: AbortSignal | null;
  readonly timeouts: UpstreamTimeouts;
}

/** Time limits, each in milliseconds from the event before it. */
export interface UpstreamTimeouts {
  /** From sending to the response's status line and headers. */
  readonly headersMs: number;
  /** Between two pieces of the body. */
  readonly idleMs: number;
}

/** An answer whose body is still to be read. It must be read to its end or cancelled, or its connection stays busy. */
export interface UpstreamResponse {
  readonly status: number;
  /** Names in lower case, those that may go on to the caller; several values of one name are joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** What the upstream calls this request, for logs; null if it does not say. */
  readonly requestId: string | null;
  readonly body: UpstreamBodyStream;
}

/**
 * The body as it arrives. Read it by `readAll` or by iterating, once. Iterating throws `UpstreamFault` if the upstream fails on the way, and
 * reading slowly holds the upstream back.
 */
export interface UpstreamBodyStream extends AsyncIterable<Uint8Array> {
  /**
   * All bytes, in the pieces they came in. `complete` is false if the body has more than `maxBytes`: then `pieces` is what was read up to
   * there, and iterating gives the rest. Throws `UpstreamFault` as iterating does.
   */
  readAll(maxBytes: number): Promise<{ readonly pieces: readonly Uint8Array[]; readonly complete: boolean }>;
  /** Whether the end has come, and nothing before it is left to be read: what was read is the whole. Never true where it broke off. */
  readonly isOver: boolean;
  /** Trailers, names in lower case; empty until the end has been read. */
  readonly trailers: Readonly<Record<string, string>>;
  /** Gives the rest up and closes the connection. Safe at any time, also twice. */
  cancel(): void;
}

/** A server that answers inference requests, or something in our process that does. */
export interface UpstreamClient {
  /**
   * Sends one request and answers once the response's headers are there; redirects are answers like any other.
   *
   * Throws `UpstreamFault`. Nothing is retried: whether another upstream may be tried is the caller's decision.
   */
  send(request: UpstreamRequest): Promise<UpstreamResponse>;
  /** Ends all connections; requests in flight fail. */
  close(): Promise<void>;
}

/**
 * How an upstream failed:
 * `connect` no connection, nothing was sent; `reset` the connection broke; `headers_timeout`, `idle_timeout` a time limit passed;
 * `protocol` the answer is not HTTP as we read it; `aborted` our own signal or `cancel`.
 */
export type UpstreamFaultKind = 'connect' | 'reset' | 'headers_timeout' | 'idle_timeout' | 'protocol' | 'aborted';

/** An upstream failed. `message` names it, for logs; `publicMessage` does not. */
export class UpstreamFault extends Fault {
  readonly kind: UpstreamFaultKind;
  /** No byte of a body had come, so that another upstream may be tried. After it, the call is settled with what was seen. */
  readonly beforeFirstByte: boolean;

  constructor(options: { kind: UpstreamFaultKind; beforeFirstByte: boolean; message: string; cause?: unknown }) {
    const timedOut = options.kind === 'headers_timeout' || options.kind === 'idle_timeout';
    super({
      code: timedOut ? 'upstream_timeout' : 'upstream_failed',
      message: options.message,
      publicMessage: timedOut ? 'The model did not answer in time.' : 'The model could not be reached, or broke off its answer.',
      cause: options.cause,
    });
    this.kind = options.kind;
    this.beforeFirstByte = options.beforeFirstByte;
  }
}
