import type { OrganizeChange } from '../../core/containers/commands.ts';
import type { Container } from '../../core/containers/container-records.ts';
import { listOrder } from '../../core/containers/decide-organize.ts';
import { accepted, type Outcome } from '../../core/rejection.ts';
import type { ReleaseSource } from '../../ports/release-source.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import { makeContainerReads, type ContainerReads, type ContainerView } from './container-reads.ts';
import type { MeterContainers } from './meter-containers.ts';
import type { RouteTable } from './route-table.ts';
import { makeDeployments, type Deployments, type DeploymentsDeps } from './deploy-container.ts';

/** What is done with a tenant's containers. Ids that are no UUID, or those of others, are `not_found`. */
export interface ManageContainers extends ContainerReads, Deployments {
  stop(actor: Actor, tenantId: string, id: string): Promise<Outcome<ContainerView>>;
  remove(actor: Actor, tenantId: string, id: string): Promise<Outcome<Container>>;
  accept(actor: Actor, tenantId: string, id: string): Promise<Outcome<ContainerView>>;
  cancel(actor: Actor, tenantId: string, id: string): Promise<Outcome<ContainerView>>;
  /** Throws the source's fault where it cannot be asked for its App. */
  set(
    actor: Actor,
    tenantId: string,
    id: string,
    changes: { readonly autoUpdate?: boolean; readonly githubAppConnected?: boolean },
  ): Promise<Outcome<ContainerView>>;
  /** The value is the tenant's containers as they are listed now. */
  organize(actor: Actor, tenantId: string, change: OrganizeChange): Promise<Outcome<ContainerView[]>>;
}

/** What managing needs. Lengths in milliseconds. */
export interface ManageContainersDeps extends Omit<DeploymentsDeps, 'lookups'> {
  readonly records: Pick<RecordStore, 'record' | 'records'>;
  /** Where requests go, as the ingress of this node knows it. */
  readonly routes: Pick<RouteTable, 'isKnown' | 'refresh'>;
  readonly metering: Pick<MeterContainers, 'requireFunds' | 'settle'>;
  readonly source: Pick<ReleaseSource, 'isPolled' | 'connection'>;
  readonly drainMs: number;
  readonly stopDrainMs: number;
}

/** Makes the {@link ManageContainers}. */
export function makeManageContainers(deps: ManageContainersDeps): ManageContainers {
  const { records, writer, ids } = deps;
  const lookups = makeContainerReads(deps);

  const baseOf = (actor: Actor, name: string, tenantId: string, id: string) =>
    auditedBase(ids, actor, { name, tenantId, resourceKind: 'container', resourceId: id });

  const act = async (
    of: { readonly actor: Actor; readonly tenantId: string; readonly id: string; readonly name: string },
    send: (base: ReturnType<typeof baseOf>, container: Container) => Promise<Outcome<Container>>,
  ): Promise<Outcome<ContainerView>> => {
    const found = await lookups.container(of.tenantId, of.id);
    return found.ok ? lookups.viewed(await send(baseOf(of.actor, of.name, of.tenantId, of.id), found.value)) : found;
  };

  return {
    ...lookups,
    ...makeDeployments({ ...deps, lookups }),
    stop: (actor, tenantId, id) =>
      act({ actor, tenantId, id, name: 'stop-container' }, (base) =>
        writer.execute({ verb: 'stop-container', ...base, containerId: id, drainMs: deps.stopDrainMs }),
      ),
    remove: async (actor, tenantId, id) => {
      const found = await lookups.container(tenantId, id);
      if (!found.ok) return found;
      await deps.metering.settle(found.value);
      return writer.execute({ verb: 'delete-container', ...baseOf(actor, 'delete-container', tenantId, id), containerId: id });
    },
    accept: (actor, tenantId, id) =>
      act({ actor, tenantId, id, name: 'accept-container-update' }, (base) =>
        writer.execute({ verb: 'accept-container-update', ...base, containerId: id, drainMs: deps.drainMs }),
      ),
    cancel: (actor, tenantId, id) =>
      act({ actor, tenantId, id, name: 'cancel-container-update' }, (base) =>
        writer.execute({ verb: 'cancel-container-update', ...base, containerId: id }),
      ),
    set: (actor, tenantId, id, changes) =>
      act({ actor, tenantId, id, name: 'set-container' }, async (base, { repo, githubAppConnected }) => {
        const connects = changes.githubAppConnected === true && !githubAppConnected;
        const connection = connects ? await deps.source.connection({ tenantId, repo }) : null;
        const isPolled = deps.source.isPolled(repo);
        return writer.execute({ verb: 'set-container', ...base, containerId: id, ...changes, isPolled, connection });
      }),
    organize: async (actor, tenantId, change) => {
      const base = auditedBase(ids, actor, {
        name: 'organize-containers',
        tenantId,
        resourceKind: 'container-roster',
        resourceId: tenantId,
      });
      const outcome = await writer.execute({ verb: 'organize-containers', ...base, change });
      if (!outcome.ok) return outcome;
      const containers = new Map((await records.records('container', tenantId)).map((container) => [container.id, container]));
      return accepted(
        outcome.value.containers.toSorted(listOrder).flatMap((entry) => {
          const container = containers.get(entry.id);
          return container === undefined ? [] : [{ container, entry }];
        }),
      );
    },
  };
}
