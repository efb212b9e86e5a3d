import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { codeOf } from '../data-folder.ts';
import { CHECKSUMS_FILE, type Manifest, MANIFEST_FILE, readChecksums, readManifest } from './manifest.ts';
import { BackupRefusal } from './refusal.ts';
import { readTar, type TarEntry } from './tar.ts';

/** A manifest or the checksums, or a portion of rows, is no larger. */
const MAX_IN_MEMORY_BYTES = 256 * 1024 * 1024;

/** An archive that is being read. */
export interface Archive {
  readonly manifest: Manifest;
  /**
   * Gives every file of data to `take`, which must read its `chunks`, and resolves when all of them were compared with their checksums.
   * Throws a `BackupRefusal` where one is damaged, or where the archive ends before its end.
   */
  readData(take: (entry: TarEntry) => Promise<void>): Promise<void>;
}

/**
 * Opens an archive for `use`, and closes it behind it. `onShare` is told how much of the file, 0 to 1, was read. Throws a `BackupRefusal`
 * where the file is none, or damaged.
 */
export async function withArchive<T>(
  { file, onShare }: { readonly file: string; readonly onShare: (share: number) => void },
  use: (archive: Archive) => Promise<T>,
): Promise<T> {
  const total = sizeOf(file);
  let read = 0;
  const compressed = createReadStream(file, { highWaterMark: 256 * 1024 });
  compressed.on('data', (chunk) => {
    read += chunk.length;
    onShare(total === 0 ? 1 : read / total);
  });
  const gunzip = createGunzip();
  // What breaks the one shows in the other, from which we read.
  const flow = pipeline(compressed, gunzip).catch(() => undefined);
  try {
    return await use(await openArchive(gunzip as AsyncIterable<Buffer>));
  } catch (error) {
    throw explained(error, file);
  } finally {
    compressed.destroy();
    gunzip.destroy();
    await flow;
  }
}

function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch (error) {
    throw new BackupRefusal(`${file} cannot be read (${codeOf(error)}): name a file that castellan backup wrote.`);
  }
}

function explained(error: unknown, file: string): unknown {
  const code = codeOf(error);
  if (code === 'Z_BUF_ERROR') return new BackupRefusal(ENDED);
  if (code.startsWith('Z_'))
    return new BackupRefusal(`${file} is no backup of Castellan, or it is damaged: name a file that castellan backup wrote.`);
  return error;
}

const ENDED = 'The backup ends before its checksums: it was not written, or not copied, to its end.';

async function openArchive(stream: AsyncIterable<Buffer>): Promise<Archive> {
  const entries = readTar(stream);
  const sums = new Map<string, string>();
  const first = await entries.next();
  if (first.done === true || first.value.name !== MANIFEST_FILE)
    throw new BackupRefusal('This file is no backup of Castellan: it does not begin with a manifest of one.');
  const manifest = readManifest(await textOf(summed(first.value, sums)));
  return {
    manifest,
    readData: async (take) => {
      let isWhole = false;
      for await (const entry of entries) {
        if (entry.name === CHECKSUMS_FILE) {
          refuseDamaged(await textOf(entry), sums);
          isWhole = true;
        } else await take(summed(entry, sums));
      }
      if (!isWhole) throw new BackupRefusal(ENDED);
    },
  };
}

/** The text of a small entry. */
export async function textOf({ name, size, chunks }: TarEntry): Promise<string> {
  if (size > MAX_IN_MEMORY_BYTES) throw new BackupRefusal(`The backup is damaged: ${name} is too large.`);
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts).toString('utf8');
}

/** The same entry; when its bytes are over, their SHA-256 is in `sums`. */
function summed({ name, size, chunks }: TarEntry, sums: Map<string, string>): TarEntry {
  async function* passing(): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    for await (const chunk of chunks) {
      hash.update(chunk);
      yield chunk;
    }
    sums.set(name, hash.digest('hex'));
  }
  return { name, size, chunks: passing() };
}

/** Every file, no more and no less, as it was written. */
function refuseDamaged(text: string, sums: ReadonlyMap<string, string>): void {
  const { sha256 } = readChecksums(text);
  const wrong = [...new Set([...Object.keys(sha256), ...sums.keys()])].find((name) => sha256[name] !== sums.get(name));
  if (wrong !== undefined) throw new BackupRefusal(`The backup is damaged: ${wrong} is not as it was written.`);
}
