/** Counts tokens of text as one model family does. */
export interface Tokenizer {
  readonly name: string;
  /**
   * Tokens of `text`, read as plain text (the names of special tokens in it are text too). Synchronous; at most a few milliseconds for
   * 64 KiB of any text, so it may run on the event loop. Never throws.
   */
  count(text: string): number;
}

/** The tokenizers that the program brings. */
export interface Tokenizers {
  /** Names that a model may declare. */
  readonly names: readonly string[];
  /**
   * The tokenizer of that name, or null if there is none. The first call for a name takes a few hundred milliseconds of processor time;
   * later ones answer from memory.
   */
  load(name: string): Promise<Tokenizer | null>;
  /** The tokenizer of that name if it is loaded already, else null: for the request path, which must not wait where it need not. */
  loaded(name: string): Tokenizer | null;
}
