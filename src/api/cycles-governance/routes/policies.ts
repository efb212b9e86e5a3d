import { makePolicyManagement } from '../../../app/cycles/manage-policies.ts';
import type { PolicyChanges } from '../../../core/policy/commands.ts';
import type { Policy, PolicyCaps } from '../../../core/records.ts';
import { cyclesActorOf } from '../../_shared/cycles-principal.ts';
import { RefusedRequest, valueOf } from '../../_shared/problem.ts';
import { callerOf, momentOf } from '../budget-fields.ts';
import { policyBody } from '../budget-objects.ts';
import { GOVERNANCE_SOURCE, type GovernanceMount } from '../governance-deps.ts';
import { filterOneOf, filterText, listAnswer, readListPage } from '../list-page.ts';
import { present } from '../objects.ts';
import { POLICY_STATUSES, PolicyCreateRequest, PolicyUpdateRequest } from '../schemas/policies.ts';

type ById = { Params: { policy_id: string } };

const reads = { credential: 'either', permission: 'policies:read' } as const;
const writes = { credential: 'either', permission: 'policies:write' } as const;
const operatorOnly = { credential: 'operator' } as const;

const capsOf = (caps: NonNullable<PolicyUpdateRequest['caps']>): PolicyCaps =>
  present({
    maxTokens: caps.max_tokens,
    maxStepsRemaining: caps.max_steps_remaining,
    toolAllowlist: caps.tool_allowlist,
    toolDenylist: caps.tool_denylist,
    cooldownMs: caps.cooldown_ms,
  });

const ttlOf = (ttl: NonNullable<PolicyUpdateRequest['reservation_ttl_override']>): NonNullable<Policy['ttlOverride']> => ({
  ...(ttl.default_ttl_ms === undefined ? {} : { defaultTtlMs: ttl.default_ttl_ms }),
  ...(ttl.max_ttl_ms === undefined ? {} : { maxTtlMs: ttl.max_ttl_ms }),
  ...(ttl.max_extensions === undefined ? {} : { maxExtensions: ttl.max_extensions }),
});

const ratesOf = (rates: NonNullable<PolicyUpdateRequest['rate_limits']>): NonNullable<Policy['rateLimits']> => ({
  ...(rates.max_reservations_per_minute === undefined ? {} : { maxReservationsPerMinute: rates.max_reservations_per_minute }),
  ...(rates.max_commits_per_minute === undefined ? {} : { maxCommitsPerMinute: rates.max_commits_per_minute }),
});

/** What a body gives of a policy's rules. The admin guide calls the overage policy otherwise than the document; both must not differ. */
function changesOf(body: PolicyUpdateRequest): PolicyChanges {
  const { overage_policy: loose, commit_overage_policy: strict } = body;
  if (loose !== undefined && strict !== undefined && loose !== strict) {
    const message = 'overage_policy must not differ from commit_overage_policy';
    throw new RefusedRequest({ code: 'invalid_request', message, field: 'overage_policy' });
  }
  const overagePolicy = strict ?? loose;
  return {
    ...(body.name === undefined ? {} : { name: body.name }),
    ...(body.description === undefined ? {} : { description: body.description }),
    ...(body.priority === undefined ? {} : { priority: body.priority }),
    ...(body.status === undefined ? {} : { status: body.status }),
    ...(body.caps === undefined ? {} : { caps: capsOf(body.caps) }),
    ...(overagePolicy === undefined ? {} : { overagePolicy }),
    ...(body.reservation_ttl_override === undefined ? {} : { ttlOverride: ttlOf(body.reservation_ttl_override) }),
    ...(body.rate_limits === undefined ? {} : { rateLimits: ratesOf(body.rate_limits) }),
    ...(body.effective_from === undefined ? {} : { effectiveFromMs: momentOf(body.effective_from) }),
    ...(body.effective_until === undefined ? {} : { effectiveUntilMs: momentOf(body.effective_until) }),
  };
}

/** `/v1/admin/policies` and below; and how the operator reads and forgets one policy, which is ours. */
export const mountPolicies: GovernanceMount = (app, deps) => {
  const policies = makePolicyManagement(deps);

  app.post('/v1/admin/policies', { config: writes, schema: { body: PolicyCreateRequest } }, async (request, reply) => {
    const { tenant_id: tenantId, name, scope_pattern: scopePattern } = request.body;
    const policy = valueOf(
      await policies.create(cyclesActorOf(request, GOVERNANCE_SOURCE), callerOf(request), {
        ...changesOf(request.body),
        name,
        scopePattern,
        ...(tenantId === undefined ? {} : { tenantId }),
      }),
    );
    return reply.code(201).header('x-cycles-tenant', policy.tenantId).send(policyBody(policy));
  });

  app.get('/v1/admin/policies', { config: reads }, async (request) => {
    const caller = callerOf(request);
    const tenantId = filterText(request, 'tenant_id');
    const status = filterOneOf(request, 'status', POLICY_STATUSES);
    const scopePattern = filterText(request, 'scope_pattern')?.toLowerCase();
    const filters = [caller.kind === 'tenant' ? caller.tenantId : tenantId, status, scopePattern];
    const page = readListPage(request, { list: 'policies', sortKeys: ['policy_id'], cursors: deps.cursors, filters });
    const found = valueOf(
      await policies.list(caller, {
        ...(tenantId === undefined ? {} : { tenantId }),
        ...(status === undefined ? {} : { status }),
        ...(scopePattern === undefined ? {} : { scopePattern }),
        afterId: page.after?.id ?? null,
        limit: page.limit,
      }),
    );
    const { shown, end } = listAnswer(page, found, ({ id }) => ({ value: null, id }));
    return { policies: shown.map(policyBody), ...end };
  });

  app.patch('/v1/admin/policies/:policy_id', { config: writes, schema: { body: PolicyUpdateRequest } }, async (request, reply) => {
    const { policy_id: id } = request.params as ById['Params'];
    const actor = cyclesActorOf(request, GOVERNANCE_SOURCE);
    const policy = valueOf(await policies.update(actor, callerOf(request), id, changesOf(request.body)));
    return reply.header('x-cycles-tenant', policy.tenantId).send(policyBody(policy));
  });

  app.get<ById>('/v1/x-castellan/policies/:policy_id', { config: operatorOnly }, async (request, reply) => {
    const policy = valueOf(await policies.find(request.params.policy_id));
    return reply.header('x-cycles-tenant', policy.tenantId).send(policyBody(policy));
  });

  app.delete<ById>('/v1/x-castellan/policies/:policy_id', { config: operatorOnly }, async (request, reply) => {
    const policy = valueOf(await policies.remove(cyclesActorOf(request, GOVERNANCE_SOURCE), request.params.policy_id));
    return reply.header('x-cycles-tenant', policy.tenantId).send(policyBody(policy));
  });
};
