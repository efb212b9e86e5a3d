import { channel } from 'node:diagnostics_channel';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { answerHead, type UpstreamConnection } from '../support/byte-upstream.ts';
import { startMeteringGateway, type MeteredKey, type MeteringGateway } from '../support/metering-gateway.ts';
import { waitUntil } from '../support/wait-until.ts';
import { PROMPT, type Used } from './corpus.ts';

const MIB = 1024 * 1024;
/** More than all buffers of the kernel on the way hold, many times more than the program may. */
const OFFERED_BYTES = 64 * MIB;
/** What the program may hold of one answer: a few hundred KiB before it is read, the event that is being read, and what was written last. */
const MAX_HELD_BYTES = MIB;
const PIECE_BYTES = 65_536;

let gateway: MeteringGateway;
let key: MeteredKey;
/** The program's ends of its callers' connections. */
let callerSockets: Socket[];

const onServerSocket = (message: unknown): void => {
  const { socket } = message as { readonly socket: Socket };
  if (socket.localPort === gateway.port) callerSockets.push(socket);
};

beforeAll(async () => {
  gateway = await startMeteringGateway();
  channel('net.server.socket').subscribe(onServerSocket);
});
afterAll(async () => {
  channel('net.server.socket').unsubscribe(onServerSocket);
  await gateway.close();
});
beforeEach(async () => {
  key = await gateway.makeKey();
  callerSockets = [];
});
const expectUsed: MeteringGateway['expectUsed'] = (...args) => gateway.expectUsed(...args);

const open = new Set<IncomingMessage>();
afterEach(() => {
  for (const answer of open) answer.destroy();
  open.clear();
});

const STREAM = { model: 'm', stream: true, stream_options: { include_usage: true }, messages: [{ role: 'user', content: PROMPT }] };
const USED: Used = { prompt: 17, completion: 5 };
const USAGE = { prompt_tokens: 17, completion_tokens: 5 };

/** A request whose answer is read only when the test reads it. */
function call(body: object): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${key.value}`, 'content-type': 'application/json' };
    const request = httpRequest({
      port: gateway.port,
      host: '127.0.0.1',
      method: 'POST',
      path: '/v1/chat/completions',
      agent: false,
      headers,
    });
    request.on('response', (response) => {
      open.add(response);
      resolve(response);
    });
    request.on('error', reject);
    request.end(JSON.stringify(body));
  });
}

const content = (bytes: number): string => `data: ${JSON.stringify({ choices: [{ delta: { content: 'x'.repeat(bytes) } }] })}\n\n`;
const END = `data: ${JSON.stringify({ choices: [], usage: USAGE })}\n\ndata: [DONE]\n\n`;

/** Pieces of about 64 KiB, 64 MiB in all, as they go over the wire. */
interface Offer {
  readonly headers: Readonly<Record<string, string>>;
  readonly first: Buffer;
  readonly piece: Buffer;
  readonly last: Buffer;
  /** How many bytes the caller gets for a piece. */
  readonly pieceBytes: number;
}

const PIECES = OFFERED_BYTES / PIECE_BYTES;
const EVENT = content(PIECE_BYTES - 50);

/** A member of a gzip file that does not compress, so that bytes on both sides can be compared. */
const stored = (text: string): Buffer => gzipSync(text, { level: 0 });

const OFFERS: readonly (readonly [string, Offer])[] = [
  [
    'a stream',
    {
      headers: { 'content-type': 'text/event-stream' },
      first: Buffer.alloc(0),
      piece: Buffer.from(EVENT),
      last: Buffer.from(END),
      pieceBytes: EVENT.length,
    },
  ],
  [
    'a compressed stream',
    {
      headers: { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' },
      first: Buffer.alloc(0),
      piece: stored(EVENT),
      last: stored(END),
      pieceBytes: EVENT.length,
    },
  ],
  [
    'an answer that does not stream',
    {
      headers: { 'content-type': 'application/json' },
      first: Buffer.from('{"choices":[{"message":{"content":"'),
      piece: Buffer.alloc(PIECE_BYTES, 'y'),
      last: Buffer.from(`"}}],"usage":${JSON.stringify(USAGE)}}`),
      pieceBytes: PIECE_BYTES,
    },
  ],
];

/** Sends as much of an offer as the reader lets it. */
async function offer({ socket, write }: UpstreamConnection, { headers, first, piece, last }: Offer): Promise<void> {
  const length = first.length + PIECES * piece.length + last.length;
  write(Buffer.concat([answerHead({ ...headers, 'content-length': String(length), connection: 'close' }), first]));
  for (let index = 0; index < PIECES; index++) {
    if (!socket.write(piece)) await new Promise<void>((resolve) => socket.once('drain', resolve));
    if (socket.destroyed) return;
  }
  socket.end(last);
}

describe.each(OFFERS)('a caller that reads slowly: %s', (_name, offered) => {
  test('the upstream is held back, the program keeps a bounded part, and every byte arrives once it is read', async () => {
    let connection: UpstreamConnection | undefined;
    gateway.upstream.respond = (made) => {
      connection = made;
      return offer(made, offered);
    };
    const answer = await call(
      offered.headers['content-type'] === 'application/json' ? { ...STREAM, stream: false, stream_options: null } : STREAM,
    );
    const upstreamSocket = connection?.peer;
    const callerSocket = callerSockets.at(-1);
    if (connection === undefined || upstreamSocket === undefined || callerSocket === undefined) throw new Error('no connection was seen');

    // What came in and has not gone out to the kernel again lies in our memory. Nothing else does: the bytes are not copied elsewhere.
    const held = (): number => upstreamSocket.bytesRead - (callerSocket.bytesWritten - callerSocket.writableLength);
    let most = 0;
    let unchanged = 0;
    for (let before = -1; unchanged < 25; before = upstreamSocket.bytesRead) {
      await delay(10);
      most = Math.max(most, held());
      unchanged = upstreamSocket.bytesRead === before ? unchanged + 1 : 0;
    }
    expect(upstreamSocket.bytesRead).toBeLessThan(OFFERED_BYTES / 2);
    expect(connection.socket.writableLength).toBeGreaterThan(0);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(MAX_HELD_BYTES);

    let bytes = 0;
    for await (const chunk of answer) {
      bytes += (chunk as Buffer).length;
      most = Math.max(most, held());
    }
    const decodedLast = offered.headers['content-encoding'] === 'gzip' ? END.length : offered.last.length;
    expect(bytes).toBe(offered.first.length + PIECES * offered.pieceBytes + decodedLast);
    expect(most).toBeLessThan(MAX_HELD_BYTES);
    await expectUsed(key, USED);
  }, 60_000);
});

describe('a caller that leaves in the middle', () => {
  test('pays what the upstream reports at the end, to the token', async () => {
    let finish = (): void => undefined;
    const left = new Promise<void>((resolve) => (finish = resolve));
    gateway.upstream.respond = async ({ write }) => {
      const body = [content(10), content(10), END];
      write(answerHead({ 'content-type': 'text/event-stream', 'content-length': String(body.join('').length) }));
      write(Buffer.from(body[0] ?? ''));
      await left;
      for (const piece of body.slice(1)) write(Buffer.from(piece));
    };
    const answer = await call(STREAM);
    await new Promise<void>((resolve) => answer.once('data', () => resolve()));
    answer.destroy();
    await waitUntil(async () => callerSockets.every((socket) => socket.destroyed));
    finish();
    await expectUsed(key, USED);
  });

  test('and took nothing of a long answer: the rest is read for it, kept nowhere, and booked', async () => {
    let peer: Socket | undefined;
    gateway.upstream.respond = (connection) => {
      ({ peer } = connection);
      return offer(connection, OFFERS[0]?.[1] as Offer);
    };
    const answer = await call(STREAM);
    answer.destroy();
    await expectUsed(key, USED);
    expect(peer?.bytesRead).toBeGreaterThan(PIECES * EVENT.length);
  });
});
