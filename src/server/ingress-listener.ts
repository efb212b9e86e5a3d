import type { Server } from 'node:http';
import { once } from 'node:events';
import { makeKeyChecks } from '../app/check-key.ts';
import { rejected } from '../core/rejection.ts';
import { makeAdmit } from '../ingress/admit.ts';
import { INGRESS_TIMEOUTS, makeIngress } from '../ingress/ingress.ts';
import { makeIsIn, makeSenderOf } from '../ingress/headers.ts';
import { makeProxy } from '../ingress/proxy.ts';
import type { ComposeDeps, Parts } from './compose.ts';
import type { ListenAddress } from './config.ts';
import { listen, type Listener, type Listening } from './listener.ts';
import type { SocketHandle } from './restart/sockets.ts';

/** Connections to deployments that are gone are dropped that often. */
const FORGET_EVERY_MS = 60_000;

/** A plain server as something that can be told to listen. */
const listening = (server: Server): Listening => ({
  server,
  listen: async (where) => {
    server.listen(where);
    await once(server, 'listening');
  },
  close: async () => {
    if (server.listening) await new Promise((resolve) => void server.close(resolve));
  },
});

/** Opens the listener that passes requests on to containers. */
export async function openIngress(
  address: ListenAddress,
  of: { readonly deps: ComposeDeps; readonly parts: Parts; readonly inherited: SocketHandle | null },
): Promise<Listener> {
  const { deps, parts } = of;
  const { routes, inFlight } = parts.containers;
  const checks = makeKeyChecks({ directory: parts.directory, records: deps.store, clock: deps.clock });
  const senderOf = makeSenderOf(makeIsIn(deps.containers.trustedProxies));
  const proxy = makeProxy({ inFlight, senderOf });
  const admit = makeAdmit({
    nowMs: () => performance.now(),
    checkKey: async (plaintext, tenantId) => {
      const found = await checks.validate(plaintext);
      if (!found.ok) return found;
      const { key } = found.value;
      if (key.tenantId !== tenantId) return rejected({ code: 'forbidden', message: 'this key belongs to another organization' });
      return { ok: true, value: { keyId: key.id } };
    },
  });
  const { ingress } = deps.telemetry.metrics;
  const onAnswered = (status: number): void => void (ingress.cell(`${Math.floor(status / 100)}xx`).value += 1);
  const server = makeIngress({ routes, admit, proxy, inFlight, senderOf, timeouts: INGRESS_TIMEOUTS, onAnswered, log: deps.log });
  const forget = setInterval(
    () => proxy.forget((deploymentId) => routes.isKnown(deploymentId) || inFlight.count(deploymentId) > 0),
    FORGET_EVERY_MS,
  );
  forget.unref();
  deps.closers.add('connections to containers', async () => {
    clearInterval(forget);
    await proxy.close();
  });
  const listener = await listen(listening(server), address, 'CASTELLAN_INGRESS_PORT', of.inherited);
  return {
    ...listener,
    // What has become another protocol is no request that the server knows of: it ends with the time for the others.
    drain: async (limitMs) => {
      const cut = setTimeout(() => inFlight.cutAll(), limitMs);
      await listener.drain(limitMs).finally(() => clearTimeout(cut));
    },
  };
}
