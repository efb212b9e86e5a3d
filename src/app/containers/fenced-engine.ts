import { EngineFault, type ContainerEngine } from '../../ports/container-engine.ts';
import type { ContainerLease } from './container-lease.ts';

/** An engine on which nothing is changed unless the lease of acting on hosts is certainly ours: else `aborted` is thrown, and nothing was done. */
export function fenceEngine(engine: ContainerEngine, lease: Pick<ContainerLease, 'isHeld'>): ContainerEngine {
  const check = (): void => {
    if (lease.isHeld()) return;
    const message = 'this node has no right to act on container hosts at present';
    throw new EngineFault({ kind: 'aborted', message, publicMessage: 'the work goes on elsewhere' });
  };
  const fenced = <A extends readonly unknown[], T>(act: (...args: A) => Promise<T>) => {
    return async (...args: A): Promise<T> => {
      check();
      return act(...args);
    };
  };
  return {
    ping: () => engine.ping(),
    hasImage: (image) => engine.hasImage(image),
    inspectUnit: (id) => engine.inspectUnit(id),
    list: (installation) => engine.list(installation),
    logs: (id, request) => engine.logs(id, request),
    stats: (id) => engine.stats(id),
    exec: (id, spec) => engine.exec(id, spec),
    capture: (id, command, timeoutMs) => engine.capture(id, command, timeoutMs),
    close: () => engine.close(),
    pull: fenced((request) => engine.pull(request)),
    removeImage: fenced((image) => engine.removeImage(image)),
    ensureNetwork: fenced((spec) => engine.ensureNetwork(spec)),
    ensureVolume: fenced((spec) => engine.ensureVolume(spec)),
    removeNetwork: fenced((name) => engine.removeNetwork(name)),
    removeVolume: fenced((name) => engine.removeVolume(name)),
    createUnit: fenced((spec) => engine.createUnit(spec)),
    startUnit: fenced((id) => engine.startUnit(id)),
    stopUnit: fenced((id, timeoutS) => engine.stopUnit(id, timeoutS)),
    removeUnit: fenced((id) => engine.removeUnit(id)),
  };
}
