import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';

// Tables of vocabularies from one start to the next, beside what Node keeps of compiled code: making one takes a third of a second of
// processor time. Whoever can write there can change the program itself, so the sum is against damage only.

/** Grows with the form of a table. */
const FORM = 1;
const SUM_BYTES = 4;
const FOLDER = fileURLToPath(new URL('../../../node_modules/.cache/castellan/vocabularies/', import.meta.url));

/** The file of a table: another one for another version of the library that it comes from. */
function fileOf(name: string): string {
  const { version } = createRequire(import.meta.url)('gpt-tokenizer/package.json') as { readonly version: string };
  return join(FOLDER, `${name}-${version}-${FORM}.table`);
}

/** The table that was kept, or null where there is none that is whole. */
export async function readKept(name: string): Promise<Uint8Array | null> {
  try {
    const bytes = await readFile(fileOf(name));
    const table = bytes.subarray(SUM_BYTES);
    return bytes.length > SUM_BYTES && bytes.readUInt32LE() === crc32(table) ? table : null;
  } catch {
    return null;
  }
}

/** Keeps a table; where that cannot be done, the next start makes it anew. */
export async function keep(name: string, table: Uint8Array): Promise<void> {
  const sum = Buffer.alloc(SUM_BYTES);
  sum.writeUInt32LE(crc32(table));
  let draft: string | null = null;
  try {
    const file = fileOf(name);
    await mkdir(FOLDER, { recursive: true });
    draft = `${file}.${process.pid}`;
    await writeFile(draft, Buffer.concat([sum, table]));
    await rename(draft, file);
  } catch {
    // A folder that cannot be written, a full disk: nothing depends on it.
    if (draft !== null) await rm(draft, { force: true }).catch(() => undefined);
  }
}
