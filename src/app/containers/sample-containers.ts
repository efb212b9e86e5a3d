import { allocationOf } from '../../core/containers/container-meter.ts';
import type { ContainerSample, GpuSample } from '../../core/containers/container-samples.ts';
import { joinGpus, readGpuProbe } from '../../core/containers/gpu-probe.ts';
import type { Container } from '../../core/containers/container-records.ts';
import { SYSTEM_TENANT } from '../../core/records.ts';
import type { OwnedUnit, UnitStats } from '../../ports/container-engine.ts';
import type { ContainerHost, ContainerHosts } from '../../ports/container-hosts.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import type { ContainerLease } from './container-lease.ts';

/** What sampling needs. */
export interface SampleContainersDeps {
  readonly records: Pick<RecordStore, 'records'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly hosts: ContainerHosts;
  /** The name of this installation on hosts. */
  readonly installation: string;
  /** Only the node that acts on hosts looks. */
  readonly lease: Pick<ContainerLease, 'isHeld'>;
  readonly clock: Clock;
  readonly ids: Pick<Ids, 'next'>;
  readonly log: Pick<Log, 'warn'>;
}

const MILLI_PERCENT = 100_000;
const NS_PER_MS = 1_000_000;
const MB = 1_048_576;
/** For a probe of GPUs. */
const PROBE_MS = 5000;

/** What one look at a unit saw of the processor time it has had. */
interface Seen {
  readonly cpuNs: bigint;
  readonly atMs: number;
}

/**
 * Makes what looks once at every deployment that serves, and notes what it uses of what it is given. A share of a processor is what was used
 * since the look before, so the first look at a unit notes nothing.
 */
export function makeSampleContainers(deps: SampleContainersDeps): () => Promise<void> {
  const { records, writer, hosts, lease, clock, ids, log } = deps;
  /** By the id of a unit, of the look before. */
  let seen = new Map<string, Seen>();

  /** Processors that were busy since the look before, on average; null where there was none, or the unit was started anew since. */
  function busyCpus(unit: OwnedUnit, stats: UnitStats, next: Map<string, Seen>): number | null {
    const before = seen.get(unit.id);
    next.set(unit.id, stats);
    if (before === undefined || stats.cpuNs < before.cpuNs || stats.atMs <= before.atMs) return null;
    return Number(stats.cpuNs - before.cpuNs) / ((stats.atMs - before.atMs) * NS_PER_MS);
  }

  async function sampleOf(
    container: Container,
    of: { readonly host: ContainerHost; readonly units: readonly OwnedUnit[]; readonly hostCpus: number },
    next: Map<string, Seen>,
  ): Promise<ContainerSample | null> {
    const { host, units, hostCpus } = of;
    const running = units.filter(({ state }) => state === 'running');
    const stats = await Promise.all(running.map(({ id }) => host.engine.stats(id)));
    let cpus = 0;
    let memoryBytes = 0;
    let limitBytes = 0;
    let isWhole = running.length > 0;
    for (const [index, unit] of running.entries()) {
      const used = stats[index];
      if (used === null || used === undefined) continue;
      // Every unit is remembered, also where one of them tells nothing yet.
      const busy = busyCpus(unit, used, next);
      isWhole &&= busy !== null;
      cpus += busy ?? 0;
      memoryBytes += used.memoryBytes;
      limitBytes = Math.max(limitBytes, used.memoryLimitBytes);
    }
    if (!isWhole) return null;
    const { milliCpus, memoryMb } = allocationOf(container.current);
    const given = milliCpus === 0 ? hostCpus : milliCpus / 1000;
    return {
      containerId: container.id,
      atMs: clock.nowMs(),
      cpu: Math.round(Math.min(1, cpus / Math.max(given, Number.EPSILON)) * MILLI_PERCENT),
      memoryBytes,
      memoryTotalBytes: memoryMb === 0 ? limitBytes : memoryMb * MB,
      gpu: await gpusOf(container, host, running),
    };
  }

  /** What the units that have GPUs tell of them; null where one of them tells nothing that can be believed. */
  async function gpusOf({ current }: Container, host: ContainerHost, running: readonly OwnedUnit[]): Promise<GpuSample | null> {
    const { gpuProbe, engine } = host;
    const names = current.config.units.filter(({ gpus }) => gpus !== null && gpus !== 0).map(({ name }) => name);
    if (gpuProbe === null || current.gpus === 0) return null;
    const gpus: GpuSample[] = [];
    for (const { id } of running.filter(({ unit }) => names.includes(unit))) {
      const printed = await engine.capture(id, gpuProbe, PROBE_MS);
      const told = printed === null ? null : readGpuProbe(printed);
      if (told === null) return null;
      gpus.push(...told);
    }
    return joinGpus(gpus);
  }

  async function samplesOn(host: ContainerHost, containers: readonly Container[], next: Map<string, Seen>): Promise<ContainerSample[]> {
    const [{ units }, { cpus: hostCpus }] = await Promise.all([host.engine.list(deps.installation), host.engine.ping()]);
    const samples: ContainerSample[] = [];
    for (const container of containers) {
      const own = units.filter(({ owner }) => owner.deployment === container.current.id);
      const sample = await sampleOf(container, { host, units: own, hostCpus }, next);
      if (sample !== null) samples.push(sample);
    }
    return samples;
  }

  return async () => {
    if (!lease.isHeld()) {
      seen = new Map();
      return;
    }
    const serving = (await records.records('container')).filter(({ current }) => current.state === 'serving');
    const next = new Map<string, Seen>();
    const samples = await Promise.all(
      hosts.map(async (host) => {
        const here = serving.filter(({ current }) => current.hostName === host.name);
        if (here.length === 0) return [];
        try {
          return await samplesOn(host, here, next);
        } catch (err) {
          log.warn({ err, host: host.name }, 'what containers use could not be read from a host');
          return [];
        }
      }),
    );
    seen = next;
    const all = samples.flat();
    if (all.length === 0) return;
    await writer.execute({ verb: 'note-container-samples', id: ids.next('cmd'), tenantId: SYSTEM_TENANT, samples: all });
  };
}
