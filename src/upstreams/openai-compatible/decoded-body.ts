import { Readable, type Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw, createZstdDecompress } from 'node:zlib';
import { UpstreamFault, type UpstreamBodyStream } from '../../ports/upstream.ts';

/** Makes the decoder of a body by its first bytes. */
type MakeDecoder = (first: Uint8Array) => Transform;

/** `deflate` is zlib's format by its standard, and the bare one by the habit of some servers: the first byte tells them apart. */
const makeInflate: MakeDecoder = (first) => (((first[0] ?? 0) & 0x0f) === 8 ? createInflate() : createInflateRaw());

const DECODERS: ReadonlyMap<string, MakeDecoder> = new Map<string, MakeDecoder>([
  ['gzip', () => createGunzip()],
  ['x-gzip', () => createGunzip()],
  ['deflate', makeInflate],
  ['br', () => createBrotliDecompress()],
  ['zstd', () => createZstdDecompress()],
]);

/**
 * The body of an upstream that compresses though it was asked not to, decoded, so that it can be metered.
 *
 * Null for an encoding that we do not know, also for several at once. What cannot be decoded throws an `UpstreamFault` of kind `protocol`.
 */
export function decodeBody(encoded: UpstreamBodyStream, encoding: string, upstreamName: string): UpstreamBodyStream | null {
  const makeDecoder = DECODERS.get(encoding.trim().toLowerCase());
  if (makeDecoder === undefined) return null;
  const open: (Readable | Transform)[] = [];
  let started = false;
  let overread: Uint8Array[] = [];

  async function* pieces(decoderFor: MakeDecoder): AsyncGenerator<Uint8Array, void, undefined> {
    const iterator = encoded[Symbol.asyncIterator]();
    const first = await iterator.next();
    if (first.done === true) return;
    const decoder = decoderFor(first.value);
    const source = Readable.from(following(first.value, iterator), { objectMode: false });
    open.push(source, decoder);
    source.on('error', (error) => decoder.destroy(error));
    source.pipe(decoder);
    try {
      for await (const piece of decoder) {
        started = true;
        yield piece as Uint8Array;
      }
    } catch (error) {
      if (error instanceof UpstreamFault) throw error;
      const message = `upstream ${upstreamName} sent a body that is not ${encoding}`;
      throw new UpstreamFault({ kind: 'protocol', beforeFirstByte: !started, message, cause: error });
    }
  }
  const reading = pieces(makeDecoder);

  async function* all(): AsyncGenerator<Uint8Array, void, undefined> {
    for (const piece of overread.splice(0)) yield piece;
    yield* reading;
  }

  return {
    // The decoder may hold something back: its end is known when it has been read.
    isOver: false,
    get trailers() {
      return encoded.trailers;
    },
    [Symbol.asyncIterator]: () => all(),
    readAll: async (maxBytes) => {
      let bytes = 0;
      for (;;) {
        const next = await reading.next();
        if (next.done === true) break;
        bytes += next.value.length;
        overread.push(next.value);
        if (bytes > maxBytes) return { pieces: overread.splice(0), complete: false };
      }
      const whole = overread;
      overread = [];
      return { pieces: whole, complete: true };
    },
    cancel: () => {
      encoded.cancel();
      for (const stream of open) stream.destroy();
    },
  };
}

/** A piece that was read already, and the rest behind it. */
async function* following(first: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  yield first;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}
