import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { makeSshAccess } from '../app/containers/ssh-access.ts';
import { sealIdentity, SYSTEM_TENANT } from '../core/records.ts';
import { makeSshGateway } from '../ssh/gateway.ts';
import { makeHostKey, readHostKey, type HostKey } from '../ssh/host-key.ts';
import type { ComposeDeps, Parts } from './compose.ts';
import type { ListenAddress } from './config.ts';
import type { SshConfig } from './declared/parse-ssh.ts';
import { listenError, type Listener } from './listener.ts';
import { originOf } from './origin.ts';
import { socketOf, type SocketHandle } from './restart/sockets.ts';

/** The listener of shells in debug containers. */
export interface SshListener extends Listener {
  /** By which clients know that they have reached this server. */
  readonly hostKey: HostKey;
}

const HOST_KEY = 'ssh-host-key';
/** Where another node may have ended somebody's access, this one sees it so soon. */
const RECHECK_EVERY_MS = 1000;
const AUTH_MS = 30_000;
const MAX_SESSIONS = 10;
const MAX_TRIES = 6;

/** The host key, which all nodes share: made at the first start that needs it, and kept sealed in the store. */
async function hostKeyOf({ store, secretBox, ids }: ComposeDeps, writer: Parts['writer']): Promise<HostKey> {
  const identity = sealIdentity('setting', HOST_KEY);
  let setting = await store.record('setting', HOST_KEY);
  if (setting === undefined) {
    const made = { id: HOST_KEY, value: { sealed: secretBox.seal(makeHostKey(), identity) } };
    const outcome = await writer.execute({ verb: 'init-setting', id: ids.next('cmd'), tenantId: SYSTEM_TENANT, setting: made });
    // Where another node was first, its key is what comes back.
    if (outcome.ok) setting = outcome.value;
  }
  const { sealed } = (setting?.value ?? {}) as { readonly sealed?: unknown };
  if (typeof sealed !== 'string') throw new Error('the SSH host key could not be kept');
  return readHostKey(secretBox.open(sealed, identity));
}

/** Opens the listener of shells in debug containers. */
export async function openSsh(
  address: ListenAddress,
  of: { readonly config: SshConfig; readonly deps: ComposeDeps; readonly parts: Parts; readonly inherited: SocketHandle | null },
): Promise<SshListener> {
  const { config, deps, parts, inherited } = of;
  const { containers, writer } = parts;
  const { log, ids, store } = deps;
  const { metrics } = deps.telemetry;
  const hostKey = await hostKeyOf(deps, writer);
  const gateway = await makeSshGateway({
    hostKey,
    access: makeSshAccess({ records: store, writer, ids, hosts: containers.hosts, log }),
    limits: { ...config, authMs: AUTH_MS, maxSessions: MAX_SESSIONS, maxTries: MAX_TRIES },
    isForwarding: config.isForwarding,
    nowMs: () => performance.now(),
    onRefused: (why) => void (metrics.sshRefused.cell(why).value += 1),
    onSession: (change) => void (metrics.sshSessions.cell.value += change),
    log,
  });

  const recheck = (): void => {
    gateway.recheck().catch((err: unknown) => log.error({ err }, 'whether SSH connections may go on could not be looked up'));
  };
  const unwatch = containers.watchAccess(recheck);
  const timer = setInterval(recheck, RECHECK_EVERY_MS);
  timer.unref();

  const server = createServer((socket) => gateway.accept(socket));
  try {
    server.listen(inherited ?? { host: address.host, port: address.port });
    await once(server, 'listening');
  } catch (error) {
    clearInterval(timer);
    throw listenError(error, address, 'CASTELLAN_SSH_PORT');
  }
  const { port } = server.address() as AddressInfo;
  log.info({ port, hostKey: hostKey.fingerprint }, 'shells in debug containers are reached by SSH');

  // Nobody can say how long a shell goes on: at a stop, and for the process that takes over, its owner is told and it ends.
  const end = async (limitMs: number): Promise<void> => {
    const limit = new AbortController();
    const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
    gateway.endAll();
    // A process is ended through its engine, which may be out of reach.
    const late = wait(limitMs, undefined, { signal: limit.signal }).catch(() => undefined);
    await Promise.race([Promise.all([gateway.ended(), closed]), late]);
    limit.abort();
    clearInterval(timer);
    unwatch();
  };

  return { hostKey, origin: originOf(address.host, port, 'ssh'), port, socket: () => socketOf(server), drain: end, retire: end };
}
