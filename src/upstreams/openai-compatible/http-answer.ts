import type { Dispatcher } from 'undici';
import { UpstreamFault, type UpstreamBodyStream, type UpstreamFaultKind } from '../../ports/upstream.ts';

/** The connection is paused while more than this waits to be read, so that a slow caller slows the upstream and not our memory. */
const MAX_WAITING_BYTES = 262_144;

type RawHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;
type Waiter = { readonly resolve: (result: IteratorResult<Uint8Array, undefined>) => void; readonly reject: (error: Error) => void };

/** An answer's status and headers, before anything is filtered. */
export interface AnswerHead {
  readonly status: number;
  readonly headers: RawHeaders;
}

/**
 * Receives one answer from undici's dispatcher: a promise of its head, and its body as a stream.
 *
 * Written against the dispatcher itself, because only it tells a connection that was never made from one that broke, and because its pieces
 * reach the reader without a Node stream between. It costs about as much processor time as undici's own `stream` and `request`.
 */
export class HttpAnswer implements Dispatcher.DispatchHandler, UpstreamBodyStream {
  readonly head: Promise<AnswerHead>;
  readonly #upstreamName: string;
  readonly #signal: AbortSignal | null;
  #resolveHead!: (head: AnswerHead) => void;
  #rejectHead!: (fault: UpstreamFault) => void;
  #controller: Dispatcher.DispatchController | null = null;
  #sent = false;
  #gotHead = false;
  #gotBody = false;
  #paused = false;

  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #ended = false;
  #fault: UpstreamFault | null = null;
  #cancelled = false;
  #trailers: Readonly<Record<string, string>> = {};
  /** A reader that waits for the next piece. */
  #waiter: Waiter | null = null;
  /** A `readAll` that waits for the end or for too much. */
  #collector: { readonly maxBytes: number; readonly done: () => void } | null = null;

  constructor(options: { readonly upstreamName: string; readonly signal: AbortSignal | null }) {
    this.#upstreamName = options.upstreamName;
    this.#signal = options.signal;
    this.head = new Promise((resolve, reject) => {
      this.#resolveHead = resolve;
      this.#rejectHead = reject;
    });
    if (options.signal === null) return;
    if (options.signal.aborted) this.cancel();
    else options.signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  get isOver(): boolean {
    return this.#ended && this.#fault === null && this.#waiting.length === 0;
  }

  get trailers(): Readonly<Record<string, string>> {
    return this.#trailers;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#sent = true;
    if (this.#cancelled) controller.abort(new Error('given up before it was sent'));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: RawHeaders): void {
    // Interim answers (100, 103) come before the real one.
    if (status < 200 || this.#gotHead) return;
    this.#gotHead = true;
    this.#resolveHead({ status, headers });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    this.#gotBody = true;
    const waiter = this.#waiter;
    if (waiter !== null) {
      this.#waiter = null;
      waiter.resolve({ done: false, value: chunk });
      return;
    }
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#collector !== null) {
      if (this.#waitingBytes <= this.#collector.maxBytes) return;
      this.#endCollecting();
    }
    if (this.#waitingBytes > MAX_WAITING_BYTES) {
      this.#paused = true;
      controller.pause();
    }
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: RawHeaders): void {
    const own: Record<string, string> = {};
    for (const [name, value] of Object.entries(trailers)) {
      if (value !== undefined) own[name.toLowerCase()] = typeof value === 'string' ? value : value.join(', ');
    }
    this.#trailers = own;
    this.#finish(null);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#finish(this.#faultOf(error));
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        this.cancel();
        return { done: true, value: undefined };
      },
    };
  }

  async readAll(maxBytes: number): Promise<{ pieces: readonly Uint8Array[]; complete: boolean }> {
    if (!this.#ended && this.#waitingBytes <= maxBytes) {
      await new Promise<void>((resolve) => {
        this.#collector = { maxBytes, done: resolve };
        this.#resume();
      });
    }
    const complete = this.#ended && this.#waitingBytes <= maxBytes;
    if (complete && this.#fault !== null) throw this.#fault;
    const pieces = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#resume();
    return { pieces, complete };
  }

  cancel(): void {
    if (this.#ended || this.#cancelled) return;
    this.#cancelled = true;
    // Without a controller the request still waits for a connection: it is aborted when it gets one. Nobody waits for that here.
    if (this.#controller === null) this.#finish(this.#fault ?? this.#newFault('aborted', 'was given up'));
    else this.#controller.abort(new Error('given up'));
  }

  readonly #onAbort = (): void => this.cancel();

  #next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const piece = this.#waiting.shift();
    if (piece !== undefined) {
      this.#waitingBytes -= piece.length;
      if (this.#waitingBytes <= MAX_WAITING_BYTES / 2) this.#resume();
      return Promise.resolve({ done: false, value: piece });
    }
    if (this.#fault !== null) return Promise.reject(this.#fault);
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#controller?.resume();
  }

  #endCollecting(): void {
    const collector = this.#collector;
    this.#collector = null;
    collector?.done();
  }

  #finish(fault: UpstreamFault | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#fault = fault;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    if (!this.#gotHead && fault !== null) this.#rejectHead(fault);
    const waiter = this.#waiter;
    this.#waiter = null;
    if (waiter !== null) {
      if (fault !== null) waiter.reject(fault);
      else waiter.resolve({ done: true, value: undefined });
    }
    this.#endCollecting();
  }

  #faultOf(error: Error): UpstreamFault {
    if (this.#cancelled) return this.#newFault('aborted', 'was given up', error);
    const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
    if (!this.#sent) return this.#newFault('connect', `cannot be reached (${code || error.message})`, error);
    if (code === 'UND_ERR_HEADERS_TIMEOUT') return this.#newFault('headers_timeout', 'sent no answer in time', error);
    if (code === 'UND_ERR_BODY_TIMEOUT') return this.#newFault('idle_timeout', 'stopped in the middle of its answer', error);
    if (error.name === 'HTTPParserError' || code === 'UND_ERR_HEADERS_OVERFLOW') {
      return this.#newFault('protocol', `sent an answer that cannot be read (${code || error.message})`, error);
    }
    return this.#newFault('reset', `broke the connection (${code || error.message})`, error);
  }

  #newFault(kind: UpstreamFaultKind, what: string, cause?: Error): UpstreamFault {
    return new UpstreamFault({ kind, beforeFirstByte: !this.#gotBody, message: `upstream ${this.#upstreamName} ${what}`, cause });
  }
}
