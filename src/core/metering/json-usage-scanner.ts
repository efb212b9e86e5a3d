import { reportedSeconds } from './media-use.ts';
import { outputText } from './output-text.ts';
import { usageFromObject, type TokenUsage } from './token-usage.ts';
import { parseJson } from '../json/int64.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COLON = 0x3a;
const COMMA = 0x2c;

/** The values of the top level that are captured. */
const CAPTURED_KEYS: ReadonlySet<string> = new Set(['usage', 'model', 'id', 'duration']);
/** Longer values are not captured. */
const MAX_VALUE_BYTES = 65_536;
/** Longer keys cannot be ours, even fully escaped. */
const MAX_KEY_BYTES = 64;

/** How far a string is looked through byte by byte. */
const NEAR_BYTES = 24;

/** Bytes that mean something between strings: anywhere, and at the top level only. */
const NESTED = 1;
const TOP = 2;
const STRUCTURAL = structuralTable();

const decoder = new TextDecoder();

/** Where the scanner is in the top-level object. */
type Place = 'before' | 'key' | 'after_key' | 'value' | 'done' | 'foreign';

/**
 * Finds the top-level `usage`, `model`, `id` and `duration` of a JSON answer while its bytes pass by, whatever the size and wherever they are
 * split, and counts the objects in its top-level list `data`.
 *
 * It looks at structure only: a `usage` deeper down, or the word in a text, is not taken for it. Bytes are neither changed nor kept, but
 * for these values (64 KiB each) and the first `keepBytes` of the body, which an estimate needs if there is no usage.
 */
export class JsonUsageScanner {
  readonly #keepBytes: number;
  readonly #readUsage: (value: unknown) => TokenUsage | null;
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  #keptAll = true;
  #bytesSeen = 0;

  #place: Place = 'before';
  #depth = 0;
  #inString = false;
  #escaped = false;
  #key = '';
  #usage: TokenUsage | null = null;
  #model: string | null = null;
  #id: string | null = null;
  #usageValue: unknown = null;
  #duration: unknown = null;
  #dataItems: number | null = null;

  // What is being captured: pieces from earlier chunks, and from where in the present one.
  #capture: 'key' | 'value' | null = null;
  #captured: Uint8Array[] = [];
  #capturedBytes = 0;

  /** `readUsage` makes usage of the value of `usage`; by OpenAI's rules where it is not given. */
  constructor(options: { readonly keepBytes?: number; readonly readUsage?: (value: unknown) => TokenUsage | null } = {}) {
    this.#keepBytes = options.keepBytes ?? 262_144;
    this.#readUsage = options.readUsage ?? usageFromObject;
  }

  /** Usage found so far; null until the whole of a top-level `usage` has passed. The last of several wins, as in JSON.parse. */
  get usage(): TokenUsage | null {
    return this.#usage;
  }

  /** The answer's own `model`, if it is a string. */
  get model(): string | null {
    return this.#model;
  }

  /** The answer's own `id`, if it is a string. */
  get id(): string | null {
    return this.#id;
  }

  /** Seconds of audio that the answer tells, in its usage or as its `duration`; null where it tells none. */
  get seconds(): number | null {
    return reportedSeconds(this.#usageValue, this.#duration);
  }

  /** Objects in the list `data`, such as the images of an answer; null where there is no such list. */
  get dataItems(): number | null {
    return this.#dataItems;
  }

  /** All bytes of the body so far. */
  get bytesSeen(): number {
    return this.#bytesSeen;
  }

  /**
   * The text that the answer holds, for an estimate where no usage was reported. Null if the body was larger than `keepBytes` or is no JSON.
   */
  outputText(): string | null {
    if (!this.#keptAll) return null;
    try {
      return outputText(JSON.parse(decoder.decode(concat(this.#kept, this.#keptBytes))));
    } catch {
      return null;
    }
  }

  /** The body as parsed JSON, integers exact; undefined if it was larger than `keepBytes` or is no JSON. */
  json(): unknown {
    return this.#keptAll ? tryParse(decoder.decode(concat(this.#kept, this.#keptBytes))) : undefined;
  }

  /** Takes the next bytes of the body. They are read, not changed, and may be referred to until the scanner is dropped. */
  push(chunk: Uint8Array): void {
    this.#bytesSeen += chunk.length;
    this.#keep(chunk);
    if (this.#place === 'done' || this.#place === 'foreign') return;
    let captureFrom = this.#capture === null ? -1 : 0;
    let index = this.#place === 'before' ? this.#findStart(chunk) : 0;
    while (index < chunk.length) {
      if (this.#inString) {
        index = this.#skipString(chunk, index);
        if (this.#inString) break;
        if (this.#capture === 'key') {
          this.#key = this.#takeKey(chunk, captureFrom, index);
          captureFrom = -1;
        }
        continue;
      }
      index = nextStructural(chunk, index, this.#depth > 1);
      if (index === chunk.length) break;
      const byte = chunk[index] as number;
      if (byte === QUOTE) {
        this.#inString = true;
        if (this.#place === 'key') {
          this.#capture = 'key';
          this.#place = 'after_key';
          captureFrom = index;
        }
      } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        if (this.#key === 'data' && this.#depth <= 2) this.#countData(byte);
        this.#depth += 1;
      } else if (byte === COLON) {
        if (this.#place === 'after_key') captureFrom = this.#beginValue(index + 1);
      } else if (byte === COMMA) {
        if (this.#capture === 'value') this.#takeValue(chunk, captureFrom, index);
        captureFrom = -1;
        this.#place = 'key';
      } else {
        this.#depth -= 1;
        if (this.#depth === 0) {
          if (this.#capture === 'value') this.#takeValue(chunk, captureFrom, index);
          this.#place = 'done';
          return;
        }
      }
      index += 1;
    }
    if (this.#capture !== null) this.#hold(chunk, captureFrom, chunk.length);
  }

  /** Skips to behind the brace that opens the object; anything else that comes first makes the body foreign. */
  #findStart(chunk: Uint8Array): number {
    for (let index = 0; index < chunk.length; index++) {
      const byte = chunk[index] as number;
      // White space, and the bytes of a byte order mark.
      if (byte <= 0x20 || byte >= 0x80) continue;
      if (byte !== OPEN_BRACE) {
        this.#place = 'foreign';
        return chunk.length;
      }
      this.#place = 'key';
      this.#depth = 1;
      return index + 1;
    }
    return chunk.length;
  }

  /** The list `data` begins, or one of the objects in it does. */
  #countData(byte: number): void {
    if (this.#depth === 1 && byte === OPEN_BRACKET) this.#dataItems = 0;
    else if (this.#depth === 2 && byte === OPEN_BRACE && this.#dataItems !== null) this.#dataItems += 1;
  }

  /** A value of the top-level object begins; returns from where it is captured, or -1. */
  #beginValue(from: number): number {
    this.#place = 'value';
    if (!CAPTURED_KEYS.has(this.#key)) return -1;
    this.#capture = 'value';
    return from;
  }

  /** The index behind the string's closing quote, or the chunk's length if it does not close here. */
  #skipString(chunk: Uint8Array, from: number): number {
    let index = from;
    if (this.#escaped) {
      this.#escaped = false;
      index += 1;
    }
    // Most strings are short, and looking at their bytes is cheaper than two searches.
    for (const near = Math.min(index + NEAR_BYTES, chunk.length); index < near; index++) {
      const byte = chunk[index];
      if (byte === BACKSLASH) break;
      if (byte !== QUOTE) continue;
      this.#inString = false;
      return index + 1;
    }
    let backslash = -2;
    for (;;) {
      const quote = chunk.indexOf(QUOTE, index);
      const end = quote === -1 ? chunk.length : quote;
      // The next backslash is looked for only when the last one lies behind us, or long texts would be searched over and over.
      if (backslash !== -1 && backslash < index) backslash = chunk.indexOf(BACKSLASH, index);
      if (backslash === -1 || backslash >= end) {
        if (quote !== -1) this.#inString = false;
        return quote === -1 ? chunk.length : quote + 1;
      }
      index = backslash + 2;
      if (index > chunk.length) {
        this.#escaped = true;
        return chunk.length;
      }
    }
  }

  #takeKey(chunk: Uint8Array, from: number, to: number): string {
    const raw = this.#finishCapture(chunk, from, to);
    if (raw === null || raw.length > MAX_KEY_BYTES) return '';
    const key = tryParse(decoder.decode(raw));
    return typeof key === 'string' ? key : '';
  }

  #takeValue(chunk: Uint8Array, from: number, to: number): void {
    const raw = this.#finishCapture(chunk, from, to);
    const value = raw === null ? undefined : tryParse(decoder.decode(raw));
    if (this.#key === 'usage') {
      this.#usage = this.#readUsage(value) ?? this.#usage;
      this.#usageValue = value;
    } else if (this.#key === 'duration') this.#duration = value;
    else if (typeof value !== 'string') return;
    else if (this.#key === 'model') this.#model = value;
    else this.#id = value;
  }

  /** Ends the capture; null if it had grown too large. */
  #finishCapture(chunk: Uint8Array, from: number, to: number): Uint8Array | null {
    this.#hold(chunk, from, to);
    const bytes = this.#capturedBytes;
    const raw = bytes > MAX_VALUE_BYTES ? null : concat(this.#captured, bytes);
    this.#capture = null;
    this.#captured = [];
    this.#capturedBytes = 0;
    return raw;
  }

  #hold(chunk: Uint8Array, from: number, to: number): void {
    const piece = chunk.subarray(Math.max(from, 0), to);
    this.#capturedBytes += piece.length;
    if (this.#capturedBytes > MAX_VALUE_BYTES) this.#captured = [];
    else this.#captured.push(piece);
  }

  #keep(chunk: Uint8Array): void {
    if (!this.#keptAll) return;
    this.#keptBytes += chunk.length;
    if (this.#keptBytes > this.#keepBytes) {
      this.#kept = [];
      this.#keptAll = false;
    } else this.#kept.push(chunk);
  }
}

function structuralTable(): Uint8Array {
  const table = new Uint8Array(256);
  for (const byte of [QUOTE, OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET]) table[byte] = NESTED | TOP;
  for (const byte of [COLON, COMMA]) table[byte] = TOP;
  return table;
}

/** The next byte that means something, or the chunk's length. */
function nextStructural(chunk: Uint8Array, from: number, nested: boolean): number {
  const mask = nested ? NESTED : TOP;
  let index = from;
  while (index < chunk.length && ((STRUCTURAL[chunk[index] as number] as number) & mask) === 0) index += 1;
  return index;
}

function tryParse(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

function concat(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return only;
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.length;
  }
  return whole;
}
