import { startCastellan } from '../support/castellan.ts';
import { jsonRequest, runLoad } from '../support/load.ts';
import { residentMib, startScript } from '../support/processes.ts';
import type { Row } from '../support/report.ts';
import { median, rounded } from '../support/stats.ts';
import { withGateway } from './gateway.ts';

/** From the start of the process to the first answered request, on an empty folder. */
export async function startTime(): Promise<Row[]> {
  const upstream = await startScript('bench/baseline/upstream.ts');
  const times: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const ours = await startCastellan({ upstreamPort: upstream.port });
    times.push(ours.startMs);
    await ours.stop();
  }
  await upstream.stop();
  return [
    {
      what: 'start on an empty folder',
      ours: `${rounded(median(times) / 1000)} s`,
      baseline: '-',
      ratio: '-',
      owed: 'under 2 s',
      notes: 'median of 5 starts',
    },
  ];
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
