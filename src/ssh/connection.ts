import type { AuthContext, Connection, ServerChannel, TcpipRequestInfo } from 'ssh2';
import type ssh2 from 'ssh2';
import type { SshSessionKind } from '../core/containers/ssh-commands.ts';
import type { Log } from '../ports/log.ts';
import type { ShellCandidate, SshAccess, SshOrigin } from '../ports/ssh-access.ts';
import { decideTry, type TryRefusal } from './authenticate.ts';
import { serveRequests } from './channel-requests.ts';
import { makeShellSession, type ShellSession } from './session.ts';
import type { ShellSpec } from './unit-shell.ts';

/** Why a connection is ended by us, as its sessions' rows tell. */
type EndReason = 'idle' | 'revoked' | 'stopped';

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

/** Channels of a connection for each session that there may be on it. */
const CHANNELS_OF_SESSION = 2;
const MAX_PORT = 65_535;
/** What images have that connects its streams to a port of their own; `$1` is the port. */
const CONNECT = [
  'if command -v socat >/dev/null 2>&1; then exec socat - "TCP:localhost:$1"; fi',
  'if command -v nc >/dev/null 2>&1; then exec nc 127.0.0.1 "$1"; fi',
  'if command -v busybox >/dev/null 2>&1; then exec busybox nc 127.0.0.1 "$1"; fi',
  'exec bash -c \'exec 3<>"/dev/tcp/127.0.0.1/$1" && { cat <&3 & cat >&3; kill $!; }\' sh "$1"',
].join('\n');
const HERE = new Set(['localhost', '127.0.0.1', '::1']);

/** Whether a forwarding leads to the unit that somebody is let in to. */
const isOwnPort = ({ destIP, destPort }: TcpipRequestInfo, { grant }: ShellCandidate): boolean =>
  (HERE.has(destIP) || destIP === grant.unit) && destPort > 0 && destPort <= MAX_PORT;

/**
 * Answers the tries of a client, one after the other; `onGranted` is told who is let in. A try that fails is answered later and later, and the last one by
 * the end of the connection.
 */
function answerTries(
  options: ConnectionOptions,
  of: { readonly hangUp: () => void; readonly onGranted: (who: ShellCandidate) => void },
): void {
  const { client, origin, access, utils, log, onRefused } = options;
  let tries = 0;

  async function refuse(context: AuthContext, why: TryRefusal): Promise<void> {
    tries += 1;
    onRefused(why);
    log.info({ source: origin.sourceIp, why, tries }, 'an SSH try was refused');
    await options.holdBack();
    if (tries < options.maxTries) return context.reject(['publickey']);
    onRefused('tries');
    of.hangUp();
  }

  async function authenticate(context: AuthContext): Promise<void> {
    // What every client asks first: which methods there are.
    if (context.method === 'none') return context.reject(['publickey']);
    const outcome = await decideTry(context, { access, utils });
    if (outcome.kind === 'refused') return refuse(context, outcome.why);
    if (outcome.kind === 'granted') of.onGranted(outcome.candidate);
    context.accept();
  }

  client.on('authentication', (context) => {
    authenticate(context).catch((err: unknown) => {
      log.error({ err }, 'an SSH try could not be decided');
      of.hangUp();
    });
  });
}

/** The sessions of a connection. */
interface Sessions {
  /** Begins one of the one who is let in; null where there may be no more. */
  begin(kind: SshSessionKind, open: () => ServerChannel | undefined, spec: ShellSpec): ShellSession | null;
  isFull(): boolean;
  end(reason: EndReason): void;
  /** Resolves when the end of each is noted. */
  ended(): Promise<unknown>;
}

function makeSessions(
  options: ConnectionOptions,
  of: { readonly who: () => ShellCandidate | null; readonly onTraffic: () => void },
): Sessions {
  const { access, origin, log, onSession } = options;
  const sessions = new Map<ShellSession, Promise<void>>();
  let isEnding = false;
  const isFull = (): boolean => isEnding || of.who() === null || sessions.size >= options.maxSessions;

  return {
    isFull,
    begin: (kind, open, spec) => {
      const candidate = of.who();
      const channel = candidate === null || isFull() ? undefined : open();
      // It is not opened where its client has ended it already.
      if (candidate === null || channel === undefined) return null;
      const session = makeShellSession({ access, candidate, origin, kind, spec, channel, onTraffic: of.onTraffic, log });
      onSession(1);
      const running = session.run().finally(() => {
        sessions.delete(session);
        onSession(-1);
      });
      sessions.set(session, running);
      return session;
    },
    end: (reason) => {
      isEnding = true;
      for (const session of sessions.keys()) session.end(reason, TOLD[reason]);
    },
    ended: () => Promise.all(sessions.values()),
  };
}

/** Serves a connection. */
export function serveConnection(options: ConnectionOptions): SshConnection {
  const { client, origin, access, log } = options;
  let candidate: ShellCandidate | null = null;
  let isEnding = false;
  let idle: NodeJS.Timeout | undefined;

  const touch = (): void => {
    clearTimeout(idle);
    idle = setTimeout(() => end('idle'), options.idleMs).unref();
  };
  const sessions = makeSessions(options, { who: () => candidate, onTraffic: touch });
  const hangUp = (): void => {
    client.end();
    options.cut();
  };

  function end(reason: EndReason): void {
    if (isEnding) return;
    isEnding = true;
    sessions.end(reason);
    // What is told has to get out first.
    void sessions.ended().then(hangUp);
  }

  const closed = new Promise<void>((resolve) => void client.once('close', () => resolve()));
  const gone = closed.then(async () => {
    clearTimeout(idle);
    isEnding = true;
    await sessions.ended();
  });
  // Clients that break the protocol, or leave without a word, are nobody's fault here.
  client.on('error', (err: Error) => {
    log.debug({ err, source: origin.sourceIp }, 'an SSH connection broke');
    options.cut();
  });
  answerTries(options, { hangUp, onGranted: (who) => (candidate = who) });
  client.once('ready', () => {
    options.onReady();
    touch();
  });
  let channels = 0;
  client.on('session', (accept, reject) => {
    // Those count too that ask for nothing.
    if (sessions.isFull() || channels >= options.maxSessions * CHANNELS_OF_SESSION) return reject();
    channels += 1;
    const requests = accept();
    requests.once('close', () => (channels -= 1));
    serveRequests(requests, (...asked) => sessions.begin(...asked));
  });
  // Without a listener the connection layer refuses every forwarding as prohibited.
  if (options.isForwarding) {
    client.on('tcpip', (accept, reject, info) => {
      const isOwn = candidate !== null && isOwnPort(info, candidate);
      if (!isOwn) options.onRefused('forwarding');
      if (!isOwn || sessions.isFull()) return reject();
      sessions.begin('forward', accept, { command: ['sh', '-c', CONNECT, 'sh', String(info.destPort)], env: [], terminal: null });
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
