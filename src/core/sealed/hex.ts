/** Bytes as hex in lower case. */
export const hexOf = (bytes: Uint8Array): string => bytes.toHex();

/** The bytes of a text in hex. Throws a `SyntaxError` where it is none. */
export const bytesOfHex = (hex: string): Uint8Array => Uint8Array.fromHex(hex);
