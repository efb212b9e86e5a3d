import { Buffer } from 'node:buffer';

/** A vocabulary: tokens by rank, as text where they are whole characters, else as bytes. */
export type Vocabulary = readonly (string | readonly number[])[];

/**
 * A vocabulary as a hash table in three flat arrays, which can be handed from thread to thread and take a tenth of the memory of a `Map` of
 * strings: the bytes of all tokens one after another, where each begins (and the end of the last), and slots with rank + 1 or 0.
 */
export interface RankTable {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly starts: Uint32Array<ArrayBuffer>;
  readonly slots: Int32Array<ArrayBuffer>;
}

/** The rank of the token with the bytes `source[from..to)`, or {@link NO_RANK}. */
export type RankOf = (source: Uint8Array, from: number, to: number) => number;

/** Above every rank. */
export const NO_RANK = 0x7fffffff;

/** At least this many slots for each token: a look-up that finds nothing must end soon. */
const SLOTS_PER_TOKEN = 2;

/** FNV-1a of some bytes, its upper bits mixed into the lower ones, which choose the slot. */
function hashOf(source: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let index = from; index < to; index++) hash = Math.imul(hash ^ (source[index] as number), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** Lays a vocabulary out as a {@link RankTable}. */
export function buildRankTable(vocabulary: Vocabulary): RankTable {
  const tokens = vocabulary.map((token) => (typeof token === 'string' ? Buffer.from(token) : Uint8Array.from(token)));
  const starts = new Uint32Array(tokens.length + 1);
  const bytes = new Uint8Array(tokens.reduce((sum, { length }) => sum + length, 0));
  const slots = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(1, tokens.length * SLOTS_PER_TOKEN))));
  let end = 0;
  for (const [rank, token] of tokens.entries()) {
    bytes.set(token, end);
    end += token.length;
    starts[rank + 1] = end;
    let slot = hashOf(token, 0, token.length) & (slots.length - 1);
    while (slots[slot] !== 0) slot = (slot + 1) & (slots.length - 1);
    slots[slot] = rank + 1;
  }
  return { bytes, starts, slots };
}

/** Makes the look-up of a table. Takes no memory for a call. */
export function makeRankOf({ bytes, starts, slots }: RankTable): RankOf {
  const mask = slots.length - 1;
  return (source, from, to) => {
    const length = to - from;
    let slot = hashOf(source, from, to) & mask;
    for (;;) {
      const rank = (slots[slot] as number) - 1;
      if (rank < 0) return NO_RANK;
      const start = starts[rank] as number;
      if ((starts[rank + 1] as number) - start === length) {
        let index = 0;
        while (index < length && bytes[start + index] === source[from + index]) index += 1;
        if (index === length) return rank;
      }
      slot = (slot + 1) & mask;
    }
  };
}

const HEADER_NUMBERS = 3;
const NUMBER_BYTES = 4;

/** A table as bytes, for another process on this machine: the lengths of the three arrays, then `starts`, `slots` and `bytes`. */
export function encodeRankTable({ bytes, starts, slots }: RankTable): Buffer {
  const header = Uint32Array.of(starts.length, slots.length, bytes.length);
  return Buffer.concat([header, starts, slots].map((part) => Buffer.from(part.buffer)).concat(Buffer.from(bytes.buffer)));
}

/** The table that {@link encodeRankTable} encoded; throws where there is more or less than that. */
export function decodeRankTable(encoded: Uint8Array): RankTable {
  // A copy, so that it begins where numbers of four bytes may, and holds nothing else in memory.
  const { buffer } = Uint8Array.from(encoded);
  const [starts = 0, slots = 0, bytes = 0] = new Uint32Array(buffer.slice(0, HEADER_NUMBERS * NUMBER_BYTES));
  const startsAt = HEADER_NUMBERS * NUMBER_BYTES;
  const slotsAt = startsAt + starts * NUMBER_BYTES;
  const bytesAt = slotsAt + slots * NUMBER_BYTES;
  if (bytesAt + bytes !== buffer.byteLength) throw new Error('the vocabulary is not whole');
  return {
    starts: new Uint32Array(buffer, startsAt, starts),
    slots: new Int32Array(buffer, slotsAt, slots),
    bytes: new Uint8Array(buffer, bytesAt, bytes),
  };
}
