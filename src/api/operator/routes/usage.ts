import type { UsageGrouping, UsageRow, UsageRowsQuery, UsageTable } from '../../../app/read-usage-rows.ts';
import { exactNumber } from '../../../core/json/int64.ts';
import { renderUsd } from '../../../core/pricing/rates.ts';
import { formatRfc3339, formatRfc3339OrNull } from '../../../core/rfc3339.ts';
import { USAGE_WINDOWS, usageWindow, type UsageWindow } from '../../../core/usage/windows.ts';
import type { RecordStore } from '../../../ports/record-store.ts';
import { RefusedRequest } from '../../_shared/problem.ts';
import { queryText, refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';

const GROUPINGS: readonly UsageGrouping[] = ['tenant', 'key', 'model'];

/** What the route needs. */
interface UsageDeps {
  readonly records: Pick<RecordStore, 'record'>;
  readonly usageRows: (query: UsageRowsQuery) => Promise<UsageTable>;
}

const refuse = (field: string, rule: string): RefusedRequest =>
  new RefusedRequest({ code: 'invalid_request', message: `${field} must be ${rule}`, field });

function windowOf(text: string | undefined): UsageWindow | null {
  if (text === undefined) return null;
  const window = usageWindow(text);
  if (window === undefined) throw refuse('time', `one of ${USAGE_WINDOWS.map(({ name }) => name).join(', ')}`);
  return window;
}

function groupingOf(text: string | undefined): UsageGrouping {
  const by = GROUPINGS.find((grouping) => grouping === (text ?? 'tenant'));
  if (by === undefined) throw refuse('by', `one of ${GROUPINGS.join(', ')}`);
  return by;
}

const rowObject = ({ tenantId, keyId, keyName, model, requests, promptTokens, completionTokens, costNanoUsd }: UsageRow): object => ({
  tenant_id: tenantId,
  ...(keyId === null ? {} : { key_id: keyId, key_name: keyName }),
  ...(model === null ? {} : { model }),
  requests,
  input_tokens: promptTokens,
  output_tokens: completionTokens,
  cost_usd: exactNumber(renderUsd(costNanoUsd)),
});

/** `GET /usage`: of all tenants or of one, by tenant, key or model, in a window that ends now or in all time. */
export function mountUsage(app: TypedApp, { records, usageRows }: UsageDeps): void {
  app.get('/usage', async (request) => {
    refuseUnknownQuery(request, ['tenant_id', 'time', 'by']);
    const time = queryText(request, 'time');
    const query = { window: windowOf(time), by: groupingOf(queryText(request, 'by')) };
    const tenantId = queryText(request, 'tenant_id') ?? null;
    if (tenantId !== null && (await records.record('tenant', tenantId)) === undefined)
      throw new RefusedRequest({ code: 'not_found', message: `tenant ${tenantId.slice(0, 100)} not found`, field: 'tenant_id' });
    const { fromMs, toMs, rows } = await usageRows({ ...query, tenantId });
    return { time: time ?? null, from: formatRfc3339OrNull(fromMs), to: formatRfc3339(toMs), by: query.by, usage: rows.map(rowObject) };
  });
}
