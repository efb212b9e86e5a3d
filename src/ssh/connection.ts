import type { AuthContext, Connection, PseudoTtyInfo, ServerChannel, Session } from 'ssh2';
import type ssh2 from 'ssh2';
import type { SshSessionKind } from '../core/containers/ssh-commands.ts';
import type { TerminalSize } from '../ports/container-engine.ts';
import type { Log } from '../ports/log.ts';
import type { ShellCandidate, SshAccess, SshOrigin } from '../ports/ssh-access.ts';
import { decideTry, type TryRefusal } from './authenticate.ts';
import { makeShellSession, type ShellSession } from './session.ts';

/** Why a connection is ended by us, as its sessions' rows tell. */
export type EndReason = 'idle' | 'revoked' | 'stopped';

/** One connection of a client, from its first byte on. */
export interface SshConnection {
  /** Looks whether the one who is let in still is; ends it where not. */
  recheck(): Promise<void>;
  /** Ends its sessions and then the connection. */
  end(reason: EndReason): void;
  /** Resolves when it is gone and the end of each of its sessions is noted. */
  readonly gone: Promise<void>;
}

/** What a connection is made of. Lengths in milliseconds. */
export interface ConnectionOptions {
  readonly client: Connection;
  readonly origin: SshOrigin;
  readonly access: SshAccess;
  readonly utils: typeof ssh2.utils;
  readonly isForwarding: boolean;
  readonly idleMs: number;
  readonly maxSessions: number;
  readonly maxTries: number;
  /** Holds the answer to a failed try back; resolves when it may be given. */
  readonly holdBack: () => Promise<void>;
  /** Closes the socket a moment later, whatever its client does. */
  readonly cut: () => void;
  readonly onReady: () => void;
  readonly onRefused: (why: TryRefusal | 'tries' | 'forwarding') => void;
  readonly onSession: (change: 1 | -1) => void;
  readonly log: Log;
}

const TOLD: Readonly<Record<EndReason, string>> = {
  idle: 'the connection was idle for too long',
  revoked: 'access to the container has ended',
  stopped: 'the gateway stops',
};

const DEFAULT_SIZE: TerminalSize = { columns: 80, rows: 24 };
const MAX_SIDE = 10_000;
const TERM = /^[A-Za-z0-9._+-]{1,64}$/;
/** What a client may say of its environment: in which language and letters its owner reads. */
const LOCALE_NAME = /^(?:LANG|LANGUAGE|LC_[A-Z]{1,32})$/;
const LOCALE_VALUE = /^[A-Za-z0-9._@:-]{1,128}$/;
/** Source: RFC 4254, section 6.10. */
const SIGNALS = new Set(['ABRT', 'ALRM', 'FPE', 'HUP', 'ILL', 'INT', 'KILL', 'PIPE', 'QUIT', 'SEGV', 'TERM', 'USR1', 'USR2']);
const MAX_COMMAND_LENGTH = 128 * 1024;
const MAX_PORT = 65_535;

const SHELL = ['sh', '-c', 'command -v bash >/dev/null 2>&1 && exec bash; exec sh'];
/** What images have that connects its streams to a port of their own; `$1` is the port. */
const CONNECT = [
  'if command -v socat >/dev/null 2>&1; then exec socat - "TCP:localhost:$1"; fi',
  'if command -v nc >/dev/null 2>&1; then exec nc 127.0.0.1 "$1"; fi',
  'if command -v busybox >/dev/null 2>&1; then exec busybox nc 127.0.0.1 "$1"; fi',
  'exec bash -c \'exec 3<>"/dev/tcp/127.0.0.1/$1" && { cat <&3 & cat >&3; kill $!; }\' sh "$1"',
].join('\n');
const HERE = new Set(['localhost', '127.0.0.1', '::1']);

const side = (given: number, fallback: number): number =>
  Number.isInteger(given) && given > 0 ? Math.min(given, MAX_SIDE) : fallback;

const sizeOf = ({ cols, rows }: { readonly cols: number; readonly rows: number }): TerminalSize => ({
  columns: side(cols, DEFAULT_SIZE.columns),
  rows: side(rows, DEFAULT_SIZE.rows),
});

/** Serves a connection. */
export function serveConnection(options: ConnectionOptions): SshConnection {
  const { client, origin, access, log, onRefused } = options;
  const sessions = new Map<ShellSession, Promise<void>>();
  let candidate: ShellCandidate | null = null;
  let tries = 0;
  let isEnding = false;
  let idle: NodeJS.Timeout | undefined;

  const touch = (): void => {
    clearTimeout(idle);
    idle = setTimeout(() => end('idle'), options.idleMs);
  };

  const hangUp = (): void => {
    client.end();
    options.cut();
  };

  function end(reason: EndReason): void {
    if (isEnding) return;
    isEnding = true;
    for (const session of sessions.keys()) session.end(reason, TOLD[reason]);
    // What is told has to get out first.
    void Promise.all(sessions.values()).then(hangUp);
  }

  const closed = new Promise<void>((resolve) => void client.once('close', () => resolve()));
  const gone = closed.then(async () => {
    clearTimeout(idle);
    isEnding = true;
    await Promise.all(sessions.values());
  });
  // Clients that break the protocol, or leave without a word, are nobody's fault here.
  client.on('error', (err: Error) => {
    log.debug({ err, source: origin.sourceIp }, 'an SSH connection broke');
    options.cut();
  });

  async function refuse(context: AuthContext, why: TryRefusal): Promise<void> {
    tries += 1;
    onRefused(why);
    log.info({ source: origin.sourceIp, why, tries }, 'an SSH try was refused');
    await options.holdBack();
    if (tries < options.maxTries) return context.reject(['publickey']);
    onRefused('tries');
    hangUp();
  }

  async function authenticate(context: AuthContext): Promise<void> {
    // What every client asks first: which methods there are.
    if (context.method === 'none') return context.reject(['publickey']);
    const outcome = await decideTry(context, { access, utils: options.utils });
    if (outcome.kind === 'refused') return refuse(context, outcome.why);
    if (outcome.kind === 'granted') ({ candidate } = outcome);
    context.accept();
  }

  client.on('authentication', (context) => {
    authenticate(context).catch((err: unknown) => {
      log.error({ err }, 'an SSH try could not be decided');
      hangUp();
    });
  });
  client.once('ready', () => {
    options.onReady();
    touch();
  });

  /** Begins a session of the one who is let in; null where there may be no more. */
  function begin(kind: SshSessionKind, channel: ServerChannel, spec: Parameters<typeof makeShellSession>[0]['spec']): ShellSession | null {
    if (candidate === null || isEnding) return null;
    const session = makeShellSession({ access, candidate, origin, kind, spec, channel, onTraffic: touch, log });
    options.onSession(1);
    const running = session.run().finally(() => {
      sessions.delete(session);
      options.onSession(-1);
    });
    sessions.set(session, running);
    return session;
  }

  const isFull = (): boolean => isEnding || candidate === null || sessions.size >= options.maxSessions;

  client.on('session', (accept, reject) => {
    if (isFull()) return reject();
    serveRequests(accept());
  });

  /** What a client asks of one channel. All that is not here is refused: subsystems, X11, agents. */
  function serveRequests(requests: Session): void {
    const env: { name: string; value: string }[] = [];
    let terminal: TerminalSize | null = null;
    let session: ShellSession | null = null;

    const start = (kind: 'shell' | 'command', command: readonly string[], accept: () => ServerChannel, reject: () => void): void => {
      if (session !== null || isFull()) return reject();
      session = begin(kind, accept(), { command, env, terminal });
    };
    requests.on('pty', (accept, _reject, info) => {
      terminal = sizeOf(info);
      const { term } = info as PseudoTtyInfo & { readonly term?: string };
      if (term !== undefined && TERM.test(term)) env.push({ name: 'TERM', value: term });
      answer(accept);
    });
    requests.on('window-change', (accept, _reject, info) => {
      terminal = terminal === null ? null : sizeOf(info);
      if (terminal !== null) session?.resize(terminal);
      answer(accept);
    });
    requests.on('env', (accept, reject, info) => {
      const { key: name, val: value } = info;
      const isTaken = session === null && env.length < SIGNALS.size && LOCALE_NAME.test(name) && LOCALE_VALUE.test(value);
      if (isTaken) env.push({ name, value });
      answer(isTaken ? accept : reject);
    });
    requests.on('signal', (accept, reject, info) => {
      const name = (info.name as string).replace(/^SIG/, '');
      const isKnown = SIGNALS.has(name);
      if (isKnown) session?.signal(name);
      answer(isKnown ? accept : reject);
    });
    requests.on('shell', (accept, reject) => start('shell', SHELL, accept, reject));
    requests.on('exec', (accept, reject, { command }) => {
      if (command.length > MAX_COMMAND_LENGTH || command.includes('\u0000')) return reject();
      start('command', ['sh', '-c', command], accept, reject);
    });
  }

  // Without a listener the connection layer refuses every forwarding as prohibited.
  if (options.isForwarding) {
    client.on('tcpip', (accept, reject, { destIP, destPort }) => {
      const isHere = HERE.has(destIP) || destIP === candidate?.grant.unit;
      if (isHere && destPort > 0 && destPort <= MAX_PORT && !isFull()) {
        begin('forward', accept(), { command: ['sh', '-c', CONNECT, 'sh', String(destPort)], env: [], terminal: null });
        return;
      }
      onRefused('forwarding');
      reject();
    });
  }

  return {
    gone,
    end,
    recheck: async () => {
      if (candidate === null || isEnding) return;
      const refusal = await access.refusal(candidate.grant);
      if (refusal === null) return;
      log.info({ source: origin.sourceIp, container: candidate.grant.containerId, refusal }, 'access by SSH has ended');
      end('revoked');
    },
  };
}

/** Requests that want no answer come without the means to give one, whatever the types say. */
const answer = (how: (() => void) | undefined): void => how?.();
