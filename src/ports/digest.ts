/** The SHA-256 of a text in UTF-8, 64 hexadecimal digits. */
export type Digest = (text: string) => string;
