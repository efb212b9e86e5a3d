/** A pair of keys as it is kept: 32 bytes each. */
export interface RawKeyPair {
  readonly publicKey: Uint8Array;
  readonly privateKey: Uint8Array;
}

/** The cryptography of sealed calls (EHBP specification, sections 4.3 and 4.4). A private key leaves its implementation only as {@link RawKeyPair}. */
export interface SealedCrypto {
  makeKeyPair(): Promise<RawKeyPair>;
  /** Makes a key ready for use. */
  load(pair: RawKeyPair): Promise<SealedReceiver>;
}

/** A key that opens what is sealed for it. */
export interface SealedReceiver {
  /** The context of a request by the key that came with it (32 bytes); null where that is none. Whether it is the right one shows at the first frame. */
  receive(encapsulatedKey: Uint8Array): Promise<SealedContext | null>;
}

/** What opens the frames of one request, in their order, and seals its answer. */
export interface SealedContext {
  /** What the next frame says; null where it was not sealed as the next frame of this context. */
  open(frame: Uint8Array): Promise<Uint8Array | null>;
  /** Begins an answer, with a nonce of its own. */
  answer(): Promise<AnswerSealer>;
}

/** Seals the frames of one answer. */
export interface AnswerSealer {
  /** The random nonce that its client needs, 32 bytes in hex. */
  readonly nonce: string;
  /** The next frame as it goes out, its length first. */
  seal(plaintext: Uint8Array): Uint8Array;
}
