import { BackupRefusal } from './refusal.ts';

/** One file of an archive. `chunks` are `size` bytes together. */
export interface TarEntry {
  readonly name: string;
  readonly size: number;
  readonly chunks: AsyncIterable<Buffer> | Iterable<Buffer>;
}

const BLOCK = 512;
/** Sizes beyond what eleven octal digits say are written in binary, as GNU tar does. */
const LARGEST_OCTAL = 0o77777777777;

const NAME_AT = 0;
const NAME_BYTES = 100;
const SIZE_AT = 124;
const SIZE_BYTES = 12;
const CHECKSUM_AT = 148;
const CHECKSUM_BYTES = 8;
const TYPE_AT = 156;

const padding = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

const octal = (value: number, bytes: number): string => `${value.toString(8).padStart(bytes - 1, '0')}\0`;

const sumOf = (header: Buffer): number => {
  // The checksum's own field counts as spaces.
  const copy = Buffer.from(header);
  copy.fill(' ', CHECKSUM_AT, CHECKSUM_AT + CHECKSUM_BYTES);
  return copy.reduce((sum, byte) => sum + byte, 0);
};

function headerOf(name: string, size: number): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write(name, NAME_AT, NAME_BYTES, 'utf8');
  header.write(octal(0o600, 8), 100);
  header.write(octal(0, 8), 108);
  header.write(octal(0, 8), 116);
  if (size <= LARGEST_OCTAL) header.write(octal(size, SIZE_BYTES), SIZE_AT);
  else {
    header[SIZE_AT] = 0x80;
    header.writeBigUInt64BE(BigInt(size), SIZE_AT + 4);
  }
  header.write(octal(0, 12), 136);
  header.write('0', TYPE_AT);
  header.write('ustar\0' + '00', 257);
  header.write(`${sumOf(header).toString(8).padStart(6, '0')}\0 `, CHECKSUM_AT);
  return header;
}

/** Writes entries as a tar archive (POSIX ustar, readable by every `tar`), one after another. */
export async function* writeTar(entries: AsyncIterable<TarEntry>): AsyncGenerator<Buffer> {
  for await (const { name, size, chunks } of entries) {
    if (Buffer.byteLength(name) > NAME_BYTES) throw new Error(`the name ${name} is too long for an archive`);
    yield headerOf(name, size);
    let written = 0;
    for await (const chunk of chunks) {
      written += chunk.length;
      yield chunk;
    }
    if (written !== size) throw new Error(`${name} has ${written} bytes and not ${size}`);
    yield Buffer.alloc(padding(size));
  }
  yield Buffer.alloc(2 * BLOCK);
}

/** Hands out exactly the bytes that are asked for, of a stream that comes in pieces of any size. */
class ByteSource {
  readonly #source: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** At most `limit` bytes, at least one; throws where the stream is over. */
  async some(limit: number): Promise<Buffer> {
    while (this.#rest.length === 0) {
      const next = await this.#source.next();
      if (next.done === true) throw new BackupRefusal('The backup ends in the middle: it was not written, or not copied, to its end.');
      this.#rest = next.value;
    }
    const part = this.#rest.subarray(0, limit);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }

  async exactly(count: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let missing = count; missing > 0;) {
      const part = await this.some(missing);
      parts.push(part);
      missing -= part.length;
    }
    return Buffer.concat(parts);
  }
}

const NOT_OURS = 'This file is no backup of Castellan, or it is damaged: take one that castellan backup wrote.';

function sizeIn(header: Buffer): number {
  if (((header[SIZE_AT] ?? 0) & 0x80) !== 0) return Number(header.readBigUInt64BE(SIZE_AT + 4));
  const text = header.toString('latin1', SIZE_AT, SIZE_AT + SIZE_BYTES).replace(/[\0 ]+$/, '');
  if (!/^[0-7]{1,12}$/.test(text)) throw new BackupRefusal(NOT_OURS);
  return Number.parseInt(text, 8);
}

/**
 * Reads a tar archive, entry by entry; what of an entry was not read is passed over. Throws a `BackupRefusal` where it is none, or where it ends
 * before its end.
 */
export async function* readTar(stream: AsyncIterable<Buffer>): AsyncGenerator<TarEntry> {
  const source = new ByteSource(stream);
  for (;;) {
    const header = await source.exactly(BLOCK);
    if (header.every((byte) => byte === 0)) return;
    const checksum = Number.parseInt(header.toString('latin1', CHECKSUM_AT, CHECKSUM_AT + CHECKSUM_BYTES), 8);
    if (checksum !== sumOf(header)) throw new BackupRefusal(NOT_OURS);
    const size = sizeIn(header);
    const nameEnd = header.indexOf(0, NAME_AT);
    const name = header.toString('utf8', NAME_AT, Math.min(nameEnd === -1 ? NAME_BYTES : nameEnd, NAME_BYTES));
    const chunks = bytesOf(source, size);
    yield { name, size, chunks };
    // What the reader of the entry left.
    for await (const _ of chunks);
    await source.exactly(padding(size));
  }
}

async function* bytesOf(source: ByteSource, size: number): AsyncGenerator<Buffer> {
  for (let missing = size; missing > 0;) {
    const part = await source.some(missing);
    missing -= part.length;
    yield part;
  }
}
