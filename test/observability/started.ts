import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FullCredentials } from '../../src/server/credentials.ts';
import { makeTestFolder, type TestFolder } from '../server/in-process.ts';

/** The credentials of a folder's first start. */
export const credentialsOf = (folder: Pick<TestFolder, 'dataDir'>): FullCredentials =>
  JSON.parse(readFileSync(join(folder.dataDir, 'credentials.json'), 'utf8')) as FullCredentials;

/** Folders of a test file, all of them disposed of by `dispose`. */
export function makeFolders(): { make(): TestFolder; dispose(): Promise<void> } {
  const folders: TestFolder[] = [];
  return {
    make: () => {
      const folder = makeTestFolder();
      folders.push(folder);
      return folder;
    },
    dispose: async () => {
      for (const folder of folders) await folder.dispose();
    },
  };
}
