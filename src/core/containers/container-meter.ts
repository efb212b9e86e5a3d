import type { ContainerConfig } from './config/container-config.ts';
import type { Container, Deployment, ServedSpan } from './container-records.ts';

/** What of a host a deployment is given, and charged for. */
export interface Allocation {
  /** Thousandths of a processor. */
  readonly milliCpus: number;
  readonly memoryMb: number;
  readonly gpus: number;
}

/** What an hour of each costs, in nano-USD. A GB of memory has 1,024 MB. */
export interface ResourcePrices {
  readonly cpuHourNanos: bigint;
  readonly memoryGbHourNanos: bigint;
  readonly gpuHourNanos: bigint;
}

/** What is metered of a container; each is a model of its own where usage is listed. */
export const RESOURCES = ['cpu', 'memory', 'gpu'] as const;

/** One of {@link RESOURCES}. */
export type Resource = (typeof RESOURCES)[number];

/** Under which name usage is listed, and in what it is counted. */
export const RESOURCE_METERS = {
  cpu: { model: 'container-cpu-seconds', unit: 'cpu-seconds' },
  memory: { model: 'container-memory-gb-seconds', unit: 'memory-gb-seconds' },
  gpu: { model: 'container-gpu-seconds', unit: 'gpu-seconds' },
} as const satisfies Record<Resource, { readonly model: string; readonly unit: string }>;

/** A unit in which containers are metered. */
export type ResourceUnit = (typeof RESOURCE_METERS)[Resource]['unit'];

/** The base units that make up one that is charged: a processor for a second, a GB for a second, a GPU for a second. */
const BASE_UNITS: Readonly<Record<Resource, bigint>> = { cpu: 1_000_000n, memory: 1_024_000n, gpu: 1000n };

/** An amount of each resource. */
export type ResourceAmounts = Readonly<Record<Resource, bigint>>;

/**
 * How far a container is metered: everything that it served until `untilMs` is booked. `rest` is what did not make up a whole second of
 * each yet (thousandths of a processor, MB and GPUs, by the millisecond), `total` and `chargedMicrocents` are what was booked so far; all
 * decimal texts, since records hold no bigint. `unpaidSinceMs`: since when its tenant cannot pay for it.
 */
export interface ContainerMeter {
  readonly id: string;
  readonly tenantId: string;
  readonly untilMs: number;
  readonly rest: Readonly<Record<Resource, string>>;
  readonly total: Readonly<Record<Resource, string>>;
  readonly chargedMicrocents: string;
  readonly unpaidSinceMs: number | null;
}

const NONE: Readonly<Record<Resource, string>> = { cpu: '0', memory: '0', gpu: '0' };

/** A meter that has seen nothing. */
export const newMeter = (container: Pick<Container, 'id' | 'tenantId'>): ContainerMeter => ({
  id: container.id,
  tenantId: container.tenantId,
  untilMs: 0,
  rest: NONE,
  total: NONE,
  chargedMicrocents: '0',
  unpaidSinceMs: null,
});

/** A sum over the units of a configuration; null where one of them is without a limit. */
function summed(config: ContainerConfig, limitOf: (unit: ContainerConfig['units'][number]) => number | null): number | null {
  let sum = 0;
  for (const unit of config.units) {
    const limit = limitOf(unit);
    if (limit === null) return null;
    sum += limit;
  }
  return sum;
}

const MIB = 1_048_576;

/** What a configuration takes: as it says for the whole or, where it does not, for all of its units. Null is without a limit. */
export const declaredAllocation = (config: ContainerConfig): { readonly cpus: number | null; readonly memoryMb: number | null } => ({
  cpus: config.cpus ?? summed(config, ({ cpus }) => cpus),
  memoryMb: config.memoryMb ?? summed(config, ({ memoryBytes }) => (memoryBytes === null ? null : Math.ceil(memoryBytes / MIB))),
});

/** What a deployment is charged for. What it has without a limit counts as nothing: nobody could say how much that is. */
export function allocationOf({ config, gpus }: Pick<Deployment, 'config' | 'gpus'>): Allocation {
  const { cpus, memoryMb } = declaredAllocation(config);
  return { milliCpus: Math.round((cpus ?? 0) * 1000), memoryMb: memoryMb ?? 0, gpus };
}

/** What a container serves or served and is not booked yet, from `untilMs` of its meter up to `nowMs`. */
export function unbookedSpans(
  { current, served = [] }: Pick<Container, 'current' | 'served'>,
  untilMs: number,
  nowMs: number,
): ServedSpan[] {
  const { state, servingAtMs, id: deploymentId, hostName } = current;
  const open: ServedSpan[] =
    state === 'serving' && servingAtMs !== null
      ? [{ deploymentId, hostName, fromMs: servingAtMs, untilMs: nowMs, ...allocationOf(current) }]
      : [];
  return [...served, ...open].flatMap((span) => {
    const fromMs = Math.max(span.fromMs, untilMs);
    return fromMs < span.untilMs ? [{ ...span, fromMs }] : [];
  });
}

const lengthOf = ({ fromMs, untilMs }: ServedSpan): bigint => BigInt(untilMs - fromMs);

/** What spans come to, in base units. */
const amountsOf = (spans: readonly ServedSpan[]): ResourceAmounts => ({
  cpu: spans.reduce((sum, span) => sum + BigInt(span.milliCpus) * lengthOf(span), 0n),
  memory: spans.reduce((sum, span) => sum + BigInt(span.memoryMb) * lengthOf(span), 0n),
  gpu: spans.reduce((sum, span) => sum + BigInt(span.gpus) * lengthOf(span), 0n),
});

/** A meter after what was served until `untilMs`, and the whole seconds of each resource that are to be booked for it. */
export function metered(
  meter: ContainerMeter,
  spans: readonly ServedSpan[],
  untilMs: number,
): { readonly meter: ContainerMeter; readonly seconds: ResourceAmounts } {
  const amounts = amountsOf(spans);
  const seconds: Record<Resource, bigint> = { cpu: 0n, memory: 0n, gpu: 0n };
  const rest = { ...meter.rest };
  const total = { ...meter.total };
  for (const resource of RESOURCES) {
    const all = BigInt(meter.rest[resource]) + amounts[resource];
    const whole = all / BASE_UNITS[resource];
    seconds[resource] = whole;
    rest[resource] = String(all - whole * BASE_UNITS[resource]);
    total[resource] = String(BigInt(meter.total[resource]) + whole);
  }
  return { meter: { ...meter, untilMs: Math.max(meter.untilMs, untilMs), rest, total }, seconds };
}

const HOUR_S = 3600n;

/** What whole seconds cost in nano-USD, rounded up. */
export const secondsCostNanos = (seconds: bigint, hourNanos: bigint): bigint => (seconds * hourNanos + HOUR_S - 1n) / HOUR_S;

/** The price of an hour of a resource. */
export const hourNanosOf = (prices: ResourcePrices, resource: Resource): bigint =>
  ({ cpu: prices.cpuHourNanos, memory: prices.memoryGbHourNanos, gpu: prices.gpuHourNanos })[resource];

/** Whether anything of a container costs anything. */
export const isPriced = (prices: ResourcePrices): boolean => RESOURCES.some((resource) => hourNanosOf(prices, resource) > 0n);
