import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readTar, type TarEntry, writeTar } from './tar.ts';

async function* entriesOf(files: readonly (readonly [string, Buffer])[]): AsyncGenerator<TarEntry> {
  for (const [name, bytes] of files) yield { name, size: bytes.length, chunks: [bytes] };
}

async function bytesOf(chunks: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function readAll(stream: AsyncIterable<Buffer>): Promise<[string, string][]> {
  const found: [string, string][] = [];
  for await (const { name, chunks } of readTar(stream)) found.push([name, (await bytesOf(chunks)).toString()]);
  return found;
}

const FILES = [
  ['a.json', Buffer.from('{}')],
  ['empty', Buffer.alloc(0)],
  ['folder/b', Buffer.from('x'.repeat(512))],
  ['folder/c', Buffer.from('y'.repeat(5000))],
] as const;

test('what is written is read again, however the stream is cut', async () => {
  const archive = await bytesOf(writeTar(entriesOf(FILES)));
  const expected = FILES.map(([name, bytes]) => [name, bytes.toString()]);
  for (const size of [1, 511, 512, 513, 100_000]) expect(await readAll(inPieces(archive, size))).toEqual(expected);
});

test('what of an entry is not read is passed over', async () => {
  const archive = await bytesOf(writeTar(entriesOf(FILES)));
  const names: string[] = [];
  for await (const { name } of readTar(inPieces(archive, 700))) names.push(name);
  expect(names).toEqual(FILES.map(([name]) => name));
});

test('the tar of the system lists and unpacks it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'castellan-tar-'));
  try {
    writeFileSync(join(folder, 'a.tar'), await bytesOf(writeTar(entriesOf(FILES))));
    expect(execFileSync('tar', ['tf', 'a.tar'], { cwd: folder, encoding: 'utf8' })).toBe('a.json\nempty\nfolder/b\nfolder/c\n');
    expect(execFileSync('tar', ['xOf', 'a.tar', 'folder/c'], { cwd: folder, encoding: 'utf8' })).toBe('y'.repeat(5000));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('an archive that ends in the middle is refused, at whichever byte', async () => {
  const archive = await bytesOf(writeTar(entriesOf(FILES)));
  for (const length of [0, 1, 512, 513, 1024, archive.length - 1025]) {
    await expect(readAll(inPieces(archive.subarray(0, length), 512))).rejects.toThrow(/ends in the middle/);
  }
});

test('what is no archive is refused', async () => {
  await expect(readAll(inPieces(Buffer.from('no archive'.repeat(200)), 512))).rejects.toThrow(/no backup of Castellan/);
});

test('a size that eleven octal digits do not hold is written and read', async () => {
  const size = 9 * 1024 ** 3;
  const first = await writeTar(
    (async function* () {
      yield { name: 'large', size, chunks: [] };
    })(),
  ).next();
  const source = inPieces(first.value as Buffer, 512);
  expect((await readTar(source).next()).value).toMatchObject({ name: 'large', size });
});
