/** Source of identifiers and secrets. */
export interface Ids {
  /** A new unique id that sorts by the time it was made: `<prefix>_<26 characters of Crockford base 32>`. */
  next(prefix: string): string;
  /** `length` characters of `0-9A-Za-z`, uniformly at random from a cryptographic source. */
  base62(length: number): string;
  /** `length` random bytes as base64url. */
  token(length: number): string;
}
