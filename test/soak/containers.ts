/**
 * Relaunches a container on a real engine again and again under constant load, and records in `bench/results/soak-containers-<date>.md` whether any request was
 * refused or cut.
 */
import { Agent, request } from 'node:http';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeMachine } from '../../bench/support/machine.ts';
import { pageConfig, startContainerStage, type ContainerStage, type ShownContainer } from '../support/container-stage.ts';

const RELAUNCHES = 20;
const REQUESTS = 100_000;
const CLIENTS = 16;

interface Tally {
  served: number;
  readonly failures: string[];
}

/** One request on a connection that is kept: why it failed, or null. */
function visit(origin: string, host: string, agent: Agent): Promise<string | null> {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve) => {
    const asked = request({ hostname, port, path: '/', agent, headers: { host } }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode === 200 ? null : `status ${answer.statusCode ?? 0}`));
      answer.on('error', (err) => resolve(err.message));
    });
    asked.on('error', (err) => resolve(err.message));
    asked.end();
  });
}

async function relaunchUnderLoad(stage: ContainerStage, { id, domain }: ShownContainer): Promise<Tally> {
  const tally: Tally = { served: 0, failures: [] };
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
  let isOver = false;
  const client = async (): Promise<void> => {
    while (!isOver) {
      const fault = await visit(stage.server.ingress, domain, agent);
      if (fault === null) tally.served += 1;
      else tally.failures.push(fault);
    }
  };
  const load = Promise.all(Array.from({ length: CLIENTS }, client));
  for (let index = 1; index <= RELAUNCHES; index += 1) {
    const variables = { INDEX: String(index) };
    await stage.api('POST', `/containers/${id}/relaunch`, { variables });
    await stage.until(id, (shown) => shown.update_status === null && JSON.stringify(shown['variables']) === JSON.stringify(variables));
    while (tally.served < (REQUESTS / RELAUNCHES) * index) await new Promise((resolve) => setTimeout(resolve, 100));
    console.log(`${index} relaunches, ${tally.served} requests, ${tally.failures.length} refused or cut`);
  }
  isOver = true;
  await load;
  agent.destroy();
  return tally;
}

/** Runs the soak; whether no request was refused or cut. */
export async function soakContainers(): Promise<boolean> {
  const startedMs = Date.now();
  const stage = await startContainerStage();
  try {
    stage.release('app', 'v1', pageConfig(await stage.page('page')));
    const { body } = await stage.api('POST', '/containers', { name: 'app', repo: 'acme/app', tag: 'v1' });
    const container = await stage.until(body.id, ({ status }) => status === 'ready');
    const { served, failures } = await relaunchUnderLoad(stage, container);
    const machine = Object.entries(describeMachine()).map(([name, value]) => `- ${name}: ${value}`);
    const text = [
      '# Relaunches under load',
      '',
      ...machine,
      '',
      '| relaunches | clients | requests answered 200 | refused or cut | took |',
      '|---|---|---|---|---|',
      `| ${RELAUNCHES} | ${CLIENTS} | ${served} | ${failures.length} | ${Math.round((Date.now() - startedMs) / 1000)} s |`,
      '',
      ...new Set(failures),
    ].join('\n');
    const folder = join(import.meta.dirname, '../../bench/results');
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `soak-containers-${new Date().toISOString().slice(0, 10)}.md`);
    writeFileSync(file, `${text.trimEnd()}\n`);
    console.log(`recorded in ${file}`);
    return failures.length === 0;
  } finally {
    await stage.stop();
  }
}
