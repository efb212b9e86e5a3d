import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { keep, readKept } from './kept-tables.ts';

const FOLDER = fileURLToPath(new URL('../../../node_modules/.cache/castellan/vocabularies/', import.meta.url));
const NAME = `test-${process.pid}`;
const filesOf = (): string[] => readdirSync(FOLDER).filter((file) => file.startsWith(NAME));

afterEach(() => {
  for (const file of filesOf()) rmSync(`${FOLDER}${file}`);
});

test('a table is kept whole, and one that is damaged or missing is no table', async () => {
  expect(await readKept(NAME)).toBeNull();
  const table = Uint8Array.from({ length: 5000 }, (_, index) => index % 251);
  await keep(NAME, table);
  expect([...((await readKept(NAME)) ?? [])]).toEqual([...table]);
  const [file = ''] = filesOf();
  expect(filesOf()).toHaveLength(1);
  const bytes = readFileSync(`${FOLDER}${file}`);
  writeFileSync(`${FOLDER}${file}`, bytes.subarray(0, 3000));
  expect(await readKept(NAME)).toBeNull();
  bytes[2500] = (bytes[2500] ?? 0) ^ 1;
  writeFileSync(`${FOLDER}${file}`, bytes);
  expect(await readKept(NAME)).toBeNull();
  writeFileSync(`${FOLDER}${file}`, '');
  expect(await readKept(NAME)).toBeNull();
});
