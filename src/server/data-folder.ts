import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ConfigError } from './config-error.ts';

/** Makes the data folder, readable by its owner only, or checks that it can be used. */
export function openDataFolder(dataDir: string): void {
  try {
    const isNew = !existsSync(dataDir);
    makeFolder(resolve(dataDir));
    // The mode above is cut by the umask, and is not given to a folder that was there.
    if (isNew) chmodSync(dataDir, 0o700);
    writeFileDurably(join(dataDir, '.probe'), '');
    rmSync(join(dataDir, '.probe'));
  } catch (error) {
    throw new ConfigError(
      `The data folder ${dataDir} cannot be written (${codeOf(error)}): give this user the right to, or set CASTELLAN_DATA_DIR to another folder.`,
    );
  }
}

/** Makes a folder and those above it. Node's own recursive `mkdir` never returns where a file system refuses with ENOENT, as /proc does. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  if (dirname(path) !== path) makeFolder(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

/** The text of a file, or null where there is none. */
export function readTextFile(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw new ConfigError(`${path} cannot be read (${codeOf(error)}): give this user the right to read it.`);
  }
}

/**
 * Writes a file that only its owner may read, so that after a crash at any moment the file is there whole, as it was or as it is now.
 * With `exclusive` an existing file is never replaced; returns whether this call wrote it.
 */
export function writeFileDurably(path: string, text: string, options: { exclusive?: boolean } = {}): boolean {
  const temporary = `${path}.${process.pid}.tmp`;
  rmSync(temporary, { force: true });
  const file = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    if (options.exclusive === true) linkSync(temporary, path);
    else renameSync(temporary, path);
  } catch (error) {
    if (options.exclusive === true && codeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  syncFolderOf(path);
  return true;
}

/** Makes a new name in a folder durable; where folders cannot be opened (Windows) the file system does it by itself. */
export function syncFolderOf(path: string): void {
  if (process.platform === 'win32') return;
  const folder = openSync(join(path, '..'), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** The system's name of an error, such as `EACCES`. */
export const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException | null)?.code ?? 'unknown error';
