import { Buffer } from 'node:buffer';

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

const NO_RANK = 0x7fffffff;

/** A vocabulary: tokens by rank, as text where they are whole characters, else as bytes. */
export type Vocabulary = readonly (string | readonly number[])[];

/**
 * Makes a counter of byte-pair tokens: `split` cuts text into pieces, each is a token or is merged from its bytes by lowest rank.
 *
 * Written here, over the library's vocabulary, because the library merges in square time: one 64 KiB word would stop the event loop for
 * seconds. Ours merges pieces above 128 bytes in parts, and after 8 KiB of merging counts bytes: up to there the count is exact but for
 * such pieces, which may come out a few tokens high.
 */
export function makeBytePairCounter(vocabulary: Vocabulary, split: RegExp): (text: string) => number {
  const ranks = new Map<string, number>();
  vocabulary.forEach((token, rank) => ranks.set(typeof token === 'string' ? bytesOf(token) : Buffer.from(token).toString('latin1'), rank));
  const remembered = new Map<string, number>();
  const merge = makeMerge(ranks);

  const countPiece = (piece: string): number => {
    const bytes = bytesOf(piece);
    if (ranks.has(bytes)) return 1;
    if (bytes.length <= MAX_MERGE_BYTES) return merge(bytes);
    let tokens = 0;
    for (let from = 0; from < bytes.length; from += MAX_MERGE_BYTES) tokens += merge(bytes.slice(from, from + MAX_MERGE_BYTES));
    return tokens;
  };

  return (text) => {
    let tokens = 0;
    let merged = 0;
    for (const piece of text.match(split) ?? []) {
      if (ranks.has(piece) && isAscii(piece)) {
        tokens += 1;
        continue;
      }
      if (merged > MAX_MERGED_BYTES) {
        tokens += Buffer.byteLength(piece);
        continue;
      }
      let count = remembered.get(piece);
      if (count === undefined) {
        count = countPiece(piece);
        if (piece.length <= MAX_REMEMBERED_CHARS) {
          // Dropping everything now and then costs less than keeping an order of use.
          if (remembered.size >= MAX_REMEMBERED_PIECES) remembered.clear();
          remembered.set(piece, count);
        }
      }
      if (count > 1) merged += piece.length;
      tokens += count;
    }
    return tokens;
  };
}

/** The UTF-8 bytes of text, one character of the result a byte; ASCII text is its own. */
function bytesOf(text: string): string {
  return isAscii(text) ? text : Buffer.from(text).toString('latin1');
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}

/** Counts the tokens that a byte string of at most `MAX_MERGE_BYTES` merges into. */
function makeMerge(ranks: ReadonlyMap<string, number>): (bytes: string) => number {
  // Where the parts begin, and the rank of the pair that begins there. Reused by every call; the function never calls itself.
  const starts = new Int32Array(MAX_MERGE_BYTES + 2);
  const pairRanks = new Int32Array(MAX_MERGE_BYTES + 2);
  const rankOfTwo = new Int32Array(65_536).fill(NO_RANK);
  for (const [bytes, rank] of ranks) {
    if (bytes.length === 2) rankOfTwo[(bytes.charCodeAt(0) << 8) | bytes.charCodeAt(1)] = rank;
  }
  return (bytes) => {
    let parts = bytes.length;
    for (let part = 0; part <= parts; part++) {
      starts[part] = part;
      const isPair = part + 1 < parts;
      pairRanks[part] = isPair ? (rankOfTwo[(bytes.charCodeAt(part) << 8) | bytes.charCodeAt(part + 1)] as number) : NO_RANK;
    }
    const rankAt = (part: number): number =>
      part + 1 < parts ? (ranks.get(bytes.slice(starts[part], starts[part + 2])) ?? NO_RANK) : NO_RANK;
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
