import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { answers } from '../support/castellan.ts';
import { jsonRequest, runLoad } from '../support/load.ts';
import { freePort, residentMib, ROOT, temporaryFolder } from '../support/processes.ts';
import type { Row } from '../support/report.ts';
import { median, rounded } from '../support/stats.ts';
import { withGateway } from './gateway.ts';

/** From `npm start` to the first answered request, on an empty folder and on the one it left. */
export async function startTime(): Promise<Row[]> {
  const first: number[] = [];
  const again: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const folder = temporaryFolder('start');
    first.push(await npmStart(folder));
    again.push(await npmStart(folder));
  }
  const seconds = (times: readonly number[]): string => `${rounded(median(times) / 1000)} s`;
  const row = { baseline: '-', ratio: '-', owed: 'under 2 s', notes: 'median of 5, npm included' };
  return [
    { what: '`npm start` on an empty folder', ours: seconds(first), ...row },
    { what: '`npm start` on a folder that is there', ours: seconds(again), ...row },
  ];
}

/** Starts the server as an operator does, and ends it after its first answer. Milliseconds. */
async function npmStart(folder: string): Promise<number> {
  const [port, adminPort, ingressPort, sshPort] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    CASTELLAN_DATA_DIR: folder,
    CASTELLAN_RUNTIME_PORT: String(port),
    CASTELLAN_ADMIN_PORT: String(adminPort),
    CASTELLAN_INGRESS_PORT: String(ingressPort),
    CASTELLAN_SSH_PORT: String(sshPort),
  };
  const startMs = performance.now();
  // A group of its own, so that npm's child ends with it.
  const child = spawn('npm', ['start'], { cwd: ROOT, env, stdio: 'ignore', detached: true });
  const ended = once(child, 'exit');
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`npm start ended with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const elapsedMs = performance.now() - startMs;
  process.kill(-(child.pid ?? 0), 'SIGTERM');
  await ended;
  while (await answers(port)) await new Promise((resolve) => setTimeout(resolve, 20));
  return elapsedMs;
}

/** Resident memory when idle, under load, and after it. */
export async function memory(options: { durationMs: number }): Promise<Row[]> {
  return withGateway({}, async ({ ours }) => {
    const idle = residentMib(ours.pid);
    const body = { model: 'bench', messages: [{ role: 'user', content: 'Say a few words.' }], max_tokens: 64 };
    const request = jsonRequest({ path: '/v1/chat/completions', bearer: ours.key, body });
    const samples: number[] = [];
    const timer = setInterval(() => samples.push(residentMib(ours.pid)), 250);
    await runLoad({ port: ours.port, request, clients: 32, durationMs: options.durationMs });
    clearInterval(timer);
    await new Promise((resolve) => setTimeout(resolve, 15_000));
    const after = residentMib(ours.pid);
    return [
      {
        what: `memory, ${Math.round(options.durationMs / 1000)} s at 32 clients`,
        ours: `idle ${Math.round(idle)} MiB, load p50 ${Math.round(median(samples))} MiB, max ${Math.round(Math.max(...samples))} MiB, after ${Math.round(after)} MiB`,
        baseline: '-',
        ratio: `${rounded(after / idle)} of idle after`,
        owed: 'under 250 MB under load, back within a fifth of idle',
      },
    ];
  });
}
