import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../../ports/log.ts';
import { readTextFile, writeFileDurably } from '../data-folder.ts';

/** How far a restart is, or came. `id` is that of one restart; `pid` is the new process's. */
export type RestartNote = { readonly id: string; readonly pid: number } & (
  | { readonly state: 'starting' | 'serving' }
  | { readonly state: 'failed'; readonly reason: string }
);

const pathOf = (dataDir: string): string => join(dataDir, 'restart.json');

/** Makes what notes down in the data folder how far a restart is, for whoever asked for it. A note that cannot be written costs only that. */
export const makeRestartNotes =
  (dataDir: string, log: Pick<Log, 'warn'>): ((note: RestartNote) => void) =>
  (note) => {
    try {
      writeFileDurably(pathOf(dataDir), `${JSON.stringify(note)}\n`);
    } catch (err) {
      log.warn({ err }, 'restart: how far it is could not be noted in the data folder');
    }
  };

/** The last note of a data folder; null where there is none that can be read. */
export function readRestartNote(dataDir: string): RestartNote | null {
  const note = fieldsOf(readTextFile(pathOf(dataDir)));
  const { id, pid, state, reason } = note;
  if (typeof id !== 'string' || typeof pid !== 'number') return null;
  if (state === 'starting' || state === 'serving') return { id, pid, state };
  return state === 'failed' && typeof reason === 'string' ? { id, pid, state, reason } : null;
}

/** The process that a data folder names as the one to send signals to; null where it names none, or one of another machine. */
export function readRunningPid(dataDir: string): number | null {
  const { host, pid } = fieldsOf(readTextFile(join(dataDir, 'run.json')));
  return typeof pid === 'number' && Number.isSafeInteger(pid) && pid > 1 && host === hostname() ? pid : null;
}

function fieldsOf(text: string | null): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? 'null');
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}
