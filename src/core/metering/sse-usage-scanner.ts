import { parseJson } from '../json/int64.ts';
import type { Dialect } from '../records.ts';
import { isLf, LineEnds, mayGoOn } from './line-ends.ts';
import { reportedSeconds } from './media-use.ts';
import { MessagesStream } from './messages-stream.ts';
import { OutputEstimate } from './output-estimate.ts';
import { mergeUsage, normalizeUsage, type TokenUsage } from './token-usage.ts';

const SPACE = 0x20;
const COLON = 0x3a;

/** An event longer than this passes on unread, so that memory stays bounded. Source: Tinfoil reference section 5, "Line cap". */
const MAX_EVENT_BYTES = 4_194_304;

/** `data` and `[DONE]` as bytes. */
const DATA = [0x64, 0x61, 0x74, 0x61];
/** May stand before the first line of a stream. Source: HTML standard, "Parsing an event stream". */
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];
const DONE = [0x5b, 0x44, 0x4f, 0x4e, 0x45, 0x5d];

/** The events that end a stream of a response, a transcription or speech. */
const TERMINAL_TYPES: ReadonlySet<unknown> = new Set([
  'response.completed',
  'response.failed',
  'response.incomplete',
  'transcript.text.done',
  'speech.audio.done',
]);
const IMAGE_TYPE = 'image_generation.completed';
/** Events that are read although they may tell no usage. */
const READ_HINT =
  /"(?:response\.(?:created|completed|failed|incomplete)|transcript\.text\.done|speech\.audio\.done|image_generation\.completed)"/;
/** What `stream_options.include_usage` puts into every chunk but the last; not worth a parse. */
const NULL_USAGE = /"usage"\s*:\s*null/;

const EMPTY = new Uint8Array(0);
const decoder = new TextDecoder();

/** What to do with the bytes of an event. */
type Verdict = 'pass' | 'drop' | 'terminal';

/** How to meter one stream. */
export interface SseUsageScannerOptions {
  /** The caller asked for no usage, so chunks that exist only to report it are taken out. See `mergeStreamOptions`. */
  readonly hideUsage: boolean;
  /** The model's tokenizer, for the estimate; null where none is declared. */
  readonly countTokens: ((text: string) => number) | null;
  /** The API of the stream; OpenAI's where it is not given. */
  readonly dialect?: Dialect;
  /** For tests; 4 MiB otherwise. */
  readonly maxEventBytes?: number;
}

/**
 * Meters a `text/event-stream` as it passes, whatever its length and wherever its chunks are split.
 *
 * `push` returns what may go on to the caller now, in order, as views of the bytes that came in: never a changed byte. An event goes on when
 * it is complete. Two things do not:
 * - with `hideUsage`, an event whose JSON has usage and an empty `choices`, together with the blank line after it;
 * - from the terminal event on (`data: [DONE]`, the last event of a response, a transcription or speech, or `message_stop`) everything is held back until `end`,
 *   so that the call can be booked before its stream ends. `terminal` turns true with the push that brought that event.
 *
 * Lines end with LF, CRLF or CR. Comments outside an event pass at once (they keep connections alive). An event above 4 MiB passes unread.
 * Usage is read from every event that has any, the last nonzero value of each count wins. Source: Tinfoil reference section 5, "Counting".
 */
export class SseUsageScanner {
  readonly #hideUsage: boolean;
  readonly #maxEventBytes: number;
  #isFirstLine = true;
  readonly #estimate: OutputEstimate;
  /** Reads the events of a stream of Anthropic's API; null for OpenAI's. */
  readonly #messages: MessagesStream | null;

  #usage: TokenUsage | null = null;
  #model: string | null = null;
  #response: Readonly<Record<string, unknown>> | null = null;
  #seconds: number | null = null;
  #images: number | null = null;
  #terminal = false;
  #ended = false;
  #heldBack: Uint8Array[] = [];
  #heldBackBytes = 0;

  // The unfinished event: its bytes from the start, and how far they were read. Offsets are relative to the event's start.
  #carry: Uint8Array = EMPTY;
  #carried = 0;
  #lineStart = 0;
  #searchFrom = 0;
  /** Start and end of the payload of each data line of the event, in pairs. */
  #payloads: number[] = [];
  #inEvent = false;
  /** The last line ended with a CR that was the last byte, so that an LF now is no line of its own. */
  #lfMayFollow = false;
  /** The last event that was closed was taken out. */
  #dropped = false;

  // An event above the cap passes on until its blank line.
  #skipping = false;
  #skippedLineEmpty = true;

  constructor(options: SseUsageScannerOptions) {
    this.#hideUsage = options.hideUsage;
    this.#maxEventBytes = options.maxEventBytes ?? MAX_EVENT_BYTES;
    this.#estimate = new OutputEstimate(options.countTokens);
    this.#messages = options.dialect === 'anthropic' ? new MessagesStream() : null;
  }

  /** Usage reported so far, or null. */
  get usage(): TokenUsage | null {
    return this.#messages === null ? this.#usage : this.#messages.usage;
  }

  /** Whether `usage` counts the output as well; a Messages stream begins with a report that cannot. */
  get countsOutput(): boolean {
    return this.#messages === null ? this.#usage !== null : this.#messages.isFinal;
  }

  /** The model that a chunk with usage named, or null. */
  get model(): string | null {
    return this.#model;
  }

  /** The response as the last event that was read gave it (created, or ended); null where no such event came. */
  get response(): Readonly<Record<string, unknown>> | null {
    return this.#response;
  }

  /** Seconds of audio that the stream told, or null. */
  get seconds(): number | null {
    return this.#seconds;
  }

  /** Whole images that the stream brought, or null where it brought none. */
  get images(): number | null {
    return this.#images;
  }

  /** Whether the terminal event has come; it and all after it wait for `end`. */
  get terminal(): boolean {
    return this.#terminal;
  }

  /**
   * Output tokens so far by our own count: the last reported count and the text since, or all text where none was reported. An estimate,
   * for checkpoints, cut streams and upstreams that report nothing. Costs a tokenizer run over the text that has not been counted yet.
   */
  estimatedOutputTokens(): number {
    return this.#estimate.tokens();
  }

  /** Takes the next bytes and returns those that may go on now. The chunk must not be changed by its owner afterwards. */
  push(chunk: Uint8Array): Uint8Array[] {
    if (this.#ended) return [chunk];
    if (this.#terminal) {
      this.#holdBack(chunk);
      return [];
    }
    const out: Uint8Array[] = [];
    let rest = chunk;
    if (this.#skipping) rest = this.#skip(chunk, out);
    if (rest.length > 0) this.#scan(this.#joinCarry(rest), out);
    return out;
  }

  /**
   * Reads what is left (a last line without an end), and returns all bytes that were held back. `usage` is final before this returns, so
   * book first, then send these. After it, `push` passes everything on unread.
   */
  end(): Uint8Array[] {
    if (this.#ended) return [];
    this.#ended = true;
    if (this.#terminal) return this.#heldBack;
    const bytes = this.#carry.subarray(0, this.#carried);
    if (bytes.length === 0) return [];
    if (bytes.length > this.#lineStart) this.#readLine(bytes, this.#lineStart, bytes.length);
    if (this.#terminal) return [bytes];
    const verdict = this.#closeEvent(bytes);
    this.#terminal = verdict === 'terminal';
    return verdict === 'drop' ? [] : [bytes];
  }

  /** Reads all whole events of `bytes`, which begins with an event, and keeps what is left for later. */
  #scan(bytes: Uint8Array, out: Uint8Array[]): void {
    let eventStart = 0;
    let passFrom = 0;
    let lineStart = this.#lineStart;
    let searchFrom = this.#searchFrom;
    if (this.#lfMayFollow && isLf(bytes, searchFrom)) {
      if (this.#carried === 0) {
        // It belongs to the event before.
        eventStart = 1;
        passFrom = this.#dropped ? 1 : 0;
      }
      lineStart = searchFrom += 1;
    }
    this.#lfMayFollow = mayGoOn(bytes);
    const lines = new LineEnds(bytes);
    while (lines.find(searchFrom)) {
      const { end: lineEnd } = lines;
      let verdict: Verdict | null = null;
      if (lineEnd === lineStart) verdict = this.#closeEvent(bytes);
      else if (this.#readLine(bytes, lineStart, lineEnd) === 'comment' && !this.#inEvent) verdict = 'pass';
      if (verdict === 'terminal' || this.#terminal) {
        this.#terminal = true;
        pushPart(out, bytes, passFrom, eventStart);
        this.#holdBack(bytes.subarray(eventStart));
        this.#carry = EMPTY;
        return;
      }
      lineStart = searchFrom = lines.after;
      if (verdict === null) continue;
      this.#dropped = verdict === 'drop';
      if (verdict === 'drop') {
        pushPart(out, bytes, passFrom, eventStart);
        passFrom = lineStart;
      }
      eventStart = lineStart;
    }
    pushPart(out, bytes, passFrom, eventStart);
    this.#lineStart = lineStart - eventStart;
    this.#keepRest(bytes, eventStart, out);
  }

  /** Keeps the unfinished event that begins at `eventStart`, or gives up on reading it if it is too large. */
  #keepRest(bytes: Uint8Array, eventStart: number, out: Uint8Array[]): void {
    const length = bytes.length - eventStart;
    if (length > this.#maxEventBytes) {
      pushPart(out, bytes, eventStart, bytes.length);
      this.#skippedLineEmpty = bytes.length === eventStart + this.#lineStart;
      this.#skipping = true;
      this.#forgetEvent();
      return;
    }
    this.#searchFrom = length;
    if (length === 0) {
      this.#carry = EMPTY;
      this.#carried = 0;
    } else if (eventStart > 0 || bytes.buffer !== this.#carry.buffer) {
      // A copy: the chunk may be a small part of a large read buffer, and what was passed on must not be written over.
      this.#shiftPayloads(eventStart);
      this.#carry = new Uint8Array(Math.max(1024, length * 2));
      this.#carry.set(bytes.subarray(eventStart));
      this.#carried = length;
    }
  }

  /** Nobody reads what follows a terminal event, so above the cap it is let go: memory stays bounded. */
  #holdBack(bytes: Uint8Array): void {
    this.#heldBackBytes += bytes.length;
    if (this.#heldBack.length === 0 || this.#heldBackBytes <= this.#maxEventBytes) this.#heldBack.push(bytes);
  }

  #shiftPayloads(by: number): void {
    if (by > 0) this.#payloads = this.#payloads.map((offset) => offset - by);
  }

  #joinCarry(chunk: Uint8Array): Uint8Array {
    if (this.#carried === 0) return chunk;
    const length = this.#carried + chunk.length;
    if (length > this.#carry.length) {
      const larger = new Uint8Array(length * 2);
      larger.set(this.#carry.subarray(0, this.#carried));
      this.#carry = larger;
    }
    this.#carry.set(chunk, this.#carried);
    this.#carried = length;
    return this.#carry.subarray(0, length);
  }

  /** Passes on the rest of an event above the cap; returns what follows its blank line. */
  #skip(chunk: Uint8Array, out: Uint8Array[]): Uint8Array {
    let from = this.#lfMayFollow && isLf(chunk, 0) ? 1 : 0;
    this.#lfMayFollow = mayGoOn(chunk);
    const lines = new LineEnds(chunk);
    while (lines.find(from)) {
      const empty = this.#skippedLineEmpty && lines.end === from;
      from = lines.after;
      this.#skippedLineEmpty = true;
      if (!empty) continue;
      this.#skipping = false;
      this.#dropped = false;
      this.#lfMayFollow &&= from === chunk.length;
      pushPart(out, chunk, 0, from);
      return chunk.subarray(from);
    }
    this.#skippedLineEmpty &&= from === chunk.length;
    out.push(chunk);
    return EMPTY;
  }

  /** Takes one line, which is not empty, without its end. Sets `terminal` for `[DONE]`, which needs no blank line to be known. */
  #readLine(bytes: Uint8Array, start: number, end: number): 'comment' | 'field' {
    const from = this.#isFirstLine && startsWith(bytes, start, end, BYTE_ORDER_MARK) ? start + BYTE_ORDER_MARK.length : start;
    this.#isFirstLine = false;
    if (bytes[from] === COLON) return 'comment';
    this.#inEvent = true;
    if (!startsWith(bytes, from, end, DATA)) return 'field';
    let payload = from + DATA.length;
    if (payload < end && bytes[payload] !== COLON) return 'field';
    payload += 1;
    if (bytes[payload] === SPACE) payload += 1;
    if (payload >= end) return 'field';
    if (!isDone(bytes, payload, end)) {
      this.#payloads.push(payload, end);
      return 'field';
    }
    // Data lines before it in the same event: a server that forgets blank lines. They are held back with it, and must be metered now.
    if (this.#payloads.length > 0) this.#closeEvent(bytes);
    this.#terminal = true;
    return 'field';
  }

  /** Reads the event whose lines were taken, and says what becomes of its bytes. */
  #closeEvent(bytes: Uint8Array): Verdict {
    const payloads = this.#payloads;
    this.#forgetEvent();
    if (payloads.length === 0) return 'pass';
    const texts: string[] = [];
    for (let index = 0; index < payloads.length; index += 2) {
      texts.push(decoder.decode(bytes.subarray(payloads[index], payloads[index + 1])));
    }
    const whole = this.#readPayload(texts.join('\n'));
    if (whole !== null || texts.length === 1) return whole ?? 'pass';
    // Some servers put one JSON text on each data line and forget the blank lines between them. Such an event is read but never dropped.
    const verdicts = texts.map((text) => this.#readPayload(text));
    return verdicts.includes('terminal') ? 'terminal' : 'pass';
  }

  #forgetEvent(): void {
    this.#payloads = [];
    this.#inEvent = false;
    this.#lineStart = 0;
    this.#searchFrom = 0;
    if (this.#skipping) {
      this.#carry = EMPTY;
      this.#carried = 0;
    }
  }

  /** Meters one JSON text. Null if it had to be parsed and is no JSON. */
  #readPayload(text: string): Verdict | null {
    if (this.#messages !== null) return this.#readMessagesEvent(this.#messages, text);
    const hasUsage = text.includes('"usage"') && !isOnlyNullUsage(text);
    if (!hasUsage && !READ_HINT.test(text)) {
      this.#estimate.addChunk(text);
      return 'pass';
    }
    const event = tryParse(text);
    if (event === null) return null;
    const usage = normalizeUsage(event);
    if (usage === null) this.#estimate.addChunk(text);
    else this.#takeUsage(usage, event, text);
    this.#takeKind(event);
    if (TERMINAL_TYPES.has(event['type'])) return 'terminal';
    const choices = event['choices'];
    return usage !== null && this.#hideUsage && Array.isArray(choices) && choices.length === 0 ? 'drop' : 'pass';
  }

  #readMessagesEvent(messages: MessagesStream, text: string): Verdict | null {
    const event = messages.wants(text) ? tryParse(text) : null;
    if (event === null) {
      this.#estimate.addChunk(text);
      return messages.wants(text) ? null : 'pass';
    }
    const meaning = messages.take(event);
    if (meaning === 'restart') this.#estimate.restartAt(messages.usage?.completionTokens ?? 0);
    else this.#estimate.addChunk(text);
    return meaning === 'terminal' ? 'terminal' : 'pass';
  }

  /** What an event tells beside its usage. */
  #takeKind(event: Readonly<Record<string, unknown>>): void {
    const { response } = event;
    if (typeof response === 'object' && response !== null) this.#response = response as Readonly<Record<string, unknown>>;
    if (event['type'] === IMAGE_TYPE) this.#images = (this.#images ?? 0) + 1;
    this.#seconds = reportedSeconds(event['usage'], null) ?? this.#seconds;
  }

  #takeUsage(usage: TokenUsage, event: Readonly<Record<string, unknown>>, text: string): void {
    this.#usage = mergeUsage(this.#usage, usage);
    // A report without output, as at the start of some streams, says nothing about the text so far.
    if (usage.completionTokens > 0) this.#estimate.restartAt(this.#usage.completionTokens);
    else this.#estimate.addChunk(text);
    if (typeof event['model'] === 'string') this.#model = event['model'];
  }
}

/** The one `usage` in the text, by far the most frequent case of a chunk that mentions it at all, is null. */
function isOnlyNullUsage(text: string): boolean {
  return text.indexOf('"usage"') === text.lastIndexOf('"usage"') && NULL_USAGE.test(text);
}

function tryParse(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value = parseJson(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function pushPart(out: Uint8Array[], bytes: Uint8Array, from: number, to: number): void {
  if (to > from) out.push(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to));
}

function startsWith(bytes: Uint8Array, start: number, end: number, prefix: readonly number[]): boolean {
  return end - start >= prefix.length && prefix.every((byte, index) => bytes[start + index] === byte);
}

/** `[DONE]`, with nothing but spaces around it. */
function isDone(bytes: Uint8Array, start: number, end: number): boolean {
  let from = start;
  while (from < end && bytes[from] === SPACE) from += 1;
  if (!startsWith(bytes, from, end, DONE)) return false;
  for (let index = from + DONE.length; index < end; index++) if (bytes[index] !== SPACE) return false;
  return true;
}
