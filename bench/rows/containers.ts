import { execFileSync } from 'node:child_process';
import { pageConfig, startContainerStage, type ContainerStage } from '../../test/support/container-stage.ts';
import type { Row } from '../support/report.ts';
import { median, rounded } from '../support/stats.ts';

const LOOK_EVERY_MS = 10;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await pause(LOOK_EVERY_MS);
}

/** From the request for a container to its being ready, its image being on the host already. */
async function createToReady(stage: ContainerStage, name: string): Promise<number> {
  const startedMs = performance.now();
  const { body } = await stage.api('POST', '/containers', { name, repo: 'acme/app', tag: 'v1' });
  await until(async () => (await stage.api('GET', `/containers/${body.id}`)).body.status === 'ready');
  const tookMs = performance.now() - startedMs;
  await stage.api('DELETE', `/containers/${body.id}`);
  await until(async () => (await stage.left()).containers.length === 1);
  return tookMs;
}

/** The same image brought up by the engine's own program, until it answers. */
async function engineAlone(stage: ContainerStage, image: string): Promise<number> {
  const docker = (...args: string[]): string =>
    execFileSync('docker', ['--host', `unix://${stage.engine.socket}`, ...args], { encoding: 'utf8' }).trim();
  const network = 'bench';
  docker('network', 'create', network);
  const startedMs = performance.now();
  const id = docker('run', '--detach', '--network', network, '--read-only', '--publish', `${stage.engine.address}::80`, image);
  const port = docker('port', id, '80').split(':').at(-1) ?? '';
  await until(async () =>
    fetch(`http://${stage.engine.address}:${port}/`).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  const tookMs = performance.now() - startedMs;
  docker('rm', '--force', id);
  docker('network', 'rm', network);
  return tookMs;
}

/** From the moment that an update took over by its event to the first answer of it, and the longest that a request took meanwhile. */
async function switchOver(
  stage: ContainerStage,
  at: { readonly id: string; readonly domain: string; readonly tag: string; readonly page: string },
) {
  let firstMs = 0;
  let slowestMs = 0;
  const asked = (async () => {
    while (firstMs === 0) {
      const startedMs = performance.now();
      const { status, text } = await stage.visit(at.domain);
      slowestMs = Math.max(slowestMs, performance.now() - startedMs);
      if (status !== 200) throw new Error(`a request was refused with ${status}`);
      if (text === at.page) firstMs = Date.now();
    }
  })();
  await stage.api('POST', `/containers/${at.id}/relaunch`, { tag: at.tag });
  await asked;
  await stage.until(at.id, ({ update_status: update }) => update === null);
  const { events } = (await (
    await fetch(`${stage.server.admin}/v1/x-castellan/events?tenant_id=default&type=container.updated&limit=1`, {
      headers: { 'x-admin-api-key': stage.server.credentials().operator_key },
    })
  ).json()) as { readonly events: readonly { readonly created_at: string }[] };
  const [event] = events;
  return { switchMs: firstMs - Date.parse(event?.created_at ?? ''), slowestMs };
}

/** Containers on a real engine: until one is ready, and how long a switch takes. */
export async function containers({ rounds }: { readonly rounds: number }): Promise<Row[]> {
  const stage = await startContainerStage();
  try {
    const images = { v1: await stage.page('one'), v2: await stage.page('two') };
    stage.release('app', 'v1', pageConfig(images.v1));
    stage.release('app', 'v2', pageConfig(images.v2));
    const { body } = await stage.api('POST', '/containers', { name: 'stays', repo: 'acme/app', tag: 'v1' });
    const container = await stage.until(body.id, ({ status }) => status === 'ready');
    const ours: number[] = [];
    const alone: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      ours.push(await createToReady(stage, `app-${round}`));
      alone.push(await engineAlone(stage, images.v1.replace('ghcr.io', stage.registry.host)));
    }
    const switches: { readonly switchMs: number; readonly slowestMs: number }[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const [tag, page] = round % 2 === 0 ? (['v2', 'two'] as const) : (['v1', 'one'] as const);
      switches.push(await switchOver(stage, { id: container.id, domain: container.domain, tag, page }));
    }
    const most = (values: readonly number[]): number => Math.max(...values);
    const switchesMs = switches.map(({ switchMs }) => switchMs);
    return [
      {
        what: 'container, create to ready, image on the host',
        ours: `median ${Math.round(median(ours))} ms, longest ${Math.round(most(ours))} ms`,
        baseline: `docker run until it answers, median ${Math.round(median(alone))} ms`,
        ratio: `${rounded(median(ours) / median(alone))} of the time`,
        owed: 'under 3 s',
        notes: `${rounds} of each, one after another`,
      },
      {
        what: 'container, switch to an update',
        ours: `median ${Math.round(median(switchesMs))} ms, longest ${Math.round(most(switchesMs))} ms`,
        baseline: 'none',
        ratio: '',
        owed: 'under 50 ms',
        notes: `from the event to the first answer of the update; slowest request meanwhile ${Math.round(most(switches.map(({ slowestMs }) => slowestMs)))} ms, none refused`,
      },
    ];
  } finally {
    await stage.stop();
  }
}
