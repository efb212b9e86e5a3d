import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { FrameSplitter } from '../../core/sealed/frames.ts';
import { TAG_BYTES } from '../../core/sealed/protocol.ts';
import type { SealedContext } from '../../ports/sealed-crypto.ts';
import { RefusedRequest } from './problem.ts';

/** What frames may take beside what they say, whatever the largest body is. */
const SPARE_BYTES = 4096;

/** The largest body as it comes, for one of at most `maxBodyBytes`: frames of twenty bytes and more are always taken. */
export const maxSealedBytes = (maxBodyBytes: number): number => 2 * maxBodyBytes + SPARE_BYTES;

/** The one answer to a body that cannot be opened: which step failed is nobody's business. */
export const unopenable = (): RefusedRequest => new RefusedRequest({ code: 'malformed_body', message: 'the sealed body cannot be opened' });

export const tooLarge = (): RefusedRequest =>
  new RefusedRequest({ code: 'body_too_large', message: 'the body is larger than this server takes' });

/** What {@link SealedBody.next} found. `later`: the frame that comes is longer than its caller wants to read now; nothing is lost. */
export type NextFrame = { readonly kind: 'frame'; readonly frame: Uint8Array } | { readonly kind: 'end' } | { readonly kind: 'later' };

/** The frames of a request's body, read as they are asked for: nothing is read ahead but the piece that a frame ended in. */
export class SealedBody {
  readonly #source: IncomingMessage;
  readonly #pieces: AsyncIterator<Uint8Array>;
  readonly #splitter: FrameSplitter;
  readonly #maxBodyBytes: number;
  #frames: Uint8Array[] = [];
  #wireBytes = 0;
  #isReleased = false;

  /** `maxBodyBytes` is the most that all frames may say together. */
  constructor(source: IncomingMessage, options: { readonly maxBodyBytes: number }) {
    this.#source = source;
    this.#maxBodyBytes = options.maxBodyBytes;
    this.#pieces = source.iterator({ destroyOnReturn: false });
    this.#splitter = new FrameSplitter({ maxFrameBytes: options.maxBodyBytes + TAG_BYTES });
  }

  /**
   * The next frame. `mayRead` is asked about the length of a frame that has not come as a whole. Throws a `RefusedRequest` for what is no
   * sequence of frames, also because its caller left, and for one that is too long.
   */
  async next(mayRead: (frameBytes: number) => boolean = () => true): Promise<NextFrame> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return { kind: 'frame', frame };
      const coming = this.#splitter.comingBytes;
      if (coming !== null && !mayRead(coming)) return { kind: 'later' };
      const read = await this.#read();
      if (read.done === true) {
        if (this.#splitter.isBetweenFrames) return { kind: 'end' };
        throw unopenable();
      }
      this.#take(read.value);
    }
  }

  /** A connection that ends within the body cuts it short like any other end: it is the caller's doing, and no fault of ours. */
  async #read(): Promise<IteratorResult<Uint8Array>> {
    try {
      return await this.#pieces.next();
    } catch {
      throw unopenable();
    }
  }

  #take(piece: Uint8Array): void {
    this.#wireBytes += piece.length;
    if (this.#wireBytes > maxSealedBytes(this.#maxBodyBytes)) throw tooLarge();
    const split = this.#splitter.push(piece);
    if (!split.ok) throw split.defect === 'too_long' ? tooLarge() : unopenable();
    this.#frames = [...split.frames];
  }

  /** What the body says, of which `first` is opened already, as a stream that opens the rest as it is read. */
  opened(first: Uint8Array, context: SealedContext): Readable {
    return Readable.from(this.#open(first, context), { objectMode: false });
  }

  async *#open(first: Uint8Array, context: SealedContext): AsyncGenerator<Uint8Array> {
    let bytes = 0;
    let piece = first;
    for (;;) {
      bytes += piece.length;
      if (bytes > this.#maxBodyBytes) throw tooLarge();
      if (piece.length > 0) yield piece;
      const found = await this.next();
      if (found.kind !== 'frame') return;
      const opened = await context.open(found.frame);
      if (opened === null) throw unopenable();
      piece = opened;
    }
  }

  /** Lets go of the request: what still comes of its body is thrown away, so that its connection can be used again. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#frames = [];
    const resume = (): void => void this.#source.resume();
    this.#pieces.return?.().then(resume, resume);
  }
}
