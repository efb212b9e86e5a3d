import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { Connection } from 'ssh2';
import type { Log } from '../ports/log.ts';
import type { SshAccess } from '../ports/ssh-access.ts';
import { ALGORITHMS } from './algorithms.ts';
import { serveConnection, type ConnectionOptions, type SshConnection } from './connection.ts';
import type { HostKey } from './host-key.ts';
import { makeSourceLimits } from './source-limits.ts';

/** Shells in debug containers, for whoever connects. */
export interface SshGateway {
  /** Serves a connection, or closes it where there are too many. */
  accept(socket: Socket): void;
  /** Looks whether everybody who is let in still is. */
  recheck(): Promise<void>;
  /** Ends every connection. */
  endAll(): void;
  /** Resolves when no connection is left, and the end of every session is noted. */
  ended(): Promise<void>;
}

/** Limits of the gateway. Lengths in milliseconds. */
export interface SshLimits {
  /** From the connection until somebody is let in. */
  readonly authMs: number;
  readonly idleMs: number;
  readonly maxConnections: number;
  readonly maxPerSource: number;
  readonly maxSessions: number;
  readonly maxTries: number;
}

/** What the gateway is made of. */
export interface SshGatewayOptions {
  readonly hostKey: HostKey;
  readonly access: SshAccess;
  readonly limits: SshLimits;
  readonly isForwarding: boolean;
  readonly nowMs: () => number;
  /** Called with why a try, a forwarding or a connection was refused. */
  readonly onRefused: (why: Parameters<ConnectionOptions['onRefused']>[0] | 'connections' | 'time') => void;
  readonly onSession: (change: 1 | -1) => void;
  readonly log: Log;
}

/** Clients are asked for a sign of life that often; after so many without one they are gone. */
const ALIVE_EVERY_MS = 30_000;
const ALIVE_MISSES = 3;
const MAX_CLIENT_LENGTH = 128;

/** For the last words of a connection. */
const GOODBYE_MS = 2000;

/** A connection before its client has said a word, and after. */
interface Peer {
  readonly socket: Socket;
  connection: SshConnection | null;
}

/** Makes the {@link SshGateway}. */
export async function makeSshGateway(options: SshGatewayOptions): Promise<SshGateway> {
  const { limits, log, onRefused } = options;
  const { default: ssh } = await import('ssh2');
  const sources = makeSourceLimits({ nowMs: options.nowMs, ...limits });
  const peers = new Map<string, Peer>();
  const serving = new Set<Promise<void>>();
  const stopping = new AbortController();

  const server = new ssh.Server({
    hostKeys: [options.hostKey.privateKey],
    algorithms: ALGORITHMS,
    ident: 'Castellan',
    keepaliveInterval: ALIVE_EVERY_MS,
    keepaliveCountMax: ALIVE_MISSES,
  });
  server.on('connection', (client: Connection, info) => {
    const peer = peers.get(`${info.ip}|${info.port}`);
    // Its socket is gone already; what else goes wrong with it is of no interest.
    if (peer === undefined) return void client.on('error', () => undefined).end();
    const said = String(info.header.versions.software);
    const connection = serveConnection({
      ...options,
      ...limits,
      client,
      origin: { sourceIp: info.ip, client: said.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, MAX_CLIENT_LENGTH) },
      utils: ssh.utils,
      holdBack: () => wait(sources.fail(info.ip), undefined, { signal: stopping.signal }).catch(() => undefined),
      cut: () => void setTimeout(() => peer.socket.destroy(), GOODBYE_MS).unref(),
      onReady: () => clearTimeout(timers.get(peer)),
    });
    peer.connection = connection;
    serving.add(connection.gone);
    void connection.gone.then(() => serving.delete(connection.gone));
  });
  server.on('error', (err: Error) => log.error({ err }, 'the SSH gateway failed'));

  const timers = new WeakMap<Peer, NodeJS.Timeout>();

  return {
    accept: (socket) => {
      const { remoteAddress, remotePort } = socket;
      const leave = remoteAddress === undefined || stopping.signal.aborted ? null : sources.enter(remoteAddress);
      if (remoteAddress === undefined || leave === null) {
        onRefused('connections');
        return void socket.destroy();
      }
      const name = `${remoteAddress}|${remotePort}`;
      const peer: Peer = { socket, connection: null };
      const late = setTimeout(() => {
        onRefused('time');
        socket.destroy();
      }, limits.authMs);
      timers.set(peer, late);
      peers.set(name, peer);
      socket.setNoDelay(true);
      socket.once('close', () => {
        clearTimeout(late);
        leave();
        if (peers.get(name) === peer) peers.delete(name);
      });
      server.injectSocket(socket);
    },
    recheck: async () => {
      await Promise.all([...peers.values()].map(async ({ connection }) => connection?.recheck()));
    },
    endAll: () => {
      stopping.abort();
      for (const { socket, connection } of peers.values()) {
        if (connection === null) socket.destroy();
        else connection.end('stopped');
      }
    },
    ended: async () => {
      while (serving.size > 0) await Promise.all(serving);
    },
  };
}
