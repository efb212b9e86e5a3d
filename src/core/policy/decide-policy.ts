import { eventEffects } from '../access/access-events.ts';
import { checkText, checkWhole, firstOf, invalid, type Refusal } from '../access/rules.ts';
import type { Effect } from '../effects.ts';
import { refuseClosedTenant, refuseTenant } from '../ledger/refusals.ts';
import { policyNameId, type Policy } from '../records.ts';
import { accepted, rejected, type Rejection } from '../rejection.ts';
import { refuse, type State, type Verb } from '../verb.ts';
import type { CreatePolicyCommand, DeletePolicyCommand, PolicyChanges, PolicyCommand, UpdatePolicyCommand } from './commands.ts';
import { parseScopePattern } from './scope-pattern.ts';
import { takeRateVerb } from './take-rate.ts';

const MAX_NAME_LENGTH = 256;
const MAX_DESCRIPTION_LENGTH = 1024;
/** Numbers without a limit of their own go as far as every client can count. */
const MAX_NUMBER = Number.MAX_SAFE_INTEGER;
const TTL_MS = { min: 1000, max: 86_400_000 };

/** How the document names what can be changed of a policy. */
const WIRE_NAMES: Readonly<Record<keyof PolicyChanges, string>> = {
  name: 'name',
  description: 'description',
  priority: 'priority',
  caps: 'caps',
  overagePolicy: 'commit_overage_policy',
  ttlOverride: 'reservation_ttl_override',
  rateLimits: 'rate_limits',
  effectiveFromMs: 'effective_from',
  effectiveUntilMs: 'effective_until',
  status: 'status',
};

const checkOptional = (field: string, value: number | undefined, bounds: { readonly min: number; readonly max: number }): Refusal | null =>
  value === undefined ? null : checkWhole(field, value, bounds);

/** Checks the rules of a policy as it would be. Source: Cycles governance, `Policy`, `Caps`, `ReservationTtlOverride`, `RateLimits`. */
function checkPolicy(policy: CreatePolicyCommand['policy']): Refusal | null {
  const { caps, ttlOverride: ttl, rateLimits: rates, effectiveFromMs, effectiveUntilMs, description } = policy;
  const counts = { min: 0, max: MAX_NUMBER };
  const isPeriod = effectiveFromMs === null || effectiveUntilMs === null || effectiveFromMs < effectiveUntilMs;
  return firstOf(
    checkText('name', policy.name, MAX_NAME_LENGTH),
    description !== null && description.length > MAX_DESCRIPTION_LENGTH
      ? invalid('description', `have at most ${MAX_DESCRIPTION_LENGTH} characters`)
      : null,
    checkWhole('priority', policy.priority, counts),
    checkOptional('caps.max_tokens', caps?.maxTokens, counts),
    checkOptional('caps.max_steps_remaining', caps?.maxStepsRemaining, counts),
    checkOptional('caps.cooldown_ms', caps?.cooldownMs, counts),
    checkOptional('reservation_ttl_override.default_ttl_ms', ttl?.defaultTtlMs, TTL_MS),
    checkOptional('reservation_ttl_override.max_ttl_ms', ttl?.maxTtlMs, TTL_MS),
    checkOptional('reservation_ttl_override.max_extensions', ttl?.maxExtensions, counts),
    checkOptional('rate_limits.max_reservations_per_minute', rates?.maxReservationsPerMinute, { min: 1, max: MAX_NUMBER }),
    checkOptional('rate_limits.max_commits_per_minute', rates?.maxCommitsPerMinute, { min: 1, max: MAX_NUMBER }),
    isPeriod ? null : invalid('effective_until', 'lie after effective_from'),
  );
}

const nameTaken = (name: string): Rejection => ({
  code: 'conflict',
  message: `the tenant has a policy named ${name} already`,
  field: 'name',
});

const putPolicy = (policy: Policy): Effect => ({ type: 'record', kind: 'policy', id: policy.id, record: policy });

function putName({ tenantId, name, id: policyId }: Policy): Effect {
  const id = policyNameId(tenantId, name);
  return { type: 'record', kind: 'policy-name', id, record: { id, policyId } };
}

const removeName = ({ tenantId, name }: Policy): Effect => ({
  type: 'record-removed',
  kind: 'policy-name',
  id: policyNameId(tenantId, name),
});

const told = ({ id, name, scopePattern }: Policy): { policy_id: string; name: string; scope_pattern: string } => ({
  policy_id: id,
  name,
  scope_pattern: scopePattern,
});

function refuseOwner(state: State, tenantId: string): Rejection | null {
  if (state.record('tenant', tenantId) === undefined) return { code: 'tenant_not_found', message: `there is no tenant ${tenantId}` };
  return refuseTenant(state, tenantId);
}

/**
 * Makes a policy. The value is the policy.
 *
 * Rejects, in this order: `invalid_request` (the pattern, then the other fields), `tenant_not_found`, `tenant_closed`,
 * `tenant_suspended`, `conflict` (the tenant has one of that name). Source: Cycles governance, createPolicy.
 */
const createPolicyVerb: Verb<CreatePolicyCommand, Policy> = {
  needs: ({ tenantId, policy }) => ({
    tenantLock: 'exclusive',
    records: [
      { kind: 'policy', id: policy.id },
      { kind: 'policy-name', id: policyNameId(tenantId, policy.name) },
    ],
  }),
  decide: (state, command, nowMs) => {
    const { tenantId } = command;
    const pattern = parseScopePattern(command.policy.scopePattern, tenantId);
    if (!pattern.ok) return refuse(pattern);
    const bad = checkPolicy(command.policy);
    if (bad !== null) return refuse(bad);
    const refusal = refuseOwner(state, tenantId);
    if (refusal !== null) return refuse(rejected(refusal));
    const policy: Policy = { ...command.policy, tenantId, scopePattern: pattern.value.text, createdAtMs: nowMs, updatedAtMs: nowMs };
    if (state.record('policy-name', policyNameId(tenantId, policy.name)) !== undefined) return refuse(rejected(nameTaken(policy.name)));
    const events = eventEffects(command, nowMs, [{ type: 'policy.created', data: told(policy) }]);
    return { outcome: accepted(policy), effects: [putPolicy(policy), putName(policy), ...events] };
  },
};

/** The policy of a command, if its tenant owns it and may still change it. */
function ownPolicy(state: State, command: { readonly tenantId: string; readonly policyId: string }): Policy | Rejection {
  const policy = state.record('policy', command.policyId);
  if (policy?.tenantId !== command.tenantId) return { code: 'not_found', message: 'there is no such policy' };
  return refuseClosedTenant(state, command.tenantId) ?? policy;
}

/**
 * Changes what is given of a policy. What is given and is so already changes nothing and tells nobody. The value is the policy as it is
 * now.
 *
 * Rejects, in this order: `not_found` (also another tenant's), `tenant_closed`, `invalid_request`, `conflict` (the tenant has another one
 * of the new name). Source: Cycles governance, updatePolicy.
 */
const updatePolicyVerb: Verb<UpdatePolicyCommand, Policy> = {
  needs: ({ tenantId, policyId, changes: { name } }) => ({
    tenantLock: 'exclusive',
    records: [
      { kind: 'policy', id: policyId },
      ...(name === undefined ? [] : [{ kind: 'policy-name' as const, id: policyNameId(tenantId, name) }]),
    ],
  }),
  decide: (state, command, nowMs) => {
    const before = ownPolicy(state, command);
    if ('code' in before) return refuse(rejected(before));
    const policy: Policy = { ...before, ...command.changes, updatedAtMs: nowMs };
    const bad = checkPolicy(policy);
    if (bad !== null) return refuse(bad);
    const names = Object.keys(WIRE_NAMES) as (keyof PolicyChanges)[];
    const fields = names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(policy[name])).map((name) => WIRE_NAMES[name]);
    if (fields.length === 0) return { outcome: accepted(before), effects: [] };
    const isRenamed = policy.name !== before.name;
    if (isRenamed && state.record('policy-name', policyNameId(policy.tenantId, policy.name)) !== undefined)
      return refuse(rejected(nameTaken(policy.name)));
    const events = eventEffects(command, nowMs, [{ type: 'policy.updated', data: { ...told(policy), changed_fields: fields } }]);
    return {
      outcome: accepted(policy),
      effects: [putPolicy(policy), ...(isRenamed ? [removeName(before), putName(policy)] : []), ...events],
    };
  },
};

/**
 * Forgets a policy; its name is free again. The value is the policy as it was.
 *
 * Rejects, in this order: `not_found` (also another tenant's), `tenant_closed`. Our extension: the document has no such operation.
 */
const deletePolicyVerb: Verb<DeletePolicyCommand, Policy> = {
  needs: ({ policyId }) => ({ tenantLock: 'exclusive', records: [{ kind: 'policy', id: policyId }] }),
  decide: (state, command, nowMs) => {
    const policy = ownPolicy(state, command);
    if ('code' in policy) return refuse(rejected(policy));
    const events = eventEffects(command, nowMs, [{ type: 'policy.deleted', data: told(policy) }]);
    return {
      outcome: accepted(policy),
      effects: [{ type: 'record-removed', kind: 'policy', id: policy.id }, removeName(policy), ...events],
    };
  },
};

/** The decisions of policies, by verb. */
export const POLICY_VERBS = {
  'create-policy': createPolicyVerb,
  'update-policy': updatePolicyVerb,
  'delete-policy': deletePolicyVerb,
  'take-rate': takeRateVerb,
} as const satisfies { readonly [K in PolicyCommand['verb']]: Verb<Extract<PolicyCommand, { verb: K }>, unknown> };
