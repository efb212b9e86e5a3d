import { pageConfig, startContainerStage } from '../../test/support/container-stage.ts';
import type { LoadPlan } from '../support/load.ts';
import type { Row } from '../support/report.ts';
import { interleave } from '../support/rounds.ts';
import { rounded } from '../support/stats.ts';

/** What a proxy waits for that asks whether a certificate is to be made, beside the emptiest route of the same listener. */
export async function ask(options: { readonly rounds: number; readonly durationMs: number }): Promise<Row[]> {
  const stage = await startContainerStage();
  try {
    stage.release('app', 'v1', pageConfig(await stage.page('one')));
    const { body } = await stage.api('POST', '/containers', { name: 'app', repo: 'acme/app', tag: 'v1' });
    const { domain } = await stage.until(body.id, ({ status }) => status === 'ready');
    const port = Number(new URL(stage.server.admin).port);
    const plan = (path: string, okStatus: number): LoadPlan => ({
      port,
      request: Buffer.from(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`),
      clients: 1,
      durationMs: options.durationMs,
      okStatus,
    });
    const { ours, foreign, empty } = await interleave(
      {
        ours: plan(`/internal/ask?domain=${domain}`, 200),
        foreign: plan('/internal/ask?domain=example.com', 404),
        empty: plan('/healthz', 200),
      },
      options.rounds,
    );
    return [
      {
        what: 'whether a name is ours, 1 client',
        ours: `p50 ${rounded(ours.p50Ms)} ms, p99 ${rounded(ours.p99Ms)} ms; of a foreign name ${rounded(foreign.p50Ms)} ms`,
        baseline: `/healthz, p50 ${rounded(empty.p50Ms)} ms`,
        ratio: `${rounded(ours.p50Ms / empty.p50Ms)} of the time`,
        owed: 'under 1 ms',
        notes: `errors ${ours.errors + foreign.errors}`,
      },
    ];
  } finally {
    await stage.stop();
  }
}
