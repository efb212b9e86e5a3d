import { anthropicForm } from '../api/_shared/anthropic-form.ts';
import { makeDocumentation } from '../api/documentation/surface.ts';
import { makeOpenApi, type MountedRoute } from '../api/_shared/openapi/document.ts';
import type { FastifyInstance } from 'fastify';
import { cyclesForm } from '../api/_shared/cycles-form.ts';
import { addCors } from '../api/_shared/cors.ts';
import { registerFallback, type PathOwner } from '../api/_shared/fallback.ts';
import { countFailedCredentials } from '../api/_shared/failed-credentials.ts';
import { addBrowserGuards } from '../api/_shared/guards.ts';
import { openAiForm } from '../api/_shared/openai-form.ts';
import { MESSAGES_PREFIX } from '../api/anthropic-gateway/surface.ts';
import { managementForm } from '../api/cortecs-management/errors.ts';
import { MANAGEMENT_PREFIXES } from '../api/cortecs-management/prefixes.ts';
import { governanceForm } from '../api/cycles-governance/errors.ts';
import { GOVERNANCE_PREFIXES } from '../api/cycles-governance/surface.ts';
import { PAYMENTS_PREFIX } from '../api/payments/surface.ts';
import { RELEASE_HOOKS_PREFIX } from '../api/release-hooks/surface.ts';
import { OPERATOR_PREFIX } from '../api/operator/prefix.ts';
import { runtimeForm } from '../api/cycles-runtime/errors.ts';
import { RUNTIME_PREFIXES } from '../api/cycles-runtime/surface.ts';
import { tinfoilForm } from '../api/tinfoil-admin/errors.ts';
import { TINFOIL_PREFIX } from '../api/tinfoil-admin/prefix.ts';
import { BILLS_PREFIX } from '../core/bills/bill-path.ts';
import { mountControlPlane, mountDataPlane, type ComposeDeps, type Parts } from './compose.ts';
import { type Config, isWildcard, type ListenAddress } from './config.ts';
import { READY_PATH, registerHealth } from './health.ts';
import { openIngress } from './ingress-listener.ts';
import type { SshListener } from './ssh-listener.ts';
import { type ClientTimeouts, listen, type Listener, makeServer } from './listener.ts';
import { makeMountedRoutes } from './mounted-routes.ts';
import type { SocketCase } from './restart/sockets.ts';
import { registerRequestLog } from './request-log.ts';
import { SURFACES } from './surfaces.ts';
import { makeIsIn } from '../ingress/headers.ts';
import { registerAsk } from './tls-ask.ts';
import { registerMetrics } from './telemetry/metrics-route.ts';
import { watchRequests } from './telemetry/watch-requests.ts';
import { programVersion } from './version.ts';

/** The listeners of the program. */
export interface Listeners {
  readonly runtime: Listener;
  readonly admin: Listener;
  /** Where containers are reached; null where no host is declared. */
  readonly ingress: Listener | null;
  /** Where shells in debug containers are reached; null where no host is declared, or nobody asked for it. */
  readonly ssh: SshListener | null;
  /** Every route that serves something, with the listeners that mount it. */
  readonly routes: () => readonly MountedRoute[];
}

/** Surfaces that own every path below a prefix, on both listeners. */
const DATA_PLANE_OWNERS: readonly PathOwner[] = [
  { prefix: MESSAGES_PREFIX, form: anthropicForm },
  ...MANAGEMENT_PREFIXES.map((prefix) => ({ prefix, form: managementForm })),
  ...RUNTIME_PREFIXES.map((prefix) => ({ prefix, form: runtimeForm, traced: true })),
];

/** The same on the control plane. */
const CONTROL_PLANE_OWNERS: readonly PathOwner[] = [
  ...DATA_PLANE_OWNERS,
  { prefix: TINFOIL_PREFIX, form: tinfoilForm },
  { prefix: OPERATOR_PREFIX, form: cyclesForm },
  { prefix: BILLS_PREFIX, form: cyclesForm },
  { prefix: PAYMENTS_PREFIX, form: cyclesForm },
  { prefix: RELEASE_HOOKS_PREFIX, form: cyclesForm },
  ...GOVERNANCE_PREFIXES.map((prefix) => ({ prefix, form: governanceForm, traced: true })),
];

/** This machine itself. */
const LOOPBACK = ['127.0.0.0/8', '::1'];

/** Opens the listeners; their closer finishes what they are answering. */
export async function openListeners(options: {
  config: Config;
  deps: ComposeDeps;
  parts: Parts;
  timeouts: ClientTimeouts;
  /** Sockets that another process hands over; null where this one opens its own. */
  sockets: SocketCase | null;
}): Promise<Listeners> {
  const { config, deps, parts, timeouts, sockets } = options;
  const { log, ids, telemetry, operatorKey } = deps;
  const { drainMs, maxBodyBytes } = config.gateway;
  const open: Listener[] = [];
  const routes = makeMountedRoutes();
  const document = routes.memo((all) => makeOpenApi({ routes: all, surfaces: SURFACES, version: programVersion() }));
  // One closer for both: while one finishes its requests, the other must not take new ones.
  deps.closers.add('listeners', async () => void (await Promise.all(open.map((listener) => listener.drain(drainMs)))));

  const start = async (name: 'runtime' | 'admin', address: ListenAddress): Promise<Listener> => {
    const owners = name === 'admin' ? CONTROL_PLANE_OWNERS : DATA_PLANE_OWNERS;
    const form = name === 'admin' ? tinfoilForm : openAiForm;
    const app = makeServer({ bodyLimit: maxBodyBytes, ids, timeouts, owners, form, log });
    watchRequests(app, telemetry);
    routes.gather(app, name);
    countFailedCredentials(app, parts.failedCredentials);
    registerRequestLog(app, { listener: name, log });
    // First of all, so that what the guards refuse can be read as well. The control plane stays closed to pages.
    if (name === 'runtime') addCors(app, { origins: config.declared?.corsOrigins ?? [] });
    if (name === 'admin') {
      const { allowedOrigins } = config;
      addBrowserGuards(app, { allowedHosts: [...hostsOf(address), ...publicHost(config), ...config.allowedHosts], allowedOrigins });
    }
    registerFallback(app, { owners, log });
    registerHealth(app, parts.isReady);
    await mountDataPlane(app, deps, parts, { isControlPlane: name === 'admin' });
    if (name === 'admin') {
      await mountControlPlane(app, deps, parts);
      const mayAsk = makeIsIn([...LOOPBACK, ...deps.containers.trustedProxies]);
      registerAsk(app, {
        isNamed: (host) => parts.containers.routes.isNamed(host),
        mayAsk: ({ socket }) => mayAsk(socket.remoteAddress ?? ''),
      });
      await registerMetrics(app, { ...telemetry, operatorKey, log });
      await app.register(makeDocumentation({ document, log }));
    }
    if (sockets !== null) await refuseUnready(app, name);
    const inherited = sockets?.take({ name, ...address }) ?? null;
    const listener = await listen(app, address, `CASTELLAN_${name.toUpperCase()}_PORT`, inherited);
    open.push(listener);
    return listener;
  };
  // The data plane last: whoever finds it ready may use the control plane as well.
  const admin = await start('admin', config.admin);
  const runtime = await start('runtime', config.runtime);
  return { runtime, admin, ingress: await startIngress(), ssh: await startSsh(), routes: routes.all };

  async function startIngress(): Promise<Listener | null> {
    if (parts.containers.hosts.length === 0) return null;
    const inherited = sockets?.take({ name: 'ingress', ...config.ingress }) ?? null;
    const listener = await openIngress(config.ingress, { deps, parts, inherited });
    open.push(listener);
    return listener;
  }

  async function startSsh(): Promise<SshListener | null> {
    if (parts.containers.hosts.length === 0 || config.sshGateway === null) return null;
    const inherited = sockets?.take({ name: 'ssh', ...config.ssh }) ?? null;
    // Its library is loaded only where it is wanted: it takes its time and memory.
    const { openSsh } = await import('./ssh-listener.ts');
    const listener = await openSsh(config.ssh, { config: config.sshGateway, deps, parts, inherited });
    parts.containers.noteSshPort(listener.port);
    open.push(listener);
    return listener;
  }
}

/** Asks a listener that is about to take over whether it can work: a connection that it accepts is one that no other process answers. */
async function refuseUnready(app: FastifyInstance, name: string): Promise<void> {
  const { statusCode } = await app.inject({ url: READY_PATH, headers: { host: 'localhost' } });
  if (statusCode !== 200) throw new Error(`the ${name} listener is not ready to take over: it answers ${statusCode} to ${READY_PATH}`);
}

/** The name under which links to this server lead to it. */
const publicHost = ({ billing: { publicUrl } }: Config): string[] => (publicUrl === null ? [] : [new URL(publicUrl).hostname]);

/** The names under which an address is reached; one that takes every address has none. */
const hostsOf = ({ host }: ListenAddress): string[] => (isWildcard(host) ? [] : [host]);
