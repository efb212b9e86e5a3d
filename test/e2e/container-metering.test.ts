import { afterAll, beforeAll, expect, test } from 'vitest';
import { pageConfig, startContainerStage, type ContainerStage } from '../support/container-stage.ts';
import { waitUntil } from '../support/wait-until.ts';

interface Use {
  readonly metered_until: string | null;
  readonly cpu_seconds: number;
  readonly memory_gb_seconds: number;
  readonly cost_usd: string;
}

interface Metrics {
  readonly data_points: readonly {
    readonly max_cpu_util: number;
    readonly max_cpu_mem_util: number;
    readonly cpu_mem_total: number;
    readonly max_gpu_util: null;
  }[];
  readonly interval: string;
}

interface Billed {
  readonly cost: number;
  readonly keys: Readonly<Record<string, { readonly models: Readonly<Record<string, { readonly cost: number }>> }>>;
}

let stage: ContainerStage;

beforeAll(async () => {
  stage = await startContainerStage({ containers: 'prices: { cpu_hour: 36, memory_gb_hour: 3.6 }' });
}, 60_000);

afterAll(async () => {
  await stage.stop();
}, 60_000);

async function askBudget(method: 'GET' | 'PUT', usd?: number): Promise<{ readonly spent_usd: number }> {
  const answer = await fetch(`${stage.server.admin}/v1/x-castellan/tenants/default/money-budget`, {
    method,
    headers: { 'x-admin-api-key': stage.server.credentials().operator_key, 'content-type': 'application/json' },
    ...(usd === undefined ? {} : { body: JSON.stringify({ money_budget_usd: usd }) }),
  });
  return (await answer.json()) as { readonly spent_usd: number };
}

test('what a container is given is measured, charged once although the server is killed, and settled when it is deleted', async () => {
  const image = await stage.page('one');
  stage.release('web', 'v0', pageConfig(image).replace(/^(cpus|memory):.*\n/gm, ''));
  stage.release('web', 'v1', pageConfig(image).replace('memory: 64', 'memory: 1024'));
  const create = (tag: string) => stage.api('POST', '/containers', { name: 'web', repo: 'acme/web', tag });
  const undeclared = await create('v0');
  expect(undeclared.status).toBe(400);
  expect(JSON.stringify(undeclared.body)).toMatch(/cpus must be declared.*memory must be declared/);
  await askBudget('PUT', 0);
  expect((await create('v1')).status).toBe(402);
  await askBudget('PUT', 1000);

  const { id } = (await create('v1')).body;
  await stage.until(id, ({ status }) => status === 'ready');
  const startedMs = Date.now();
  await stage.server.kill();
  await stage.server.start();
  // A start books at once what was served meanwhile.
  await waitUntil(async () => (await stage.api<Use>('GET', `/containers/${id}/usage`)).body.metered_until !== null, 20_000);
  const metrics = async (): Promise<Metrics> => (await stage.api<Metrics>('GET', `/containers/${id}/metrics?time=15m`)).body;
  await waitUntil(async () => (await metrics()).data_points.some(({ max_cpu_mem_util: memory }) => memory > 0), 90_000);
  const { data_points: points, interval } = await metrics();
  expect(interval).toBe('15s');
  expect(points).toHaveLength(60);
  expect(points.find(({ cpu_mem_total: total }) => total > 0)).toMatchObject({ cpu_mem_total: 1, max_gpu_util: null });

  expect((await stage.api('DELETE', `/containers/${id}`)).status).toBe(204);
  const servedS = (Date.now() - startedMs) / 1000;
  await waitUntil(async () => (await stage.left()).containers.length === 0, 20_000);
  const { cost, keys } = (await stage.api<Billed>('GET', '/billing/usage')).body;
  const models = keys['container/web']?.models ?? {};
  expect(Object.keys(models).toSorted()).toEqual(['container-cpu-seconds', 'container-memory-gb-seconds']);
  // A processor is a cent a second, a GB a tenth of one.
  const seconds = Math.round((models['container-cpu-seconds']?.cost ?? 0) * 100);
  expect(seconds).toBeGreaterThan(servedS - 3);
  expect(seconds).toBeLessThan(servedS + 3);
  expect(models['container-memory-gb-seconds']?.cost).toBeCloseTo(seconds / 1000, 2);
  const budget = await askBudget('GET');
  expect(budget.spent_usd).toBe(cost);
  expect((await stage.api('GET', `/containers/${id}/usage`)).status).toBe(404);
}, 180_000);
