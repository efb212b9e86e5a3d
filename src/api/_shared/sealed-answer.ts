import type { ServerResponse } from 'node:http';
import { RESPONSE_NONCE_HEADER } from '../../core/sealed/protocol.ts';
import type { AnswerSealer } from '../../ports/sealed-crypto.ts';

/** What one frame says at most: clients open a frame only when they have the whole of it. */
const MAX_PIECE_BYTES = 65_536;

/**
 * Seals whatever is written to `response` from now on: each piece goes out at once, as a frame of its own (long ones as several). Status, headers
 * and trailers stay readable; the length is not told in advance, since it is not that of what was written. Call it before the head is sent.
 *
 * It takes the place of the response's own methods, because the framework and the relay of calls both write straight to it, and because
 * an answer in the clear must pass through nothing.
 */
export function sealAnswer(response: ServerResponse, sealer: AnswerSealer): void {
  const plain = {
    writeHead: response.writeHead.bind(response) as (...head: unknown[]) => ServerResponse,
    write: response.write.bind(response),
    end: response.end.bind(response),
  };
  response.setHeader(RESPONSE_NONCE_HEADER, sealer.nonce);

  const writeHead = (...head: unknown[]): ServerResponse => {
    // Node would work the length out by itself.
    if (!response.headersSent) response.removeHeader('content-length');
    return plain.writeHead(...head.map(withoutLength));
  };
  const write = (piece: unknown, ...rest: unknown[]): boolean => {
    const done = callbackOf(rest);
    const frames = framesOf(sealer, piece, rest);
    const last = frames.pop();
    if (last === undefined) return plain.write('', done);
    for (const frame of frames) plain.write(frame);
    return plain.write(last, done);
  };
  const end = (...given: unknown[]): ServerResponse => {
    const [piece, ...rest] = typeof given[0] === 'function' ? [undefined, ...given] : given;
    const frames = framesOf(sealer, piece, rest);
    const last = frames.pop();
    for (const frame of frames) plain.write(frame);
    const done = callbackOf(rest);
    if (last === undefined) return plain.end(done);
    return plain.end(last, done);
  };
  Object.assign(response, { writeHead, write, end });
}

const callbackOf = (rest: readonly unknown[]): (() => void) | undefined => rest.find((each) => typeof each === 'function') as () => void;

/** The frames of what was written: bytes, or a text with its encoding. */
function framesOf(sealer: AnswerSealer, piece: unknown, [encoding]: readonly unknown[]): Uint8Array[] {
  if (piece === undefined || piece === null) return [];
  const bytes =
    typeof piece === 'string'
      ? Buffer.from(piece, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
      : (piece as Uint8Array);
  const frames: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += MAX_PIECE_BYTES) frames.push(sealer.seal(bytes.subarray(at, at + MAX_PIECE_BYTES)));
  return frames;
}

/** Headers without the length of what they come with; anything else that a head is made of as it is. */
function withoutLength(part: unknown): unknown {
  if (typeof part !== 'object' || part === null) return part;
  return Object.fromEntries(Object.entries(part).filter(([name]) => name.toLowerCase() !== 'content-length'));
}
