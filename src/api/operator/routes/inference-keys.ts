import Type from 'typebox';
import type { makeCreateKey } from '../../../app/create-key.ts';
import type { TenantManagement } from '../../../app/manage-tenants.ts';
import type { ApiKey } from '../../../core/records.ts';
import { parseRfc3339, formatRfc3339, formatRfc3339OrNull } from '../../../core/rfc3339.ts';
import { RefusedRequest, valueOf } from '../../_shared/problem.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { Int64 } from '../../_shared/validation.ts';
import { operatorOf } from '../authenticate.ts';
import { microcentsOf } from '../fields.ts';
import { CallerLevelsOrNull, LevelsOrNull, NullOrTime, UsdOrNull } from '../schemas.ts';

/** Who owns a key that the operator makes for nobody in particular. */
const NOBODY = 'operator';

const InferenceKeyBody = Type.Object(
  {
    name: Type.String({ rule: 'a string' }),
    member_id: Type.Optional(Type.String({ rule: 'a string' })),
    max_tokens: Type.Optional(Type.Union([Int64, Type.Null()], { rule: 'a whole number, or null' })),
    money_budget_usd: Type.Optional(UsdOrNull),
    expires_at: Type.Optional(NullOrTime),
    levels: Type.Optional(LevelsOrNull),
    caller_levels: Type.Optional(CallerLevelsOrNull),
  },
  { additionalProperties: false },
);

type ById = { Params: { id: string } };

/** The moment of an `expires_at`; null is never. */
export function expiryOf(text: string | null): number | null {
  if (text === null) return null;
  const ms = parseRfc3339(text);
  if (ms !== null) return ms;
  const message = 'expires_at must be an RFC 3339 timestamp such as 2026-12-31T23:59:59Z';
  throw new RefusedRequest({ code: 'invalid_request', message, field: 'expires_at' });
}

/** Levels that callers may fill as a key keeps them: `required` is false where nothing is said. */
export const callerLevelsOf = (
  given: Readonly<Record<string, { readonly pattern: string; readonly required?: boolean }>> | null,
): NonNullable<ApiKey['callerLevels']> | null =>
  given === null
    ? null
    : Object.fromEntries(Object.entries(given).map(([level, { pattern, required = false }]) => [level, { pattern, required }]));

/** `POST /tenants/{id}/inference-keys`: a key for calls. Its value is told this once; its member, where it has one, may see it again. */
export function mountInferenceKeys(
  app: TypedApp,
  deps: { tenants: Pick<TenantManagement, 'members'>; createKey: ReturnType<typeof makeCreateKey> },
): void {
  app.post('/tenants/:id/inference-keys', { schema: { body: InferenceKeyBody } }, async (request, reply) => {
    const {
      name,
      member_id: memberId,
      max_tokens: maxTokens = null,
      money_budget_usd: usd = null,
      expires_at: expiresAt = null,
    } = request.body;
    const tenantId = (request.params as ById['Params']).id;
    const members = valueOf(await deps.tenants.members(tenantId));
    if (memberId !== undefined && !members.some(({ id }) => id === memberId))
      throw new RefusedRequest({ code: 'invalid_request', message: 'member_id must name a member of the tenant', field: 'member_id' });
    const limits = { maxTokens: maxTokens === null ? null : BigInt(maxTokens), moneyBudgetMicrocents: microcentsOf(usd) };
    const owner = memberId ?? NOBODY;
    const wanted = {
      tenantId,
      memberId: owner,
      kind: 'inference',
      name,
      expiresAtMs: expiryOf(expiresAt),
      ...limits,
      metadata: {},
      levels: request.body.levels ?? null,
      callerLevels: callerLevelsOf(request.body.caller_levels ?? null),
    } as const;
    const { key, plaintext } = valueOf(await deps.createKey(operatorOf(request), wanted));
    return reply.code(201).send({
      id: key.id,
      key: plaintext,
      name: key.name,
      kind: key.kind,
      tenant_id: tenantId,
      member_id: owner,
      max_tokens: limits.maxTokens,
      expires_at: formatRfc3339OrNull(key.expiresAtMs),
      created_at: formatRfc3339(key.createdAtMs),
    });
  });
}
