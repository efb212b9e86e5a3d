import { Readable, type Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import { UpstreamFault, type UpstreamBodyStream } from '../../ports/upstream.ts';

const DECODERS: ReadonlyMap<string, () => Transform> = new Map<string, () => Transform>([
  ['gzip', createGunzip],
  ['x-gzip', createGunzip],
  ['deflate', createInflate],
  ['br', createBrotliDecompress],
  ['zstd', createZstdDecompress],
]);

/**
 * The body of an upstream that compresses though it was asked not to, decoded, so that it can be metered.
 *
 * Null for an encoding that we do not know, also for several at once. What cannot be decoded throws an `UpstreamFault` of kind `protocol`.
 */
export function decodeBody(encoded: UpstreamBodyStream, encoding: string, upstreamName: string): UpstreamBodyStream | null {
  const makeDecoder = DECODERS.get(encoding.trim().toLowerCase());
  if (makeDecoder === undefined) return null;
  const decoder = makeDecoder();
  const source = Readable.from(encoded, { objectMode: false });
  source.on('error', (error) => decoder.destroy(error));
  source.pipe(decoder);
  let started = false;
  let overread: Uint8Array[] = [];

  async function* pieces(): AsyncGenerator<Uint8Array, void, undefined> {
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
  const reading = pieces();

  async function* all(): AsyncGenerator<Uint8Array, void, undefined> {
    for (const piece of overread.splice(0)) yield piece;
    yield* reading;
  }

  return {
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
      source.destroy();
      decoder.destroy();
    },
  };
}
