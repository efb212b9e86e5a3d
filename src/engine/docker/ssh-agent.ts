import { spawn } from 'node:child_process';
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
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-MAX_COMPLAINT);
    });
    // The published types know pairs of the web's streams only.
    const pair = { readable: child.stdout, writable: child.stdin } as unknown as Parameters<typeof Duplex.from>[0];
    const connection = Object.assign(Duplex.from(pair), SOCKET_METHODS);
    this.#open.add(connection);
    connection.once('close', () => {
      this.#open.delete(connection);
      child.kill('SIGTERM');
    });
    child.once('error', (error) => connection.destroy(error));
    child.once('close', (code) => {
      const cause = complaint.trim() === '' ? '' : `: ${complaint.trim()}`;
      connection.destroy(code === 0 ? undefined : new Error(`ssh ended with status ${code}${cause}`));
    });
    return connection;
  }

  override destroy(): void {
    super.destroy();
    for (const connection of this.#open) connection.destroy();
  }
}

/** What the HTTP client calls on a socket and a pair of pipes has not. */
const SOCKET_METHODS = {
  setTimeout: (): void => undefined,
  setNoDelay: (): void => undefined,
  setKeepAlive: (): void => undefined,
  ref: (): void => undefined,
  unref: (): void => undefined,
};
