import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** What an upstream does to one call. */
export const FAULTS = [
  'ok',
  'slow',
  'no_usage',
  'status_400',
  'status_422',
  'status_401',
  'status_429',
  'status_500',
  'status_503',
  'reset_before_head',
  'fin_after_head',
  'fin_after_chunk',
  'reset_after_chunk',
  'half_chunk',
  'short_body',
  'garbage',
  'stall_before_head',
  'stall_after_chunk',
] as const;
export type Fault = (typeof FAULTS)[number];

/** What a call asks of the upstreams, in its field `user`: its number, the label of its key, and what each upstream shall do to it. */
export interface CallPlan {
  readonly call: number;
  readonly key: string;
  readonly faults: Readonly<Record<string, Fault>>;
  readonly completionTokens: number;
}

/**
 * What one upstream did to one call. `delivered`: the whole answer left. `broken`: its first bytes left, and then it broke off in such a
 * way that they are read before the end is seen. `reported`: the answer told its usage.
 */
export interface Produced {
  readonly plan: CallPlan;
  readonly fault: Fault;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly reported: boolean;
  /** The header that is declared for every request, as it came. */
  readonly campaign: string | null;
  delivered: boolean;
  broken: boolean;
}

/** A loopback server that answers inference requests as each call's plan says, and counts for itself what it produced. */
export interface FaultUpstream {
  readonly url: string;
  readonly produced: Produced[];
  close(): Promise<void>;
}

/** Prompt tokens that an upstream claims for a call: no two calls have the same, so that a booking tells which call it is of. */
export const promptTokensOf = (call: number): number => 100 + call;

/** Starts the upstream `id`. */
export async function startFaultUpstream(id: string): Promise<FaultUpstream> {
  const produced: Produced[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    // Whoever closes on us ends the work on its answer.
    answer(id, produced, { request, response }).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 60_000;
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    produced,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

async function answer(id: string, produced: Produced[], { request, response }: Exchange): Promise<void> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const body = JSON.parse(Buffer.concat(pieces).toString()) as { user: string; stream?: boolean; model: string };
  const plan = JSON.parse(body.user) as CallPlan;
  const fault = plan.faults[id] ?? 'ok';
  const record: Produced = {
    plan,
    fault,
    promptTokens: promptTokensOf(plan.call),
    completionTokens: plan.completionTokens,
    reported: fault !== 'no_usage',
    campaign: (request.headers['x-campaign'] as string | undefined) ?? null,
    delivered: false,
    broken: false,
  };
  produced.push(record);
  response.on('finish', () => {
    record.delivered = response.statusCode === 200;
  });
  if (fault.startsWith('status_')) return refuse(response, Number(fault.slice('status_'.length)));
  if (fault === 'reset_before_head') return void request.socket.resetAndDestroy();
  if (fault === 'garbage') return void request.socket.end('SSH-2.0-OpenSSH_9.2\r\n');
  if (fault === 'stall_before_head') return;
  const whole = body.stream === true ? streamPieces(record) : jsonPieces(record);
  const contentType = body.stream === true ? 'text/event-stream' : 'application/json';
  if (fault === 'half_chunk' || fault === 'short_body') return breakRaw(request.socket, record, { contentType, whole });
  response.writeHead(200, { 'content-type': contentType });
  if (fault === 'fin_after_head') {
    response.flushHeaders();
    return void request.socket.end();
  }
  if (fault === 'ok' || fault === 'no_usage' || fault === 'slow') return sendWhole(response, whole, fault === 'slow' ? 4 : 0);
  // The bytes are to have left before the connection goes.
  await new Promise((resolve) => response.write(whole[0], resolve));
  if (fault === 'reset_after_chunk') {
    await delay(10);
    return void request.socket.resetAndDestroy();
  }
  record.broken = true;
  if (fault === 'fin_after_chunk') request.socket.end();
}

async function sendWhole(response: ServerResponse, pieces: readonly string[], pauseMs: number): Promise<void> {
  for (const piece of pieces) {
    if (pauseMs > 0) await delay(pauseMs);
    if (response.destroyed) return;
    response.write(piece);
  }
  response.end();
}

function refuse(response: ServerResponse, status: number): void {
  const error = JSON.stringify({ error: { message: `told to answer ${status}`, type: 'told', param: null, code: null } });
  const headers = status === 429 ? { 'retry-after': '0' } : {};
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(error);
}

/** Writes an answer that breaks the rules of its framing: a chunk that ends before its length, or a body that is too short. */
function breakRaw(socket: Socket, record: Produced, answerOf: { readonly contentType: string; readonly whole: readonly string[] }): void {
  const [first = ''] = answerOf.whole;
  const length = Buffer.byteLength(first) + 5000;
  const head = `HTTP/1.1 200 OK\r\ncontent-type: ${answerOf.contentType}\r\n`;
  record.broken = true;
  if (record.fault === 'short_body') socket.end(`${head}content-length: ${length}\r\n\r\n${first}`);
  else socket.end(`${head}transfer-encoding: chunked\r\n\r\n${length.toString(16)}\r\n${first}`);
}

const usageOf = ({ promptTokens, completionTokens }: Produced): object => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
});

function jsonPieces(record: Produced): string[] {
  const text = JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    model: 'theirs',
    choices: [{ index: 0, message: { role: 'assistant', content: 'keep treasury gate tower' }, finish_reason: 'stop' }],
    ...(record.reported ? { usage: usageOf(record) } : {}),
  });
  return [text.slice(0, 40), text.slice(40)];
}

function streamPieces(record: Produced): string[] {
  const chunk = (fields: object): string => `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', ...fields })}\n\n`;
  const words = ['keep ', 'treasury ', 'gate ', 'tower'].map((content) => chunk({ choices: [{ index: 0, delta: { content } }] }));
  const end = chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
  return [...words, end, ...(record.reported ? [chunk({ choices: [], usage: usageOf(record) })] : []), 'data: [DONE]\n\n'];
}
