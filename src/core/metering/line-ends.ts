const LF = 0x0a;
const CR = 0x0d;

/**
 * Finds where the lines of an event stream end: at LF, CRLF, or a CR alone. Source: HTML standard, "Parsing an event stream".
 *
 * A CR that is the last byte ends its line; whoever goes on with the bytes after it must pass over an LF that comes first
 * ({@link mayGoOn}). Each byte is looked at once for each of the two, however many lines there are.
 */
export class LineEnds {
  readonly #bytes: Uint8Array;
  #lf = -2;
  #cr = -2;
  /** Where the line that was found ends, and where the next one begins. */
  end = 0;
  after = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Finds the first end of a line from `from` on; false where there is none. Calls go forward only. */
  find(from: number): boolean {
    this.#lf = this.#seek(this.#lf, LF, from);
    this.#cr = this.#seek(this.#cr, CR, from);
    const [lf, cr] = [this.#lf, this.#cr];
    if (cr !== -1 && (lf === -1 || cr < lf)) {
      this.end = cr;
      this.after = lf === cr + 1 ? lf + 1 : cr + 1;
      return true;
    }
    this.end = lf;
    this.after = lf + 1;
    return lf !== -1;
  }

  /** From where to look again: -1 stays, for there is none up to the end. */
  #seek(known: number, byte: number, from: number): number {
    return known === -1 || known >= from ? known : this.#bytes.indexOf(byte, from);
  }
}

/** Whether the line end that these bytes end with may go on with an LF in the next ones. */
export const mayGoOn = (bytes: Uint8Array): boolean => bytes[bytes.length - 1] === CR;

/** Whether `bytes` has an LF at `at`. */
export const isLf = (bytes: Uint8Array, at: number): boolean => bytes[at] === LF;
