import type { Quarantine } from '../../../app/reports/quarantine.ts';
import type { ReporterManagement, ReporterWithSecret } from '../../../app/reports/manage-reporters.ts';
import type { UsageReporter } from '../../../core/records.ts';
import { formatRfc3339, formatRfc3339OrNull } from '../../../core/rfc3339.ts';
import { readQuarantined } from '../../../core/usage/reported-event.ts';
import type { UsageReport } from '../../../core/usage/usage-report.ts';
import { RefusedRequest, valueOf } from '../../_shared/problem.ts';
import { queryText, queryWhole, refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { operatorOf } from '../authenticate.ts';
import { givenNames } from '../fields.ts';
import { CreateUsageReporterBody, UpdateUsageReporterBody } from '../usage-reporter-schemas.ts';

type ById = { Params: { id: string } };

/** A reporter as the operator sees it: never its secret. */
const reporterObject = ({ id, tenants, previous, createdAtMs }: UsageReporter): object => ({
  id,
  tenants,
  has_previous_secret: previous !== null,
  previous_secret_until: formatRfc3339OrNull(previous?.untilMs ?? null),
  created_at: formatRfc3339(createdAtMs),
});

/** The same with the secret where we made it: it is told this once. */
const withSecret = ({ reporter, madeSecret }: ReporterWithSecret): object => ({
  ...reporterObject(reporter),
  ...(madeSecret === null ? {} : { secret: madeSecret }),
});

/** `/usage-reporters`. */
export function mountUsageReporters(app: TypedApp, { reporters }: { reporters: ReporterManagement }): void {
  app.post('/usage-reporters', { schema: { body: CreateUsageReporterBody } }, async (request, reply) => {
    const { id, tenants, secret = null } = request.body;
    return reply.code(201).send(withSecret(valueOf(await reporters.create(operatorOf(request), { id, tenants, secret }))));
  });
  app.get('/usage-reporters', async (request) => {
    refuseUnknownQuery(request, []);
    return { usage_reporters: (await reporters.list()).map(reporterObject) };
  });
  app.get<ById>('/usage-reporters/:id', async (request) => {
    refuseUnknownQuery(request, []);
    return reporterObject(valueOf(await reporters.find(request.params.id)));
  });
  app.patch('/usage-reporters/:id', { schema: { body: UpdateUsageReporterBody } }, async (request) => {
    givenNames(request.body);
    const { tenants, secret, rotate_secret: rotates = false, grace_seconds: graceSeconds } = request.body;
    if (secret !== undefined && rotates) throw refusal('rotate_secret', 'not be given together with secret');
    if (graceSeconds !== undefined && secret === undefined && !rotates) throw refusal('grace_seconds', 'come with secret or rotate_secret');
    const isRotated = secret !== undefined || rotates;
    const changes = {
      ...(tenants === undefined ? {} : { tenants }),
      ...(isRotated ? { secret: { plaintext: secret ?? null, graceMs: (graceSeconds ?? 0) * 1000 } } : {}),
      declaredAs: [...(tenants === undefined ? [] : ['tenants']), ...(isRotated ? ['secret'] : [])],
    };
    if (tenants === undefined && !isRotated) throw refusal('rotate_secret', 'be true');
    return withSecret(valueOf(await reporters.update(operatorOf(request), (request.params as ById['Params']).id, changes)));
  });
  app.delete<ById>('/usage-reporters/:id', async (request, reply) => {
    valueOf(await reporters.remove(operatorOf(request), request.params.id));
    return reply.code(204).send();
  });
}

const refusal = (field: string, rule: string): RefusedRequest =>
  new RefusedRequest({ code: 'invalid_request', message: `${field} must ${rule}`, field });

/** `/usage-reporters/{id}/quarantine`: reported events that could not be booked. */
export function mountQuarantine(app: TypedApp, { quarantine }: { quarantine: Quarantine }): void {
  app.get<ById>('/usage-reporters/:id/quarantine', async (request) => {
    refuseUnknownQuery(request, ['limit', 'cursor']);
    const limit = queryWhole(request, 'limit', { min: 1, max: 1000, fallback: 100 });
    const after = queryText(request, 'cursor');
    const page = valueOf(await quarantine.page(request.params.id, { limit, ...(after === undefined ? {} : { after }) }));
    return { events: page.reports.map(quarantinedObject), has_more: page.nextAfter !== null, next_cursor: page.nextAfter };
  });
  app.post<ById>('/usage-reporters/:id/quarantine/retry', async (request) => {
    refuseUnknownQuery(request, ['cursor']);
    const { booked, quarantined, nextAfter } = valueOf(
      await quarantine.retry(operatorOf(request), request.params.id, queryText(request, 'cursor')),
    );
    return { booked, quarantined, has_more: nextAfter !== null, next_cursor: nextAfter };
  });
}

/** An event in quarantine: all that is kept of it. Its key is masked. */
function quarantinedObject({ eventId, reason, receivedAtMs, body }: UsageReport): object {
  const head = { event_id: eventId, reason, received_at: formatRfc3339(receivedAtMs) };
  const event = readQuarantined(body);
  if (event === null) return { ...head, ...(body as { readonly rule?: string }) };
  return {
    ...head,
    masked_key: event.maskedKey,
    request_id: event.requestId,
    occurred_at: formatRfc3339(event.occurredAtMs),
    operation: event.operation,
    model: event.model,
    route: event.route,
    customer_requests: event.requests,
    input_tokens: event.promptTokens,
    cached_input_tokens: event.cachedPromptTokens,
    output_tokens: event.completionTokens,
    unknown_meter: event.unknownMeter,
  };
}
