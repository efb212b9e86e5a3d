import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a run of `ssh` came to. */
export interface SshRun {
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** The key types that `ssh-keygen` is asked for. */
export type KeyKind = 'ed25519' | 'ecdsa' | 'rsa';

/** The size of a terminal, in characters. */
export interface TtySize {
  readonly columns: number;
  readonly rows: number;
}

/** One run of `ssh`. `key` is a file; `input` goes to its standard input, which then ends. */
export interface SshCall {
  readonly user: string;
  readonly key?: string;
  readonly args?: readonly string[];
  readonly command?: string;
  readonly input?: string | Buffer;
  /** The client has a terminal of that size. */
  readonly size?: TtySize;
}

/** OpenSSH's own client, with keys and known hosts of its own. */
export interface SshClient {
  /** Makes a key; the value is its file. */
  key(name: string, kind?: KeyKind): string;
  /** The line of its public half. */
  publicKey(file: string): string;
  run(port: number, call: SshCall): Promise<SshRun>;
  /** The same, with what goes on meanwhile: ends with the client. */
  start(port: number, call: SshCall): RunningSsh;
  /** Type and base64 of the host key that is shown at a port. */
  hostKeyAt(port: number): string;
  stop(): void;
}

/** A client that runs. */
export interface RunningSsh {
  write(text: string): void;
  /** Gives the client's own terminal another size. */
  resize(size: TtySize): void;
  kill(): void;
  /** What it printed so far, on both streams. */
  printed(): string;
  readonly done: Promise<SshRun>;
}

const sizeWords = ({ columns, rows }: TtySize): string => `cols ${columns} rows ${rows}`;
const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/** Makes an {@link SshClient}. */
export function makeSshClient(): SshClient {
  const folder = mkdtempSync(join(tmpdir(), 'castellan-ssh-'));
  const running = new Set<RunningSsh>();

  function start(port: number, { user, key, args = [], command, input, size }: SshCall): RunningSsh {
    const options = [
      'BatchMode=yes',
      'StrictHostKeyChecking=accept-new',
      `UserKnownHostsFile=${join(folder, 'known_hosts')}`,
      'IdentitiesOnly=yes',
      'ConnectTimeout=20',
      'LogLevel=ERROR',
    ];
    const all = [
      '-F',
      'none',
      ...options.flatMap((option) => ['-o', option]),
      '-p',
      String(port),
      ...(key === undefined ? [] : ['-i', key]),
      ...args,
      `${user}@127.0.0.1`,
      ...(command === undefined ? [] : [command]),
    ];
    const { SSH_AUTH_SOCK: _agent, ...env } = process.env;
    const sized = size === undefined ? null : `stty ${sizeWords(size)}; tty; exec ssh ${all.map(quoted).join(' ')}`;
    const [program, given] = sized === null ? ['ssh', all] : ['script', ['-qec', sized, '/dev/null']];
    const child = spawn(program, given, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...env, TERM: 'xterm-256color' } });
    const out: Buffer[] = [];
    let err = '';
    let printed = '';
    child.stdout.on('data', (bytes: Buffer) => {
      out.push(bytes);
      if (printed.length < 100_000) printed += bytes.toString();
    });
    child.stderr.on('data', (bytes: Buffer) => {
      err += bytes.toString();
      printed += bytes.toString();
    });
    child.stdin.on('error', () => undefined);
    if (input !== undefined) child.stdin.end(input);
    const done = new Promise<SshRun>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status) => resolve({ status, stdout: Buffer.concat(out), stderr: err }));
    });
    const run: RunningSsh = {
      write: (text) => void child.stdin.write(text),
      resize: (to) => {
        const [tty = ''] = /\/dev\/pts\/\d+/.exec(printed) ?? [];
        execFileSync('stty', ['-F', tty, ...sizeWords(to).split(' ')]);
      },
      kill: () => void child.kill('SIGKILL'),
      printed: () => printed,
      done,
    };
    running.add(run);
    void done.then(() => running.delete(run));
    return run;
  }

  return {
    key: (name, kind = 'ed25519') => {
      const file = join(folder, name);
      const bits = kind === 'rsa' ? ['-b', '2048'] : [];
      execFileSync('ssh-keygen', ['-q', '-t', kind, ...bits, '-N', '', '-C', name, '-f', file]);
      return file;
    },
    publicKey: (file) => readFileSync(`${file}.pub`, 'utf8'),
    run: (port, call) => start(port, { input: '', ...call }).done,
    start,
    hostKeyAt: (port) =>
      execFileSync('ssh-keyscan', ['-t', 'ed25519', '-p', String(port), '127.0.0.1'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      })
        .trim()
        .split(' ')
        .slice(1)
        .join(' '),
    stop: () => {
      for (const run of running) run.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
