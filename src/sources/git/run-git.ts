import { spawn } from 'node:child_process';
import { join } from 'node:path';

/** What a git command came to. `output` are its bytes, `complaint` what it wrote beside them, shortened. */
export interface GitResult {
  readonly code: number;
  readonly output: Buffer;
  readonly complaint: string;
}

/** How far git may go. Sizes in bytes. */
export interface GitBounds {
  readonly timeoutMs: number;
  /** Of any file that it writes. */
  readonly maxFileBytes: number;
  readonly maxOutputBytes: number;
}

/** A git command was ended: it took too long, or wrote too much. */
export class GitStopped extends Error {
  override readonly name = 'GitStopped';
  readonly isTimeout: boolean;

  constructor(isTimeout: boolean) {
    super(isTimeout ? 'git took too long' : 'git wrote too much');
    this.isTimeout = isTimeout;
  }
}

const MAX_COMPLAINT = 4000;
const BLOCK_BYTES = 512;

/**
 * The only settings of a user that git sees, to be written into the folder first: a repository that is declared may belong to another user of this machine.
 * What reads it there starts no program that it names, whoever it belongs to.
 */
export const GIT_SETTINGS = { name: 'allowed.gitconfig', text: '[safe]\n\tdirectory = *\n' } as const;

/**
 * Nothing of this machine's or its users' settings counts, nothing is asked on a terminal, no hook and no helper runs, and only these protocols are spoken.
 */
const settings = (folder: string): readonly string[] => [
  `HOME=${folder}`,
  'LC_ALL=C',
  'GIT_CONFIG_NOSYSTEM=1',
  `GIT_CONFIG_GLOBAL=${join(folder, GIT_SETTINGS.name)}`,
  'GIT_TERMINAL_PROMPT=0',
  'GIT_ASKPASS=true',
  'GIT_ALLOW_PROTOCOL=file:http:https:ssh',
  'GIT_SSH_COMMAND=ssh -oBatchMode=yes -oConnectTimeout=10',
  'GIT_LFS_SKIP_SMUDGE=1',
  'GIT_NO_REPLACE_OBJECTS=1',
];

/** Of this process's environment, which may hold secrets, git gets no more than where programs are and who keeps keys for SSH. */
const CLEAN = 'exec env -i PATH="$PATH" ${SSH_AUTH_SOCK:+"SSH_AUTH_SOCK=$SSH_AUTH_SOCK"} "$@"';

/** Given before each command: a repository that somebody else wrote must not be able to start a program here. */
const SAFE = [
  'core.hooksPath=/dev/null',
  'credential.helper=',
  'protocol.ext.allow=never',
  'core.fsmonitor=false',
  'gc.auto=0',
  'maintenance.auto=false',
];

/**
 * Runs git in a folder, and ends it with everything that it started where it goes too far: then {@link GitStopped} is thrown. No shell sees an argument:
 * the one that sets the bound of written files gets them as they are.
 */
export function runGit(folder: string, args: readonly string[], bounds: GitBounds): Promise<GitResult> {
  const limited = [`ulimit -f ${Math.ceil(bounds.maxFileBytes / BLOCK_BYTES)}; ${CLEAN}`, 'sh'];
  const command = ['-c', ...limited, ...settings(folder), 'git', ...SAFE.flatMap((setting) => ['-c', setting]), ...args];
  return new Promise((resolve, reject) => {
    const child = spawn('sh', command, { cwd: folder, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks: Buffer[] = [];
    let bytes = 0;
    let complaint = '';
    let stopped: GitStopped | null = null;
    const stop = (isTimeout: boolean): void => {
      stopped ??= new GitStopped(isTimeout);
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    };
    const timer = setTimeout(() => stop(true), bounds.timeoutMs);
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > bounds.maxOutputBytes) stop(false);
      else chunks.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      if (complaint.length < MAX_COMPLAINT) complaint += chunk.toString('utf8');
    });
    child.on('error', (err) => {
      clearTimeout(timer);
      reject(err);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (signal === 'SIGXFSZ') stopped ??= new GitStopped(false);
      if (stopped !== null) reject(stopped);
      else resolve({ code: code ?? -1, output: Buffer.concat(chunks), complaint: complaint.slice(0, MAX_COMPLAINT) });
    });
  });
}
