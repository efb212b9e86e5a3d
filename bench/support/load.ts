import net from 'node:net';

/**
 * What one closed-loop run measured. Latencies are milliseconds, ascending; `firstByteMs` is the time to the first byte of the body, `gapMs` the
 * silence between two pieces of one body.
 */
export interface LoadResult {
  readonly requests: number;
  readonly errors: number;
  readonly seconds: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly latencyMs: readonly number[];
  readonly firstByteMs: readonly number[];
  readonly gapMs: readonly number[];
}

/**
 * What a client sends next: `previous` is the body of its last answer, null before the first. `counts` tells whether the answer to it
 * ends one measured operation; an operation may take several requests.
 */
export type NextRequest = (previous: string | null) => { readonly bytes: Buffer; readonly counts: boolean };

/**
 * One kind of operation done over and over by `clients` connections, each waiting for its answer before it sends again. `request` is the
 * same bytes every time, or a function that makes what each client sends.
 */
export interface LoadPlan {
  readonly port: number;
  readonly request: Buffer | (() => NextRequest);
  readonly clients: number;
  readonly durationMs: number;
  readonly okStatus?: number;
}

interface Tally {
  requests: number;
  errors: number;
  readonly statuses: Record<string, number>;
  readonly latencyMs: number[];
  readonly firstByteMs: number[];
  readonly gapMs: number[];
}

const HEADER_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');

/** Finds the end of one HTTP/1.1 answer, by Content-Length or by chunks with trailers; keeps what belongs to the next. */
class AnswerReader {
  #buffer: Buffer = Buffer.alloc(0);
  #state: 'headers' | 'length' | 'chunk-size' | 'chunk' | 'trailers' = 'headers';
  #left = 0;
  readonly #kept: Buffer[] | null;
  status = 0;
  sawBody = false;

  /** With `keepBody`, {@link AnswerReader.body} gives the whole body. */
  constructor(keepBody: boolean) {
    this.#kept = keepBody ? [] : null;
  }

  /** The body of the answer that is complete. */
  get body(): string {
    return Buffer.concat(this.#kept ?? []).toString('utf8');
  }

  /** Takes what arrived; true once the answer is complete. */
  push(data: Buffer): boolean {
    this.#buffer = this.#buffer.length === 0 ? data : Buffer.concat([this.#buffer, data]);
    for (;;) {
      const step = this.#step();
      if (step === 'done') return true;
      if (step === 'wait') return false;
    }
  }

  /** Forgets the answer that ended. */
  reset(): void {
    this.#state = 'headers';
    this.sawBody = false;
    if (this.#kept !== null) this.#kept.length = 0;
  }

  #step(): 'more' | 'wait' | 'done' {
    switch (this.#state) {
      case 'headers':
        return this.#headers();
      case 'length':
      case 'chunk':
        return this.#body();
      case 'chunk-size':
        return this.#chunkSize();
      case 'trailers':
        return this.#trailers();
    }
  }

  #headers(): 'more' | 'wait' | 'done' {
    const end = this.#buffer.indexOf(HEADER_END);
    if (end < 0) return 'wait';
    const head = this.#buffer.toString('latin1', 0, end).toLowerCase();
    this.#buffer = this.#buffer.subarray(end + 4);
    this.status = Number(head.slice(9, 12));
    if (head.includes('\r\ntransfer-encoding: chunked')) {
      this.#state = 'chunk-size';
      return 'more';
    }
    this.#left = Number(/\r\ncontent-length: (\d+)/.exec(head)?.[1] ?? 0);
    this.#state = 'length';
    return this.#left === 0 ? 'done' : 'more';
  }

  #body(): 'more' | 'wait' | 'done' {
    if (this.#buffer.length === 0) return 'wait';
    this.sawBody = true;
    const taken = Math.min(this.#left, this.#buffer.length);
    this.#kept?.push(this.#buffer.subarray(0, taken));
    this.#left -= taken;
    this.#buffer = this.#buffer.subarray(taken);
    if (this.#left > 0) return 'wait';
    if (this.#state === 'length') return 'done';
    this.#state = 'chunk-size';
    return 'more';
  }

  #chunkSize(): 'more' | 'wait' {
    const end = this.#buffer.indexOf(LINE_END);
    if (end < 0) return 'wait';
    const size = Number.parseInt(this.#buffer.toString('latin1', 0, end), 16);
    this.#buffer = this.#buffer.subarray(end + 2);
    this.#left = size + 2;
    this.#state = size === 0 ? 'trailers' : 'chunk';
    return 'more';
  }

  #trailers(): 'more' | 'wait' | 'done' {
    const end = this.#buffer.indexOf(LINE_END);
    if (end < 0) return 'wait';
    this.#buffer = this.#buffer.subarray(end + 2);
    return end === 0 ? 'done' : 'more';
  }
}

/** One connection that sends until the deadline; a broken connection is an error and is opened anew. */
function runClient(plan: LoadPlan, tally: Tally, deadlineMs: number): Promise<void> {
  return new Promise((resolve) => {
    const next = typeof plan.request === 'function' ? plan.request() : null;
    const fixed = typeof plan.request === 'function' ? null : plan.request;
    const reader = new AnswerReader(next !== null);
    let sentAtMs = 0;
    let startedAtMs: number | null = null;
    let counts = true;
    let firstByteMs = 0;
    let lastPieceAtMs = 0;
    const socket = net.connect({ port: plan.port, host: '127.0.0.1', noDelay: true });
    const send = (): void => {
      const made = next?.(sentAtMs === 0 ? null : reader.body);
      reader.reset();
      firstByteMs = 0;
      lastPieceAtMs = 0;
      counts = made?.counts ?? true;
      sentAtMs = performance.now();
      startedAtMs ??= sentAtMs;
      socket.write(made?.bytes ?? fixed ?? Buffer.alloc(0));
    };
    socket.on('connect', send);
    socket.on('data', (data: Buffer) => {
      const done = reader.push(data);
      const nowMs = performance.now();
      if (firstByteMs === 0 && reader.sawBody) firstByteMs = nowMs - sentAtMs;
      if (lastPieceAtMs > 0) tally.gapMs.push(nowMs - lastPieceAtMs);
      if (reader.sawBody) lastPieceAtMs = nowMs;
      if (!done) return;
      tally.statuses[reader.status] = (tally.statuses[reader.status] ?? 0) + 1;
      if (reader.status !== (plan.okStatus ?? 200)) tally.errors += 1;
      if (!counts) return send();
      tally.requests += 1;
      tally.latencyMs.push(nowMs - (startedAtMs ?? sentAtMs));
      startedAtMs = null;
      tally.firstByteMs.push(firstByteMs);
      if (nowMs < deadlineMs) send();
      else socket.end();
    });
    let failed = false;
    socket.on('error', () => {
      failed = true;
      tally.errors += 1;
    });
    socket.on('close', () => {
      if (failed && performance.now() < deadlineMs) setTimeout(() => void runClient(plan, tally, deadlineMs).then(resolve), 10);
      else resolve();
    });
  });
}

const ascending = (values: number[]): number[] => values.toSorted((a, b) => a - b);

/** Runs one closed-loop load to its end. */
export async function runLoad(plan: LoadPlan): Promise<LoadResult> {
  const tally: Tally = { requests: 0, errors: 0, statuses: {}, latencyMs: [], firstByteMs: [], gapMs: [] };
  const startMs = performance.now();
  await Promise.all(Array.from({ length: plan.clients }, () => runClient(plan, tally, startMs + plan.durationMs)));
  const seconds = (performance.now() - startMs) / 1000;
  return {
    ...tally,
    seconds,
    latencyMs: ascending(tally.latencyMs),
    firstByteMs: ascending(tally.firstByteMs),
    gapMs: ascending(tally.gapMs),
  };
}

/** The raw bytes of a JSON POST, with a bearer token or with other headers. */
export function jsonRequest(options: { path: string; bearer?: string; headers?: Readonly<Record<string, string>>; body: unknown }): Buffer {
  const body = JSON.stringify(options.body);
  const head = [
    `POST ${options.path} HTTP/1.1`,
    'host: 127.0.0.1',
    ...(options.bearer === undefined ? [] : [`authorization: Bearer ${options.bearer}`]),
    ...Object.entries(options.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
}
