import { generatedDomain } from '../../core/containers/container-names.ts';
import { domainRecordId } from '../../core/containers/domain-records.ts';
import type { Container, Deployment } from '../../core/containers/container-records.ts';
import type { IngressRoutes, IngressSlot, IngressTarget } from '../../ports/ingress-routes.ts';
import type { RecordStore } from '../../ports/record-store.ts';

/** Label under which an update that waits to be accepted is reached, before the domain of its container. */
const STAGING_LABEL = 'staging';

const slotOf = ({ id, endpoint }: Deployment): IngressSlot | null => (endpoint === null ? null : { deploymentId: id, ...endpoint });

/** What names containers have: those below a domain, and those of their own that are verified, by the ids of their records. */
interface Names {
  readonly baseDomain: string;
  readonly verified: ReadonlySet<string>;
}

const generatedOf = ({ name, tenantId }: Container, { debug }: Deployment, { baseDomain }: Names): string =>
  generatedDomain({ name, debug, tenantId }, baseDomain);

/** The domains under which a deployment of a container is reached. */
function hostsOf(container: Container, deployment: Deployment, names: Names): string[] {
  const { customDomain } = deployment;
  const isOurs = customDomain !== null && names.verified.has(domainRecordId(container.tenantId, customDomain));
  return [generatedOf(container, deployment, names), ...(isOurs ? [customDomain] : [])];
}

/** The domain of an update that waits to be accepted: below the generated one, whose names are all its container's. */
const stagingHostOf = (container: Container, update: Deployment, names: Names): string =>
  `${STAGING_LABEL}.${generatedOf(container, update, names)}`;

/** The names that a container has, whatever of it runs: certificates are made before it serves, and outlast what does. */
function namesOf(container: Container, names: Names): string[] {
  const { current, update, deletedAtMs } = container;
  if (deletedAtMs !== null) return [];
  const next =
    update === null || update.state === 'failed' ? [] : [...hostsOf(container, update, names), stagingHostOf(container, update, names)];
  return [...hostsOf(container, current, names), ...next];
}

/** Where the requests of one container go: those of its domains to what serves, those of its staging domain to an update that waits. */
function routesOf(container: Container, names: Names): readonly (readonly [host: string, target: IngressTarget])[] {
  const { current, update, retired } = container;
  if (container.deletedAtMs !== null) return [];
  const targetOf = (deployment: Deployment, fallback: IngressSlot | null): IngressTarget | null => {
    const slot = slotOf(deployment);
    if (slot === null) return null;
    return { ...slot, tenantId: container.tenantId, containerId: container.id, shim: deployment.config.shim, fallback };
  };
  const before = retired.at(-1);
  const serving = current.state === 'serving' ? targetOf(current, before === undefined ? null : slotOf(before)) : null;
  const waiting = update?.state === 'ready' ? targetOf(update, null) : null;
  return [
    ...(serving === null ? [] : hostsOf(container, current, names).map((host) => [host, serving] as const)),
    ...(waiting === null || update === null ? [] : [[stagingHostOf(container, update, names), waiting] as const]),
  ];
}

/** The table of where requests of containers go, kept in memory. */
export interface RouteTable extends IngressRoutes {
  /** Reads again; resolves when look-ups see what was durable when it was called. */
  refresh(): Promise<void>;
  /** Whether requests of any host go to a deployment. */
  isKnown(deploymentId: string): boolean;
  /** Whether a host, in lower case, is the name of a container, be it one that does not serve now. */
  isNamed(host: string): boolean;
}

/** Makes the {@link RouteTable}, empty until it is first refreshed. */
export function makeRouteTable({
  records,
  baseDomain,
}: {
  readonly records: Pick<RecordStore, 'records'>;
  readonly baseDomain: string;
}): RouteTable {
  let table = new Map<string, IngressTarget>();
  let known = new Set<string>();
  let named = new Set<string>();
  let running: Promise<void> | null = null;
  let next: Promise<void> | null = null;

  async function read(): Promise<void> {
    const [containers, domains] = await Promise.all([records.records('container'), records.records('domain')]);
    const verified = new Set(domains.filter(({ verifiedAtMs }) => verifiedAtMs !== null).map(({ id }) => id));
    // Where two have a domain, one is taking the other's place: the one that serves and is older goes on until it is deleted.
    const ordered = containers.toSorted((a, b) => b.createdAtMs - a.createdAtMs);
    table = new Map(ordered.flatMap((container) => routesOf(container, { baseDomain, verified })));
    named = new Set(containers.flatMap((container) => namesOf(container, { baseDomain, verified })));
    const slots = [...table.values()].flatMap((target) => (target.fallback === null ? [target] : [target, target.fallback]));
    known = new Set(slots.map(({ deploymentId }) => deploymentId));
  }

  const start = (): Promise<void> => {
    running = read().finally(() => (running = null));
    return running;
  };

  return {
    find: (host) => table.get(host),
    isKnown: (id) => known.has(id),
    isNamed: (host) => named.has(host),
    refresh: () => {
      if (running === null) return start();
      // One that is under way may have read before the change; whoever comes meanwhile shares the one after it.
      next ??= running
        .catch(() => undefined)
        .then(() => {
          next = null;
          return start();
        });
      return next;
    },
  };
}
