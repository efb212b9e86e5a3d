import { outputText } from './output-text.ts';
import { utf8Length } from './utf8-length.ts';

/** JSON texts of chunks wait in here before they are parsed; the text in them is a small part of it. */
const MAX_WAITING_CHARS = 16_384;
/** Produced text waits here before it is counted, so that most streams, which report usage in the end, never pay for counting. */
const MAX_TEXT_CHARS = 16_384;

/** About how many bytes of text a token has where no tokenizer is declared. Low for English, so the estimate leans to our favour. */
const BYTES_PER_TOKEN = 3;

/**
 * Counts the output tokens of a stream from its chunks, late and only as far as asked, in bounded memory (32 Ki characters).
 *
 * `countTokens` is the model's declared tokenizer; without one (null) three bytes of text count as a token.
 */
export class OutputEstimate {
  readonly #countTokens: ((text: string) => number) | null;
  #waiting: string[] = [];
  #waitingChars = 0;
  #text = '';
  #countedTokens = 0;
  #countedBytes = 0;

  constructor(countTokens: ((text: string) => number) | null) {
    this.#countTokens = countTokens;
  }

  /** Takes the JSON text of one chunk; what is no JSON counts as nothing. */
  addChunk(jsonText: string): void {
    this.#waiting.push(jsonText);
    this.#waitingChars += jsonText.length;
    if (this.#waitingChars > MAX_WAITING_CHARS) this.#fold();
  }

  /** Takes produced text as it is. */
  addText(text: string): void {
    this.#text += text;
    if (this.#text.length > MAX_TEXT_CHARS) this.#count();
  }

  /** Forgets all text before now: the upstream has reported `completionTokens` for it. */
  restartAt(completionTokens: number): void {
    this.#waiting = [];
    this.#waitingChars = 0;
    this.#text = '';
    this.#countedBytes = 0;
    this.#countedTokens = completionTokens;
  }

  /** Tokens up to now. */
  tokens(): number {
    this.#fold();
    this.#count();
    return this.#countedTokens + Math.ceil(this.#countedBytes / BYTES_PER_TOKEN);
  }

  #fold(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingChars = 0;
    for (const jsonText of waiting) {
      try {
        this.addText(outputText(JSON.parse(jsonText)));
      } catch {
        // Not JSON: an upstream's notice in a data line. It passes on to the caller and counts as nothing.
      }
    }
  }

  #count(): void {
    if (this.#text === '') return;
    if (this.#countTokens === null) this.#countedBytes += utf8Length(this.#text);
    else this.#countedTokens += this.#countTokens(this.#text);
    this.#text = '';
  }
}
