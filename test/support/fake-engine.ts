import { imageAddress, type ImageRef } from '../../src/core/containers/images.ts';
import {
  EngineFault,
  type ContainerEngine,
  type EngineFaultKind,
  type EngineOwner,
  type ExecSpec,
  type LogLine,
  type OwnedUnit,
  type RegistryAuth,
  type UnitExec,
  type UnitSpec,
  type UnitStats,
  type UnitState,
} from '../../src/ports/container-engine.ts';

interface FakeUnit {
  readonly id: string;
  readonly spec: UnitSpec;
  state: UnitState['state'];
  health: UnitState['health'];
  exitCode: number;
  publishedPort: number | null;
}

/** An engine in memory: for GPUs, which no machine of ours has, and for faults at every step. */
export interface FakeEngine extends ContainerEngine {
  readonly units: Map<string, FakeUnit>;
  readonly networks: Map<string, EngineOwner>;
  readonly volumes: Map<string, EngineOwner>;
  readonly images: Set<string>;
  /** What a unit uses, by its id; nothing where it is not here. */
  readonly stat: Map<string, UnitStats>;
  /** What a command in a unit prints, by the unit's id. */
  readonly printed: Map<string, string>;
  /** What was done, in order: `create <name>`, `start <name>`, `remove <name>`, `pull <address>`. */
  readonly done: string[];
  /** Asked before each request; a kind of fault makes it fail, `after` once it was carried out. */
  fault: ((step: string) => { readonly kind: EngineFaultKind; readonly after?: boolean } | null) | null;
  /** What the registry says to credentials; null: it gives the image. */
  registry: (auth: RegistryAuth | null) => 401 | 403 | null;
  /** How a unit behaves once it is started; healthy and serving where nothing is said. */
  behave: (spec: UnitSpec) => { readonly state?: UnitState['state']; readonly health?: UnitState['health']; readonly exitCode?: number };
  /** What a process that is started in a unit is. */
  runProcess: (spec: ExecSpec) => UnitExec;
  /** As when the engine is killed: everything stops, and ports are chosen anew. */
  restart(): void;
}

/** Makes a {@link FakeEngine}. */
export function makeFakeEngine(): FakeEngine {
  const units = new Map<string, FakeUnit>();
  const networks = new Map<string, EngineOwner>();
  const volumes = new Map<string, EngineOwner>();
  const images = new Set<string>();
  const stat = new Map<string, UnitStats>();
  const printed = new Map<string, string>();
  const done: string[] = [];
  let nextPort = 20_000;
  let nextId = 1;

  /** Carries a step out, with the fault that is planned for it. */
  const step = async <T>(name: string, act: () => T): Promise<T> => {
    await Promise.resolve();
    const planned = engine.fault?.(name) ?? null;
    const fail = (kind: EngineFaultKind): EngineFault =>
      new EngineFault({ kind, message: `planned: ${name}`, publicMessage: `${name} failed: ${kind}` });
    if (planned !== null && planned.after !== true) throw fail(planned.kind);
    const value = act();
    if (planned !== null) throw fail(planned.kind);
    return value;
  };

  const find = (id: string): FakeUnit | undefined => units.get(id) ?? [...units.values()].find(({ spec }) => spec.name === id);

  const engine: FakeEngine = {
    units,
    networks,
    volumes,
    images,
    stat,
    printed,
    done,
    fault: null,
    registry: () => null,
    behave: () => ({}),
    runProcess: () => {
      throw new Error('no process is planned');
    },
    restart: () => {
      for (const unit of units.values()) {
        unit.state = 'exited';
        unit.publishedPort = null;
      }
    },
    ping: () => step('ping', () => ({ version: '0', apiVersion: '0', cpus: 2, memoryBytes: 0, firewall: 'managed' as const })),
    hasImage: (image) => step('hasImage', () => images.has(imageAddress(image))),
    pull: ({ image, auth }) =>
      step('pull', () => {
        const status = engine.registry(auth);
        const publicMessage = 'the registry refuses the image';
        if (status !== null) throw new EngineFault({ kind: 'image_refused', status, message: publicMessage, publicMessage });
        images.add(imageAddress(image));
        done.push(`pull ${imageAddress(image)}`);
      }),
    removeImage: (image: ImageRef) =>
      step('removeImage', () => {
        const address = imageAddress(image);
        if ([...units.values()].some(({ spec }) => imageAddress(spec.image) === address)) return false;
        images.delete(address);
        return true;
      }),
    ensureNetwork: ({ name, owner }) => step('ensureNetwork', () => void networks.set(name, owner)),
    ensureVolume: ({ name, owner }) => step('ensureVolume', () => void volumes.set(name, owner)),
    removeNetwork: (name) => step('removeNetwork', () => void networks.delete(name)),
    removeVolume: (name) => step('removeVolume', () => void volumes.delete(name)),
    createUnit: (spec) =>
      step('createUnit', () => {
        const known = find(spec.name);
        if (known !== undefined) return { id: known.id };
        if (!images.has(imageAddress(spec.image))) throw new Error('the image is not there');
        const id = `unit-${nextId++}`;
        units.set(id, { id, spec, state: 'created', health: 'none', exitCode: 0, publishedPort: null });
        done.push(`create ${spec.name}`);
        return { id };
      }),
    startUnit: (id) =>
      step('startUnit', () => {
        const unit = find(id);
        if (unit === undefined || unit.state === 'running') return;
        const { state = 'running', health = 'none', exitCode = 0 } = engine.behave(unit.spec);
        Object.assign(unit, { state, health, exitCode });
        unit.publishedPort = state === 'running' && unit.spec.shimPort !== null ? nextPort++ : null;
        done.push(`start ${unit.spec.name}`);
      }),
    stopUnit: (id) =>
      step('stopUnit', () => {
        const unit = find(id);
        if (unit !== undefined) Object.assign(unit, { state: 'exited', publishedPort: null });
      }),
    removeUnit: (id) =>
      step('removeUnit', () => {
        const unit = find(id);
        if (unit === undefined) return;
        units.delete(unit.id);
        done.push(`remove ${unit.spec.name}`);
      }),
    inspectUnit: (id) =>
      step('inspectUnit', () => {
        const unit = find(id);
        if (unit === undefined) return null;
        const { state, health, exitCode, publishedPort } = unit;
        return {
          id: unit.id,
          state,
          health,
          exitCode,
          publishedPort,
          oomKilled: false,
          error: '',
          healthOutput: '',
          startedAtMs: null,
          restarts: 0,
        };
      }),
    list: (installation) =>
      step('list', () => ({
        units: [...units.values()]
          .filter(({ spec }) => spec.owner.installation === installation)
          .map(({ id, spec, state, health, publishedPort }): OwnedUnit => {
            const { name, unit, owner, image, allottedGpus } = spec;
            return { id, name, unit, owner, state, health, publishedPort, image: imageAddress(image), allottedGpus };
          }),
        networks: [...networks].map(([name, owner]) => ({ name, owner })).filter(({ owner }) => owner.installation === installation),
        volumes: [...volumes].map(([name, owner]) => ({ name, owner })).filter(({ owner }) => owner.installation === installation),
      })),
    // oxlint-disable-next-line require-yield -- it has no lines
    logs: async function* (): AsyncGenerator<LogLine> {
      await Promise.resolve();
    },
    exec: (id, spec) =>
      step('exec', () => {
        if (find(id)?.state === 'running') {
          done.push(`exec ${id}`);
          return engine.runProcess(spec);
        }
        const message = `${id} does not run`;
        throw new EngineFault({ kind: 'gone', message, publicMessage: message });
      }),
    stats: (id) => step('stats', () => stat.get(id) ?? null),
    capture: (id) => step('capture', () => printed.get(id) ?? null),
    close: () => Promise.resolve(),
  };
  return engine;
}
