import { startCaddy } from '../baseline/caddy.ts';
import { startNginx } from '../baseline/nginx.ts';
import { jsonRequest, type LoadPlan } from '../support/load.ts';
import { startScript } from '../support/processes.ts';
import type { Row } from '../support/report.ts';
import { interleave } from '../support/rounds.ts';
import { rounded } from '../support/stats.ts';

/** The ingress beside nginx and Caddy, one processor each, and beside the unit without anything before it. */
export async function ingress(options: { readonly rounds: number; readonly durationMs: number }): Promise<Row[]> {
  const unit = await startScript('bench/baseline/upstream.ts');
  const ours = await startScript('bench/baseline/ingress.ts', [String(unit.port)]);
  const nginx = await startNginx(unit.port);
  const caddy = await startCaddy(unit.port);
  const request = jsonRequest({
    path: '/v1/chat/completions',
    bearer: 'none',
    body: { model: 'bench', messages: [{ role: 'user', content: 'hi' }] },
  });
  try {
    const rows: Row[] = [];
    for (const clients of [1, 16, 64]) {
      const plan = (port: number): LoadPlan => ({ port, request, clients, durationMs: options.durationMs });
      const others = { ...(nginx === null ? {} : { nginx: plan(nginx.port) }), ...(caddy === null ? {} : { caddy: plan(caddy.port) }) };
      const measured = await interleave<string>({ direct: plan(unit.port), ours: plan(ours.port), ...others }, options.rounds);
      const { direct, ours: mine, nginx: first, caddy: second } = measured;
      if (direct === undefined || mine === undefined) throw new Error('a contender is missing');
      const ratioTo = (other: typeof mine | undefined): string =>
        other === undefined ? 'not installed' : String(rounded(mine.rate / other.rate));
      rows.push({
        what: `ingress, ${clients} clients`,
        ours: `${Math.round(mine.rate)}/s, p50 ${rounded(mine.p50Ms)} ms, p99 ${rounded(mine.p99Ms)} ms`,
        baseline: `nginx ${Math.round(first?.rate ?? 0)}/s, Caddy ${Math.round(second?.rate ?? 0)}/s, unit alone ${Math.round(direct.rate)}/s, p50 ${rounded(direct.p50Ms)} ms`,
        ratio: `${ratioTo(first)} of nginx, ${ratioTo(second)} of Caddy, +${rounded(mine.p50Ms - direct.p50Ms)} ms p50`,
        owed: clients === 1 ? '+0.3 ms p50' : 'at least 0.5 of nginx, 1 of Caddy',
        notes: `errors ${mine.errors}`,
      });
    }
    return rows;
  } finally {
    for (const started of [caddy, nginx, ours, unit]) await started?.stop();
  }
}
