import { parseJson } from '../json/int64.ts';
import { LineEnds } from './line-ends.ts';

const CLOSE_BRACE = 0x7d;
const COLON = 0x3a;
const SPACE = 0x20;
const DATA = [0x64, 0x61, 0x74, 0x61];

/** What may be the last event of a stream before its terminal one: an answer that is complete, a usage, a whole image. */
const MAY_BE_LAST = /"finish_reason"\s*:\s*"|"usage"\s*:\s*\{|"image_generation\.completed"/;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** A JSON object to put into an answer as its last member. `name` is `metadata`; see {@link METADATA_NAMES}. */
export interface AddedMember {
  readonly name: string;
  /** JSON text. */
  readonly json: string;
}

/** What the router's member of an answer is called: the second where the answer has, or its API knows, a `metadata` of its own. */
export const METADATA_NAMES = { plain: 'metadata', besideOwn: 'routing_metadata' } as const;

/**
 * A JSON text with one member more, every other byte as it was; null where the text is no JSON object. An object that has a member of
 * that name gets it under {@link METADATA_NAMES}`.besideOwn`. `value` is the text, where it has been parsed already.
 */
export function addToJson(bytes: Uint8Array, member: AddedMember, value: unknown = tryParse(decoder.decode(bytes))): Uint8Array[] | null {
  return isObject(value) ? insert(bytes, bytes.lastIndexOf(CLOSE_BRACE), { value, member }) : null;
}

/** The same for the last event among `bytes`, whole events of a stream; null where its data is no JSON object. */
function addToEvent(bytes: Uint8Array, member: AddedMember): Uint8Array[] | null {
  const payload = lastPayload(bytes);
  if (payload === null) return null;
  const value = tryParse(payload.text);
  return isObject(value) ? insert(bytes, bytes.lastIndexOf(CLOSE_BRACE, payload.end - 1), { value, member }) : null;
}

function insert(
  bytes: Uint8Array,
  at: number,
  { value, member }: { readonly value: Readonly<Record<string, unknown>>; readonly member: AddedMember },
): Uint8Array[] {
  const name = Object.hasOwn(value, member.name) ? METADATA_NAMES.besideOwn : member.name;
  const comma = Object.keys(value).length === 0 ? '' : ',';
  return [bytes.subarray(0, at), encoder.encode(`${comma}${JSON.stringify(name)}:${member.json}`), bytes.subarray(at)];
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function tryParse(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return null;
  }
}

/** The data of the last event among `bytes`, its lines joined, and where its last data line ends; null where no event has any. */
function lastPayload(bytes: Uint8Array): { readonly text: string; readonly end: number } | null {
  let last: { lines: string[]; end: number } | null = null;
  let isOpen = false;
  for (const { start, end } of linesOf(bytes)) {
    if (end === start) isOpen = false;
    const from = dataStart(bytes, start, end);
    if (from === null) continue;
    const line = decoder.decode(bytes.subarray(from, end));
    last = isOpen && last !== null ? { lines: [...last.lines, line], end } : { lines: [line], end };
    isOpen = true;
  }
  return last === null ? null : { text: last.lines.join('\n'), end: last.end };
}

/** Where the value of a data line begins; null where the line is another. */
function dataStart(bytes: Uint8Array, start: number, end: number): number | null {
  if (end - start <= DATA.length || !DATA.every((byte, index) => bytes[start + index] === byte)) return null;
  if (bytes[start + DATA.length] !== COLON) return null;
  const from = start + DATA.length + 1;
  return bytes[from] === SPACE ? from + 1 : from;
}

function linesOf(bytes: Uint8Array): { readonly start: number; readonly end: number; readonly after: number }[] {
  const found: { start: number; end: number; after: number }[] = [];
  const lines = new LineEnds(bytes);
  let start = 0;
  while (lines.find(start)) {
    found.push({ start, end: lines.end, after: lines.after });
    start = lines.after;
  }
  if (start < bytes.length) found.push({ start, end: bytes.length, after: bytes.length });
  return found;
}

/** Where the last event of whole events begins: after the last blank line that something follows. */
function lastEventStart(bytes: Uint8Array): number {
  let start = 0;
  for (const line of linesOf(bytes)) if (line.end === line.start && line.after < bytes.length) start = line.after;
  return start;
}

/**
 * Puts a member into the last event of a stream before its end, and changes no other byte.
 *
 * `push` takes whole events in order and returns what may go on now: all but the one that may be the last. `end` takes what was held back
 * from the terminal event on. Where that event is `[DONE]`, or there is none, the member goes into the event before it; else (a response, a
 * message, speech) into the terminal event itself. Where neither can take it, `ownEvent` goes out before the end.
 */
export class StreamTail {
  #held: Uint8Array | null = null;

  /** What may go on of these bytes, after what was held back before. */
  push(bytes: Uint8Array): Uint8Array[] {
    if (this.#held !== null && bytes[0] === COLON) {
      // Comments end nothing: the event before them may still be the last.
      this.#held = join([this.#held, bytes]);
      return [];
    }
    const out = this.#held === null ? [] : [this.#held];
    this.#held = null;
    const start = lastEventStart(bytes);
    const last = bytes.subarray(start);
    if (!MAY_BE_LAST.test(decoder.decode(last))) return [...out, bytes];
    this.#held = last.slice();
    return start === 0 ? out : [...out, bytes.subarray(0, start)];
  }

  /** The rest of the stream, the member in its place. */
  end(ending: readonly Uint8Array[], added: { readonly member: AddedMember; readonly ownEvent: () => string }): Uint8Array[] {
    const held = this.#held;
    const before = held === null ? [] : [held];
    const rest = join(ending);
    const blank = linesOf(rest).find(({ start, end }) => start === end);
    const terminal = rest.subarray(0, blank?.after ?? rest.length);
    const inTerminal = addToEvent(terminal, added.member);
    if (inTerminal !== null) return [...before, ...inTerminal, rest.subarray(terminal.length)];
    const inLast = held === null ? null : addToEvent(held, added.member);
    if (inLast !== null) return [...inLast, rest];
    return [...before, encoder.encode(added.ownEvent()), rest];
  }
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.length;
  }
  return whole;
}
