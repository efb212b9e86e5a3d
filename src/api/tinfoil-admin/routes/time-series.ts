import type { PointSums, UsageReader } from '../../../app/read-usage.ts';
import { formatRfc3339 } from '../../../core/rfc3339.ts';
import { goDuration } from '../../../core/usage/windows.ts';
import { RefusedRequest } from '../../_shared/problem.ts';
import { queryText } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { seriesTimeOf } from '../fields.ts';

const sums = ({ requests, promptTokens, completionTokens }: PointSums) => ({
  tokens: promptTokens + completionTokens,
  input_tokens: promptTokens,
  output_tokens: completionTokens,
  requests,
});

/** `GET /api/billing/time-series`: fixed buckets, oldest first, empty ones included; the last 24 hours where nothing is said. */
export function mountTimeSeries(app: TypedApp, deps: { usage: UsageReader }): void {
  app.get('/api/billing/time-series', async (request) => {
    const { tenantId } = request.tinfoilAdmin.key;
    // Its totals know the parameter: passed over, it would show the whole tenant's usage as one key's.
    if (queryText(request, 'key') !== undefined)
      throw new RefusedRequest({ code: 'invalid_request', message: 'key is not a parameter of the time series', field: 'key' });
    const { points, intervalMs } = await deps.usage.series({ tenantId, window: seriesTimeOf(request) });
    const dataPoints = points.map((point) => ({
      time: formatRfc3339(point.atMs),
      ...sums(point),
      models: Object.fromEntries([...point.models].map(([model, of]) => [model, sums(of)])),
    }));
    return { data_points: dataPoints, interval: goDuration(intervalMs) };
  });
}
