import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const FOLDER = join(import.meta.dirname, '../api');
const FOLDERS: Readonly<Record<string, string>> = { runtime: 'cycles-runtime', governance: 'cycles-governance' };

/** The tests that the rows of the page name: a file, and words of the name of a test in it. */
function namedTests(page: string): { file: string; words: string[] }[] {
  const named: { file: string; words: string[] }[] = [];
  for (const line of page.split('\n').filter((each) => each.startsWith('| '))) {
    const cell = line.split(' | ').at(-1) ?? '';
    for (const [, file, words] of cell.matchAll(/`([^`]+\.ts)`|"([^"]+)"/g)) {
      if (file !== undefined) named.push({ file: file.replace(/^\w+(?=\/)/, (name) => FOLDERS[name] ?? name), words: [] });
      else if (words !== undefined) named.at(-1)?.words.push(words);
    }
  }
  return named;
}

const straight = (text: string): string => text.replaceAll('’', "'");

test('each known fault of other servers names tests that there are', () => {
  const page = readFileSync(join(FOLDER, 'README.md'), 'utf8');
  for (const number of Array.from({ length: 25 }, (_, index) => index + 1)) expect(page).toContain(`\n| ${number} | `);
  const named = namedTests(page);
  expect(named.length).toBeGreaterThan(50);
  const missing = named.flatMap(({ file, words }) => {
    const paths = file.includes('*') ? globSync(join(FOLDER, file)) : [join(FOLDER, file)].filter((path) => existsSync(path));
    if (paths.length === 0) return [file];
    const text = straight(paths.map((path) => readFileSync(path, 'utf8')).join('\n'));
    // A number begins the name of its test.
    const isThere = (name: string): boolean =>
      /^\d[\w ]*:?$/.test(name) ? text.includes(`'${name.replace(':', '')}:`) : text.includes(straight(name));
    return words.filter((name) => !isThere(name)).map((name) => `${file}: ${name}`);
  });
  expect(missing).toEqual([]);
});
