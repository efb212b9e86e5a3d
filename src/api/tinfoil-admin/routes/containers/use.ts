import type { ReadContainerUse } from '../../../../app/containers/read-container-use.ts';
import type { ContainerMeter } from '../../../../core/containers/container-meter.ts';
import type { SamplePoint } from '../../../../core/containers/container-samples.ts';
import { renderMicrocents } from '../../../../core/pricing/currency.ts';
import { formatRfc3339 } from '../../../../core/rfc3339.ts';
import { goDuration } from '../../../../core/usage/windows.ts';
import { valueOf } from '../../../_shared/problem.ts';
import type { TypedApp } from '../../../_shared/typed-app.ts';
import { seriesTimeOf } from '../../fields.ts';
import { containerIdOf } from './deploy.ts';

/** Source: Tinfoil reference section 1.3, metrics. */
const pointOf = ({ atMs, cpu, memory, gpu, gpuMemory }: SamplePoint) => ({
  time: formatRfc3339(atMs),
  avg_cpu_util: cpu.average,
  max_cpu_util: cpu.max,
  avg_cpu_mem_util: memory.average,
  max_cpu_mem_util: memory.max,
  cpu_mem_total: memory.totalGib,
  avg_gpu_util: gpu?.average ?? null,
  max_gpu_util: gpu?.max ?? null,
  avg_gpu_mem_util: gpuMemory?.average ?? null,
  max_gpu_mem_util: gpuMemory?.max ?? null,
  gpu_mem_total: gpuMemory?.totalGib ?? null,
});

const timeOrNull = (ms: number): string | null => (ms === 0 ? null : formatRfc3339(ms));

const useOf = ({ untilMs, total, chargedMicrocents, unpaidSinceMs }: ContainerMeter) => ({
  metered_until: timeOrNull(untilMs),
  cpu_seconds: Number(total.cpu),
  memory_gb_seconds: Number(total.memory),
  gpu_seconds: Number(total.gpu),
  cost_usd: renderMicrocents(BigInt(chargedMicrocents)),
  unpaid_since: timeOrNull(unpaidSinceMs ?? 0),
});

/** `GET /api/containers/:id/metrics` and, of ours, `.../usage`: what a container uses, and what it was charged for. */
export function mountContainerUse(app: TypedApp, { use }: { readonly use: ReadContainerUse }): void {
  app.get('/api/containers/:id/metrics', async (request) => {
    const window = seriesTimeOf(request);
    const points = valueOf(await use.metrics(request.tinfoilAdmin.key.tenantId, containerIdOf(request), window));
    return { data_points: points.map(pointOf), interval: goDuration(window.intervalMs) };
  });

  app.get('/api/containers/:id/usage', async (request) =>
    useOf(valueOf(await use.meter(request.tinfoilAdmin.key.tenantId, containerIdOf(request)))),
  );
}
