import { packMetadata } from '../../../core/access/rules.ts';
import { makeTenantKeys } from '../../../app/cycles/tenant-keys.ts';
import { tenantKeyStatus } from '../../../core/cycles/tenant-key.ts';
import type { ApiKey } from '../../../core/records.ts';
import { formatRfc3339, parseRfc3339 } from '../../../core/rfc3339.ts';
import type { TenantKeySort } from '../../../ports/governance-reads.ts';
import { cyclesActorOf } from '../../_shared/cycles-principal.ts';
import { RefusedRequest, valueOf } from '../../_shared/problem.ts';
import { queryText } from '../../_shared/query.ts';
import { GOVERNANCE_SOURCE, type GovernanceMount } from '../governance-deps.ts';
import { askedPage, filterOneOf, filterText, listAnswer, readListPage } from '../list-page.ts';
import { keyBody, keyExpiry, present } from '../objects.ts';
import { ApiKeyCreateRequest, ApiKeyUpdateRequest } from '../schemas/api-keys.ts';
import { KEY_STATUSES } from '../schemas/common.ts';

type ById = { Params: { key_id: string } };

const SORT_KEYS = ['created_at', 'key_id', 'name', 'tenant_id', 'status', 'expires_at'] as const satisfies readonly TenantKeySort[];
const MAX_REASON = 512;
const operatorOnly = { credential: 'operator' } as const;

const refused = (field: string, message: string): RefusedRequest => new RefusedRequest({ code: 'invalid_request', message, field });

function momentOf(text: string): number {
  const ms = parseRfc3339(text);
  if (ms === null) throw refused('expires_at', 'expires_at must be an RFC 3339 timestamp such as 2026-12-31T23:59:59Z');
  return ms;
}

/** What both bodies may give of a key. */
const givenFields = (body: ApiKeyCreateRequest | ApiKeyUpdateRequest) => ({
  ...(body.description === undefined ? {} : { description: body.description }),
  ...(body.permissions === undefined ? {} : { permissions: body.permissions }),
  ...(body.scope_filter === undefined ? {} : { scopeFilter: body.scope_filter }),
  ...(body.metadata === undefined ? {} : { metadata: packMetadata(body.metadata) }),
});

/** `/v1/admin/api-keys` and below: the keys of tenants, and of no other kind. */
export const mountApiKeys: GovernanceMount = (app, deps) => {
  const { clock, keyUses } = deps;
  const keys = makeTenantKeys(deps);
  const shown = async (found: readonly ApiKey[]) => {
    const uses = await keyUses.lastUsed(found.map(({ id }) => id));
    const nowMs = clock.nowMs();
    return found.map((key) => keyBody(key, { nowMs, lastUsedAtMs: uses.get(key.id) }));
  };

  app.post('/v1/admin/api-keys', { config: operatorOnly, schema: { body: ApiKeyCreateRequest } }, async (request, reply) => {
    const { tenant_id: tenantId, name, expires_at: expiresAt } = request.body;
    const { key, plaintext } = valueOf(
      await keys.create(cyclesActorOf(request, GOVERNANCE_SOURCE), {
        tenantId,
        name,
        ...givenFields(request.body),
        ...(expiresAt === undefined ? {} : { expiresAtMs: momentOf(expiresAt) }),
      }),
    );
    return reply
      .code(201)
      .header('x-cycles-tenant', key.tenantId)
      .send({
        key_id: key.id,
        key_secret: plaintext,
        key_prefix: keyBody(key, { nowMs: key.createdAtMs, lastUsedAtMs: undefined }).key_prefix,
        tenant_id: key.tenantId,
        permissions: key.permissions ?? [],
        created_at: formatRfc3339(key.createdAtMs),
        expires_at: keyExpiry(key),
      });
  });

  app.get('/v1/admin/api-keys', { config: operatorOnly }, async (request) => {
    const tenantId = filterText(request, 'tenant_id');
    const status = filterOneOf(request, 'status', KEY_STATUSES);
    const page = readListPage(request, { list: 'tenant keys', sortKeys: SORT_KEYS, cursors: deps.cursors, filters: [tenantId, status] });
    const found = await keys.page({ ...askedPage(page), ...present({ tenantId, status }), search: page.search });
    const nowMs = clock.nowMs();
    const answer = listAnswer(page, found, (key, sortBy) => ({
      id: key.id,
      value: {
        created_at: key.createdAtMs,
        key_id: key.id,
        name: key.name,
        tenant_id: key.tenantId,
        status: tenantKeyStatus(key, nowMs),
        expires_at: Date.parse(keyExpiry(key)),
      }[sortBy],
    }));
    return { keys: await shown(answer.shown), ...answer.end };
  });

  app.patch('/v1/admin/api-keys/:key_id', { config: operatorOnly, schema: { body: ApiKeyUpdateRequest } }, async (request, reply) => {
    const { key_id: id } = request.params as ById['Params'];
    const { name } = request.body;
    const changes = { ...givenFields(request.body), ...(name === undefined ? {} : { name }) };
    const key = valueOf(await keys.update(cyclesActorOf(request, GOVERNANCE_SOURCE), id, changes));
    void reply.header('x-cycles-tenant', key.tenantId);
    return (await shown([key]))[0];
  });

  app.delete<ById>('/v1/admin/api-keys/:key_id', { config: operatorOnly }, async (request, reply) => {
    const reason = queryText(request, 'reason') ?? null;
    if (reason !== null && reason.length > MAX_REASON) throw refused('reason', `reason must have at most ${MAX_REASON} characters`);
    const key = valueOf(await keys.revoke(cyclesActorOf(request, GOVERNANCE_SOURCE), request.params.key_id, reason));
    void reply.header('x-cycles-tenant', key.tenantId);
    return (await shown([key]))[0];
  });
};
