import { Buffer } from 'node:buffer';
import { makeRankOf, NO_RANK, type RankOf, type RankTable } from './rank-table.ts';

/** Longer pieces are merged in parts of this size: merging takes time in the square of the length. */
const MAX_MERGE_BYTES = 128;
/**
 * How many bytes of pieces that are no token by themselves are merged in one call; further ones count as their bytes, which is never less.
 * Merging takes about a microsecond a byte. Remembered pieces count as well: the answer must not depend on what was counted before.
 */
const MAX_MERGED_BYTES = 8_192;
/** How many merged pieces are remembered; a conversation repeats most of its words in the next call. */
const MAX_REMEMBERED_PIECES = 20_000;
/** Longer pieces are not remembered, which bounds the memory of the above to a few megabytes. */
const MAX_REMEMBERED_CHARS = 64;

/** Counts the tokens that some bytes merge into. */
export type Merge = (bytes: Uint8Array) => number;

/**
 * Makes a counter of byte-pair tokens: `split` cuts text into pieces, each is a token or is merged from its bytes by lowest rank. `makeOwn`
 * makes the merge that it works with.
 *
 * Written here, over the library's vocabulary, because the library merges in square time: one 64 KiB word would stop the event loop for
 * seconds. Ours merges pieces above 128 bytes in parts, and after 8 KiB of merging counts bytes: up to there the count is exact but for
 * such pieces, which may come out a few tokens high.
 */
export function makeBytePairCounter(
  table: RankTable,
  split: RegExp,
  makeOwn: (rankOf: RankOf) => Merge = makeMerge,
): (text: string) => number {
  const rankOf = makeRankOf(table);
  const remembered = new Map<string, number>();
  const merge = makeOwn(rankOf);
  // The bytes of the piece at hand. No token is longer than what is merged at once.
  const encoder = new TextEncoder();
  const piece = new Uint8Array(MAX_MERGE_BYTES);

  /** Tokens of a piece that is longer than any token. */
  const countLong = (text: string): number => {
    const bytes = Buffer.from(text);
    let tokens = 0;
    for (let from = 0; from < bytes.length; from += MAX_MERGE_BYTES) tokens += merge(bytes.subarray(from, from + MAX_MERGE_BYTES));
    return tokens;
  };

  /** The piece's length in bytes where it fits, else -1. */
  const encode = (text: string): number => {
    if (text.length > MAX_MERGE_BYTES) return -1;
    const { read, written } = encoder.encodeInto(text, piece);
    return read === text.length ? written : -1;
  };

  const countPiece = (text: string, length: number): number => {
    const known = remembered.get(text);
    if (known !== undefined) return known;
    const count = length < 0 ? countLong(text) : merge(piece.subarray(0, length));
    if (text.length <= MAX_REMEMBERED_CHARS) {
      // Dropping everything now and then costs less than keeping an order of use.
      if (remembered.size >= MAX_REMEMBERED_PIECES) remembered.clear();
      remembered.set(text, count);
    }
    return count;
  };

  return (text) => {
    let tokens = 0;
    let merged = 0;
    for (const part of text.match(split) ?? []) {
      const length = encode(part);
      if (length >= 0 && rankOf(piece, 0, length) !== NO_RANK) {
        tokens += 1;
      } else if (merged > MAX_MERGED_BYTES) {
        tokens += Buffer.byteLength(part);
      } else {
        tokens += countPiece(part, length);
        merged += part.length;
      }
    }
    return tokens;
  };
}

/** Makes the merge of at most `MAX_MERGE_BYTES` bytes. It takes three look-ups and `MAX_MERGE_BYTES` steps for each byte at most. */
export function makeMerge(rankOf: RankOf): Merge {
  // Where the parts begin, and the rank of the pair that begins there. Reused by every call; the function never calls itself.
  const starts = new Int32Array(MAX_MERGE_BYTES + 2);
  const pairRanks = new Int32Array(MAX_MERGE_BYTES + 2);
  return (bytes) => {
    let parts = bytes.length;
    for (let part = 0; part <= parts; part++) {
      starts[part] = part;
      pairRanks[part] = part + 1 < parts ? rankOf(bytes, part, part + 2) : NO_RANK;
    }
    const rankAt = (part: number): number =>
      part + 1 < parts ? rankOf(bytes, starts[part] as number, starts[part + 2] as number) : NO_RANK;
    while (parts > 1) {
      let lowest = NO_RANK;
      let at = -1;
      for (let part = 0; part + 1 < parts; part++) {
        const rank = pairRanks[part] as number;
        if (rank < lowest) {
          lowest = rank;
          at = part;
        }
      }
      if (at === -1) break;
      starts.copyWithin(at + 1, at + 2, parts + 1);
      pairRanks.copyWithin(at + 1, at + 2, parts + 1);
      parts -= 1;
      pairRanks[at] = rankAt(at);
      if (at > 0) pairRanks[at - 1] = rankAt(at - 1);
    }
    return parts;
  };
}
