import { liveDeployments, type Container, type Deployment } from '../../core/containers/container-records.ts';
import { networkName } from '../../core/containers/engine-names.ts';
import { imageAddress, resolveImage, type ImageRef, type Registries } from '../../core/containers/images.ts';
import type { ContainerEngine, OwnedObjects, OwnedUnit } from '../../ports/container-engine.ts';
import type { ContainerHost } from '../../ports/container-hosts.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';

/** What taking down needs: the engine of the host that it is on. */
interface TakeDown {
  readonly engine: ContainerEngine;
  readonly deployment: Deployment;
  readonly units: readonly { readonly id: string }[];
  readonly networks: readonly string[];
}

/** Time from the stop signal to the kill where the configuration names none, as the engine's own. */
const STOP_TIMEOUT_S = 10;

/** Removes everything of a deployment from its host but images and volumes. Units stop in their own time, all at once. */
export async function takeDown({ engine, deployment, units, networks }: TakeDown): Promise<void> {
  const timeoutS = Math.max(...deployment.config.units.map(({ stopTimeoutS }) => stopTimeoutS ?? STOP_TIMEOUT_S), 0);
  await Promise.all(
    units.map(async ({ id }) => {
      await engine.stopUnit(id, timeoutS);
      await engine.removeUnit(id);
    }),
  );
  const shim = networkName(deployment.id, 'shim', '');
  for (const name of new Set([...networks, shim])) await engine.removeNetwork(name);
}

/** What clears hosts of what is not needed any more. All of it may be run again at any time. */
export interface HostSweeps {
  /** Removes units and networks of deployments that are not to be there, and volumes of containers that are gone. */
  removeOrphans(host: ContainerHost, owned: OwnedObjects, containers: readonly Container[]): Promise<void>;
  /** Removes the images of a deployment that no other deployment of ours on that host needs, as long as nothing of it runs. */
  removeImages(host: ContainerHost, gone: Deployment): Promise<void>;
  /** Does so at the next {@link HostSweeps.removeLeftImages}, and again until it is done. */
  leaveImages(host: ContainerHost, gone: Deployment): void;
  /** Removes the images that were left on a host. */
  removeLeftImages(host: ContainerHost): Promise<void>;
}

const ADDRESS = /^(?<host>[^/]+)\/(?<repository>.+)@(?<digest>sha256:[0-9a-f]{64})$/;

/** Makes the {@link HostSweeps}. `isBusy` tells whether work on a deployment is under way: nothing of it is an orphan. */
export function makeHostSweeps(deps: {
  readonly registries: Registries;
  readonly records: Pick<RecordStore, 'records'>;
  readonly isBusy: (deploymentId: string) => boolean;
  readonly log: Log;
}): HostSweeps {
  const { records, log } = deps;
  const resolve = (image: string): ImageRef | null => {
    const resolved = resolveImage(image, deps.registries);
    return resolved.ok ? resolved.image : null;
  };

  /** The addresses of the images that deployments on a host need. One that drains needs none: its units keep what they use. */
  function neededOn(host: ContainerHost, containers: readonly Container[]): Set<string> {
    const live = containers.flatMap(liveDeployments).filter(({ hostName }) => hostName === host.name);
    const images = live
      .filter(({ state }) => state !== 'draining')
      .flatMap(({ config }) => config.units.map(({ image }) => resolve(image)));
    return new Set(images.flatMap((image) => (image === null ? [] : [imageAddress(image)])));
  }

  /** Removes images that units were made of that are gone, where nothing else of ours needs them. */
  async function removeImagesOf(host: ContainerHost, units: readonly OwnedUnit[], containers: readonly Container[]): Promise<void> {
    const kept = neededOn(host, containers);
    for (const address of new Set(units.flatMap(({ image }) => (image === null || kept.has(image) ? [] : [image])))) {
      const { host: from, repository, digest } = ADDRESS.exec(address)?.groups ?? {};
      if (from === undefined || repository === undefined || digest === undefined) continue;
      await host.engine.removeImage({ host: from, repository, digest, kind: 'other' });
    }
  }

  const left = new Map<string, { readonly host: ContainerHost; readonly gone: Deployment }>();

  const removeImages: HostSweeps['removeImages'] = async (host, gone) => {
    const needed = neededOn(host, await records.records('container'));
    for (const { image } of gone.config.units) {
      const ref = resolve(image);
      if (ref !== null && !needed.has(imageAddress(ref))) await host.engine.removeImage(ref);
    }
  };

  return {
    removeImages,
    leaveImages: (host, gone) => void left.set(gone.id, { host, gone }),
    removeLeftImages: async (host) => {
      for (const [id, of] of left) {
        if (of.host.name !== host.name) continue;
        await removeImages(of.host, of.gone);
        left.delete(id);
      }
    },
    removeOrphans: async (host, owned, containers) => {
      const live = new Set(
        containers
          .flatMap(liveDeployments)
          .filter(({ hostName }) => hostName === host.name)
          .map(({ id }) => id),
      );
      const isOrphan = ({ owner }: { readonly owner: { readonly deployment: string | null } }): boolean =>
        owner.deployment !== null && !live.has(owner.deployment) && !deps.isBusy(owner.deployment);
      const units = owned.units.filter(isOrphan);
      for (const unit of units) {
        log.info({ host: host.name, unit: unit.name }, 'a unit that belongs to no deployment is removed');
        await host.engine.removeUnit(unit.id);
      }
      for (const { name } of owned.networks.filter(isOrphan)) await host.engine.removeNetwork(name);
      const known = new Set(containers.map(({ id }) => id));
      for (const { name } of owned.volumes.filter(({ owner }) => !known.has(owner.container))) await host.engine.removeVolume(name);
      if (units.length > 0) await removeImagesOf(host, units, containers);
    },
  };
}
