import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { Agent, type AgentOptions } from 'node:http';
import { Duplex } from 'node:stream';
import type { EngineAddress } from './engine-address.ts';

/** The last of what a program says on its standard error; more is no help. */
const MAX_COMPLAINT = 500;

/**
 * Connections to an engine through the `ssh` program, which runs `docker system dial-stdio` there, as Docker's own command-line client does.
 *
 * So keys, the agent and known hosts are those of the user that we run as, and a host whose key is not known is refused. Every connection is a
 * process, which ends with it. `program` is run instead of `ssh` with the same arguments.
 */
export class SshAgent extends Agent {
  readonly #command: readonly string[];
  readonly #open = new Set<Duplex>();

  constructor(address: EngineAddress & { kind: 'ssh' }, program: readonly string[], options: AgentOptions & { connectTimeoutS: number }) {
    super({ ...options, keepAlive: false });
    this.#command = [
      ...program,
      '-o',
      'BatchMode=yes',
      '-o',
      `ConnectTimeout=${options.connectTimeoutS}`,
      ...(address.port === null ? [] : ['-p', String(address.port)]),
      ...(address.user === null ? [] : ['-l', address.user]),
      '--',
      address.host,
      'docker system dial-stdio',
    ];
  }

  override createConnection(): Duplex {
    const [program = 'ssh', ...args] = this.#command;
    const connection = new ProcessSocket(program, args);
    this.#open.add(connection);
    connection.once('close', () => this.#open.delete(connection));
    return connection;
  }

  override destroy(): void {
    super.destroy();
    for (const connection of this.#open) connection.destroy();
  }
}

/** A process in the place of a socket: what is written goes to its input, what it prints is read. It is killed with the socket. */
class ProcessSocket extends Duplex {
  readonly #child: ChildProcessWithoutNullStreams;

  constructor(program: string, args: readonly string[]) {
    super();
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child = child;
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-MAX_COMPLAINT);
    });
    child.stdout.on('data', (piece: Buffer) => {
      if (!this.push(piece)) child.stdout.pause();
    });
    // Whoever writes hears of a broken pipe by the end of the process, which knows more.
    child.stdin.on('error', () => undefined);
    child.once('error', (error) => this.destroy(error));
    child.once('close', (code) => {
      if (code === 0) this.push(null);
      else this.destroy(new Error(`ssh ended with status ${code}${complaint.trim() === '' ? '' : `: ${complaint.trim()}`}`));
    });
    // The HTTP client listens only while a request is on its way.
    this.on('error', () => undefined);
  }

  override _read(): void {
    this.#child.stdout.resume();
  }

  override _write(piece: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#child.stdin.write(piece, () => done());
  }

  override _final(done: () => void): void {
    this.#child.stdin.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#child.kill('SIGTERM');
    done(error);
  }

  // What the HTTP client calls on a socket, and a pair of pipes has no use for.
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}
