import Type from 'typebox';
import { USAGE_WINDOWS } from '../../core/usage/windows.ts';
import { named, object, orNull, Timestamp, WholeNumber, type Operations } from '../_shared/openapi/operation.ts';

const percent = Type.Number({ minimum: 0, maximum: 100 });
const gib = Type.Number({ minimum: 0, description: 'In GiB.' });

const ContainerMetrics = named(
  'ContainerMetrics',
  object({
    data_points: Type.Array(
      object({
        time: Timestamp,
        avg_cpu_util: percent,
        max_cpu_util: percent,
        avg_cpu_mem_util: percent,
        max_cpu_mem_util: percent,
        cpu_mem_total: gib,
        avg_gpu_util: orNull(percent),
        max_gpu_util: orNull(percent),
        avg_gpu_mem_util: orNull(percent),
        max_gpu_mem_util: orNull(percent),
        gpu_mem_total: orNull(gib),
      }),
    ),
    interval: Type.String({ description: 'The width of a point, such as `15m0s`.' }),
  }),
);

const ContainerUsage = named(
  'ContainerUsage',
  object({
    metered_until: orNull(Timestamp, 'What it used until then is booked.'),
    cpu_seconds: WholeNumber,
    memory_gb_seconds: WholeNumber,
    gpu_seconds: WholeNumber,
    cost_usd: Type.String({ description: 'What was charged for it, exact.' }),
    unpaid_since: orNull(Timestamp, 'Since when nothing is left to pay for it with.'),
  }),
);

const id = { id: 'The id of the container.' };

/** What the document tells about what containers use. */
export const CONTAINER_USE_OPERATIONS: Operations = {
  'GET /api/containers/:id/metrics': {
    id: 'getContainerMetrics',
    summary: 'Show what a container uses over time',
    description:
      'Shares in percent of what it is given, sampled every 15 seconds. Points without a sample are zero; what nobody can tell of GPUs is null.',
    path: id,
    query: {
      time: {
        description: 'The window that ends now; `24h` where it is not given.',
        schema: Type.Union(USAGE_WINDOWS.map(({ name }) => Type.Literal(name))),
      },
    },
    answers: { 200: { description: 'Points of equal width, oldest first, empty ones included.', schema: ContainerMetrics } },
    errors: [404],
  },
  'GET /api/containers/:id/usage': {
    id: 'getContainerUsage',
    summary: 'Show what a container was charged for',
    description: 'An extension of ours. Whole seconds of what it was given while it served, booked every minute.',
    path: id,
    answers: { 200: { description: 'What was metered so far.', schema: ContainerUsage } },
    errors: [404],
  },
};
