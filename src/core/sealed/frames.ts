import { TAG_BYTES } from './protocol.ts';

/** Length of what stands before each frame. */
const LENGTH_BYTES = 4;

/** Why a body is no sequence of frames: one that is longer than it may be, or too short to be a ciphertext. */
export type FrameDefect = 'too_long' | 'too_short';

/** What a piece of a body brought: the frames that it ended, or why the body is none of this protocol. */
export type SplitFrames =
  | { readonly ok: true; readonly frames: readonly Uint8Array[] }
  | { readonly ok: false; readonly defect: FrameDefect };

/**
 * Splits a body into its frames, `length (4 bytes, big endian) || ciphertext`, however it comes in pieces. Frames of length zero say nothing
 * and are left out. Keeps no more than what has come of one frame; how long it says it is takes no memory.
 * Source: EHBP specification, section 4.3.
 */
export class FrameSplitter {
  readonly #maxFrameBytes: number;
  readonly #pieces: Uint8Array[] = [];
  #keptBytes = 0;
  #wantedBytes = LENGTH_BYTES;
  #isInFrame = false;

  /** `maxFrameBytes` is the longest ciphertext that is taken. */
  constructor(options: { readonly maxFrameBytes: number }) {
    this.#maxFrameBytes = options.maxFrameBytes;
  }

  /** Whether everything that came has been given out: a body may end here, and nowhere else. */
  get isBetweenFrames(): boolean {
    return !this.#isInFrame && this.#keptBytes === 0;
  }

  /** How long the frame that is coming says it is; null between two. */
  get comingBytes(): number | null {
    return this.#isInFrame ? this.#wantedBytes : null;
  }

  /** Takes the next piece. After a defect the splitter is of no use any more. */
  push(bytes: Uint8Array): SplitFrames {
    const frames: Uint8Array[] = [];
    let at = 0;
    while (at < bytes.length) {
      const taken = bytes.subarray(at, at + this.#wantedBytes - this.#keptBytes);
      at += taken.length;
      this.#pieces.push(taken);
      this.#keptBytes += taken.length;
      if (this.#keptBytes < this.#wantedBytes) break;
      const whole = this.#takeWhole();
      if (this.#isInFrame) {
        frames.push(whole);
        this.#expect(LENGTH_BYTES, false);
        continue;
      }
      const length = new DataView(whole.buffer, whole.byteOffset, LENGTH_BYTES).getUint32(0);
      if (length > this.#maxFrameBytes) return { ok: false, defect: 'too_long' };
      if (length === 0) this.#expect(LENGTH_BYTES, false);
      else if (length < TAG_BYTES) return { ok: false, defect: 'too_short' };
      else this.#expect(length, true);
    }
    return { ok: true, frames };
  }

  #expect(bytes: number, isInFrame: boolean): void {
    this.#wantedBytes = bytes;
    this.#isInFrame = isInFrame;
  }

  #takeWhole(): Uint8Array {
    const [only] = this.#pieces;
    const whole = this.#pieces.length === 1 && only !== undefined ? only : joined(this.#pieces, this.#keptBytes);
    this.#pieces.length = 0;
    this.#keptBytes = 0;
    return whole;
  }
}

function joined(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** What stands before a frame of so many bytes of ciphertext. */
export function frameHead(ciphertextBytes: number): Uint8Array {
  const head = new Uint8Array(LENGTH_BYTES);
  new DataView(head.buffer).setUint32(0, ciphertextBytes);
  return head;
}
