import type { ContainerInspectInfo, ContainerStats } from 'dockerode';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { imageAddress } from '../../core/containers/images.ts';
import { EngineFault, type UnitSpec, type UnitState, type UnitStats } from '../../ports/container-engine.ts';
import { captureOutput } from './capture-output.ts';
import { answerFault, startFault } from './engine-faults.ts';
import { LABELS, ownerLabels } from './labels.ts';
import { readUnitState } from './read-state.ts';
import type { EngineAnswer, EngineRequests } from './requests.ts';
import { tarFolder } from './tar-folder.ts';
import { endpointOf, unitBody, withAddress, type HostSide } from './unit-body.ts';

export interface UnitRequestsOptions {
  readonly requests: EngineRequests;
  /** Names the engine in messages for logs. */
  readonly host: string;
  readonly hostSide: HostSide;
  /** For an ordinary request; a stop may take the unit's own time on top. */
  readonly requestMs: number;
}

/** What is asked of an engine about units; see the port for what each does. */
export interface UnitRequests {
  readonly create: (spec: UnitSpec) => Promise<{ readonly id: string }>;
  readonly start: (id: string) => Promise<void>;
  readonly stop: (id: string, timeoutS: number) => Promise<void>;
  readonly remove: (id: string) => Promise<void>;
  readonly inspect: (idOrName: string) => Promise<UnitState | null>;
  readonly capture: (id: string, command: readonly string[], timeoutMs: number) => Promise<string | null>;
  readonly stats: (id: string) => Promise<UnitStats | null>;
}

const LOOK_AGAIN_MS = 50;
const isGone = (answer: EngineAnswer): boolean => answer.status === 404;
const pathOf = (idOrName: string): string => `/containers/${encodeURIComponent(idOrName)}`;

/** The IP address behind the address of a host. */
async function ipOf(address: string, host: string): Promise<string> {
  if (isIP(address) !== 0) return address;
  try {
    return (await lookup(address, { family: 4 })).address;
  } catch (cause) {
    const message = `${host}: its address ${address} has no IP address`;
    throw new EngineFault({ kind: 'unreachable', message, publicMessage: 'The host of the container cannot be reached.', cause });
  }
}

/** Where the volume of a passing container is mounted; its parent is the root, which every image has. */
const VOLUME_FOLDER = 'castellan-volume';
const FOLDER_MODE = 0o777;

/** Makes the requests about units of one engine. */
export function makeUnitRequests({ requests, host, hostSide, requestMs }: UnitRequestsOptions): UnitRequests {
  const inspect = async (idOrName: string): Promise<ContainerInspectInfo | null> => {
    const answer = await requests.send({ method: 'GET', path: `${pathOf(idOrName)}/json` });
    if (isGone(answer)) return null;
    if (answer.status !== 200) throw answerFault(`${host}: inspecting ${idOrName}`, answer);
    return answer.json as ContainerInspectInfo;
  };

  /** The unit of that name, if it was made from the same specification. */
  const taken = async (spec: UnitSpec, specHash: string): Promise<string> => {
    const present = await inspect(spec.name);
    if (present !== null && present.Config.Labels[LABELS.spec] === specHash) return present.Id;
    throw new EngineFault({
      kind: 'conflict',
      message: `${host}: ${spec.name} is there and was made from another specification`,
      publicMessage: 'The host has another container under the name of this one.',
    });
  };

  /** Joins the networks that the unit is not on yet. */
  const joinNetworks = async (id: string, spec: UnitSpec): Promise<void> => {
    if (spec.networks.length < 2) return;
    const present = await inspect(id);
    const joined = Object.keys(present?.NetworkSettings.Networks ?? {});
    for (const { name } of spec.networks.filter((network) => !joined.includes(network.name))) {
      const body = { Container: id, EndpointConfig: endpointOf(spec) };
      const answer = await requests.send({ method: 'POST', path: `/networks/${encodeURIComponent(name)}/connect`, body });
      if (answer.status !== 200) throw answerFault(`${host}: joining ${spec.name} to ${name}`, answer);
    }
  };

  const remove = async (id: string): Promise<void> => {
    const deadline = AbortSignal.timeout(requestMs);
    for (;;) {
      const answer = await requests.send({ method: 'DELETE', path: pathOf(id), query: { force: true, v: true } });
      if (isGone(answer) || answer.status === 204) return;
      // Someone else's request removes it just now.
      if (answer.status !== 409 || deadline.aborted) throw answerFault(`${host}: removing ${id}`, answer);
      await wait(LOOK_AGAIN_MS);
    }
  };

  /**
   * Gives the top folder of a volume to its owner, through a container that is never started: nothing of the image runs, and no image needs a
   * program for it.
   */
  const giveVolume = async (spec: UnitSpec, mount: UnitSpec['mounts'][number] & { ownerId: number }): Promise<void> => {
    const name = `${spec.name}-volume`;
    await remove(name);
    const Mounts = [{ Type: 'volume', Source: mount.volume, Target: `/${VOLUME_FOLDER}` }];
    // Without the unit's name: a listing must not take it for the unit.
    const body = {
      Image: imageAddress(spec.image),
      Labels: ownerLabels(spec.owner),
      Cmd: ['none'],
      NetworkDisabled: true,
      HostConfig: { NetworkMode: 'none', Mounts },
    };
    const made = await requests.send({ method: 'POST', path: '/containers/create', query: { name }, body });
    if (made.status !== 201) throw answerFault(`${host}: creating ${name}`, made);
    try {
      const path = `${pathOf(name)}/archive`;
      const looked = await requests.send({ method: 'HEAD', path, query: { path: `/${VOLUME_FOLDER}` } });
      const archive = tarFolder({ name: VOLUME_FOLDER, mode: folderMode(looked), ownerId: mount.ownerId });
      const given = await requests.send({ method: 'PUT', path, query: { path: '/' }, body: archive });
      if (given.status !== 200) throw answerFault(`${host}: giving the volume ${mount.volume} to its owner`, given);
    } finally {
      await remove(name);
    }
  };

  return {
    async create(spec) {
      const { body, specHash } = unitBody(spec, hostSide);
      for (const mount of spec.mounts) {
        const { ownerId } = mount;
        if (ownerId !== null) await giveVolume(spec, { ...mount, ownerId });
      }
      const named = withAddress(body, await ipOf(hostSide.address, host));
      const answer = await requests.send({ method: 'POST', path: '/containers/create', query: { name: spec.name }, body: named });
      if (answer.status !== 201 && answer.status !== 409) throw answerFault(`${host}: creating ${spec.name}`, answer);
      const id = answer.status === 409 ? await taken(spec, specHash) : (answer.json as { Id: string }).Id;
      await joinNetworks(id, spec);
      return { id };
    },

    async start(id) {
      const answer = await requests.send({ method: 'POST', path: `${pathOf(id)}/start` });
      if (answer.status === 204 || answer.status === 304) return;
      throw startFault(`${host}: starting ${id}`, answer);
    },

    async stop(id, timeoutS) {
      const timeoutMs = timeoutS * 1000 + requestMs;
      const answer = await requests.send({ method: 'POST', path: `${pathOf(id)}/stop`, query: { t: timeoutS }, timeoutMs });
      if (![204, 304, 404].includes(answer.status)) throw answerFault(`${host}: stopping ${id}`, answer);
    },

    remove,

    async inspect(idOrName) {
      const inspected = await inspect(idOrName);
      return inspected === null ? null : readUnitState(inspected);
    },

    capture: (id, command, timeoutMs) => captureOutput({ requests, host }, id, { command, timeoutMs }),

    async stats(id) {
      const answer = await requests.send({ method: 'GET', path: `${pathOf(id)}/stats`, query: { stream: false, 'one-shot': true } });
      if (isGone(answer)) return null;
      if (answer.status !== 200) throw answerFault(`${host}: measuring ${id}`, answer);
      return readStats(answer.json as ContainerStats);
    },
  };
}

/** The mode of a folder as an engine tells it: Go's bits, of which the lower nine are the permissions. */
function folderMode(answer: EngineAnswer): number {
  const stat = answer.headers['x-docker-container-path-stat'];
  if (answer.status !== 200 || typeof stat !== 'string') return 0o755;
  const { mode } = JSON.parse(Buffer.from(stat, 'base64').toString('utf8')) as { mode: number };
  return mode & FOLDER_MODE;
}

/** A measurement; null if the unit does not run: an engine answers then too, without numbers. */
function readStats(stats: ContainerStats): UnitStats | null {
  const { usage, limit, stats: parts } = stats.memory_stats as Partial<ContainerStats['memory_stats']>;
  const atMs = Date.parse(stats.read);
  if (usage === undefined || limit === undefined || !Number.isFinite(atMs) || atMs <= 0) return null;
  const counters = (parts ?? {}) as Readonly<Record<string, number | undefined>>;
  // The first is of control groups' version 1, where a whole tree is meant, the second of version 2.
  const cache = counters['total_inactive_file'] ?? counters['inactive_file'] ?? 0;
  return {
    cpuNs: BigInt(Math.trunc(stats.cpu_stats.cpu_usage.total_usage)),
    memoryBytes: Math.max(0, usage - cache),
    memoryLimitBytes: limit,
    atMs,
  };
}
