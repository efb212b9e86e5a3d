import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { demoAnswer } from '../../src/upstreams/demo/demo-answer.ts';
import { errorAnswer, type DemoAnswer } from '../../src/upstreams/demo/demo-form.ts';
import { makeDemoResponseStore } from '../../src/upstreams/demo/demo-response-store.ts';
import { makeTokenizers } from '../../src/upstreams/tokenizers/tokenizers.ts';

/** How the server misbehaves. */
export type OpenAiFault =
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  | { readonly kind: 'redirect'; readonly location: string }
  /** Closes the connection instead of answering. */
  | { readonly kind: 'reset_before_headers' }
  /** Sends the head and `afterPieces` pieces of the body, then closes the connection. */
  | { readonly kind: 'reset_mid_body'; readonly afterPieces: number }
  /** Sends the head and `afterPieces` pieces, then nothing more. */
  | { readonly kind: 'stall'; readonly afterPieces: number }
  /** Sends bytes that are no HTTP. */
  | { readonly kind: 'garbage' };

/** What can be switched while the server runs. */
export interface OpenAiBehaviour {
  /** Withholds every answer until `release`. */
  gated: boolean;
  headerDelayMs: number;
  /** Before each piece of a body but the first. */
  chunkDelayMs: number;
  reportUsage: boolean;
  fault: OpenAiFault | null;
  /** Compresses bodies although it was not asked to. */
  gzip: boolean;
  /** Says this instead of repeating the last message. */
  text: string | null;
  /** Sends exactly this as the body, with status 200 where none is given. */
  rawPieces: { readonly contentType: string; readonly pieces: readonly string[]; readonly status?: number } | null;
  /** Trailers after the body, announced in `Trailer`. */
  trailers: Readonly<Record<string, string>> | null;
}

/** One request as it arrived. */
export interface ReceivedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly bodyText: string;
  readonly bodyBytes: Buffer;
  /** Turns true if the client closed the connection before the answer was complete. */
  aborted: boolean;
}

export interface OpenAiServer {
  /** Base address, ending in `/v1`. */
  readonly url: string;
  readonly behaviour: OpenAiBehaviour;
  readonly received: ReceivedRequest[];
  /** Tokens of all answers that were sent whole, by the honest count, whether reported or not. */
  readonly served: { promptTokens: number; completionTokens: number; answers: number };
  /** Requests that wait at the gate. */
  waiting(): number;
  /** Requests whose answer is not complete yet. */
  inFlight(): number;
  /** Open connections. */
  connections(): number;
  /** Lets waiting requests through, and all later ones as well. */
  release(): void;
  close(): Promise<void>;
}

/**
 * An OpenAI-compatible server on a free port of 127.0.0.1: answers like the demo upstream, for any model, over real HTTP.
 *
 * `port` 0 takes a free one. Its token counts are those of `o200k_base`.
 */
export async function startOpenAiServer(initial: Partial<OpenAiBehaviour> = {}, port = 0): Promise<OpenAiServer> {
  const tokenizer = await makeTokenizers().load('o200k_base');
  if (tokenizer === null) throw new Error('o200k_base is missing');
  const behaviour: OpenAiBehaviour = {
    gated: false,
    headerDelayMs: 0,
    chunkDelayMs: 0,
    reportUsage: true,
    fault: null,
    gzip: false,
    text: null,
    rawPieces: null,
    trailers: null,
    ...initial,
  };
  const received: ReceivedRequest[] = [];
  const served = { promptTokens: 0, completionTokens: 0, answers: 0 };
  const gate: (() => void)[] = [];
  const sockets = new Set<Socket>();
  let inFlight = 0;

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = (request.url ?? '').replace(/^\/v1/, '');
    const bodyBytes = await readBody(request);
    const record: ReceivedRequest = {
      method: request.method ?? '',
      path,
      headers: request.headers,
      bodyText: bodyBytes.toString(),
      bodyBytes,
      aborted: false,
    };
    received.push(record);
    response.on('close', () => {
      if (!response.writableFinished) record.aborted = true;
    });
    if (behaviour.gated) await new Promise<void>((resolve) => gate.push(resolve));
    if (behaviour.headerDelayMs > 0) await delay(behaviour.headerDelayMs);
    const { fault } = behaviour;
    if (fault?.kind === 'reset_before_headers') return void request.socket.destroy();
    if (fault?.kind === 'garbage') return void request.socket.end('this is not HTTP\r\n\r\n');
    if (fault?.kind === 'redirect') return void response.writeHead(302, { location: fault.location }).end();
    const answer = answerFor(record, fault);
    const whole = await sendAnswer(response, answer, fault, behaviour);
    if (!whole || answer.usage === null) return;
    served.promptTokens += answer.usage.promptTokens;
    served.completionTokens += answer.usage.completionTokens;
    served.answers += 1;
  };

  const responses = makeDemoResponseStore();
  const answerFor = ({ path, method, headers, bodyBytes }: ReceivedRequest, fault: OpenAiFault | null): DemoAnswer => {
    if (fault?.kind === 'status') return errorAnswer(fault.status, `The server was told to answer ${fault.status}.`, null, 'told_to');
    const { rawPieces } = behaviour;
    if (rawPieces !== null)
      return { status: rawPieces.status ?? 200, contentType: rawPieces.contentType, pieces: rawPieces.pieces, usage: null };
    return demoAnswer(path, bodyBytes, {
      method,
      contentType: headers['content-type'] ?? '',
      responses,
      countTokens: (text) => tokenizer.count(text),
      createdAt: 1_700_000_000,
      models: null,
      reportUsage: behaviour.reportUsage,
      text: behaviour.text,
    });
  };

  const server = createServer((request, response) => {
    inFlight += 1;
    handle(request, response)
      .catch(() => response.destroy())
      .finally(() => (inFlight -= 1));
  });
  server.keepAliveTimeout = 60_000;
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${address.port}/v1`,
    behaviour,
    received,
    served,
    waiting: () => gate.length,
    inFlight: () => inFlight,
    connections: () => sockets.size,
    release: () => {
      behaviour.gated = false;
      for (const open of gate.splice(0)) open();
    },
    close: async () => {
      for (const open of gate.splice(0)) open();
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Sends an answer as the behaviour wants it; tells whether it went out whole. */
async function sendAnswer(
  response: ServerResponse,
  answer: DemoAnswer,
  fault: OpenAiFault | null,
  behaviour: OpenAiBehaviour,
): Promise<boolean> {
  const headers: Record<string, string | number> = { 'content-type': answer.contentType, 'x-request-id': 'req_test' };
  const { trailers } = behaviour;
  if (trailers !== null) headers['trailer'] = Object.keys(trailers).join(', ');
  if (fault?.kind === 'status') Object.assign(headers, fault.headers);
  if (behaviour.gzip) {
    response.writeHead(answer.status, { ...headers, 'content-encoding': 'gzip' }).end(gzipSync(answer.pieces.join('')));
    return true;
  }
  const [only] = answer.pieces;
  const pieces = answer.bytes ?? answer.pieces;
  if (answer.pieces.length === 1 && only !== undefined && trailers === null && fault === null) {
    response.writeHead(answer.status, { ...headers, 'content-length': Buffer.byteLength(only) }).end(only);
    return true;
  }
  response.writeHead(answer.status, headers);
  const stopAfter = fault?.kind === 'reset_mid_body' || fault?.kind === 'stall' ? fault.afterPieces : Infinity;
  for (const [index, piece] of pieces.entries()) {
    if (index >= stopAfter) break;
    if (index > 0) await pause(behaviour.chunkDelayMs);
    if (response.destroyed) return false;
    if (!response.write(piece)) await drained(response);
  }
  if (stopAfter === 0) response.flushHeaders();
  if (fault?.kind === 'stall') return false;
  if (fault?.kind === 'reset_mid_body') {
    // What was written must have left before the connection goes, or the client sees no head either.
    await pause(20);
    response.destroy();
    return false;
  }
  if (trailers !== null) response.addTrailers({ ...trailers });
  response.end();
  return true;
}

/** Pieces written in one turn of the event loop would leave as one chunk. */
async function pause(ms: number): Promise<void> {
  if (ms > 0) await delay(ms);
  else await new Promise<void>((resolve) => setImmediate(resolve));
}

/** Waits until the client has taken what was written, or is gone. */
async function drained(response: ServerResponse): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}
