import type { PolicyChanges } from '../../core/policy/commands.ts';
import type { Policy } from '../../core/records.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import { filterCovers } from '../../core/cycles/scope.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { ownerOf, refuseScope, type CyclesCaller } from './cycles-caller.ts';

/** A policy to be made; what is not given is not restricted. */
export interface NewPolicy extends PolicyChanges {
  readonly tenantId?: string;
  readonly name: string;
  readonly scopePattern: string;
}

/** Which policies are wanted, those after `afterId`; `tenantId` is looked at where the operator asks, and then required. */
export interface WantedPolicies {
  readonly tenantId?: string;
  readonly status?: Policy['status'];
  readonly scopePattern?: string;
  readonly afterId: string | null;
  readonly limit: number;
}

/** What is done with policies. */
export interface PolicyManagement {
  /** Rejects, in this order: `insufficient_permissions` (scope filter), `invalid_request` (tenant_id), then as `create-policy`. */
  create(actor: Actor, caller: CyclesCaller, policy: NewPolicy): Promise<Outcome<Policy>>;
  /** Oldest first, one more than `limit` where more follow. Rejects `invalid_request` where the operator names no tenant. */
  list(caller: CyclesCaller, wanted: WantedPolicies): Promise<Outcome<Policy[]>>;
  /** Rejects, in this order: `not_found` (also another tenant's), `insufficient_permissions` (scope filter), then as `update-policy`. */
  update(actor: Actor, caller: CyclesCaller, id: string, changes: PolicyChanges): Promise<Outcome<Policy>>;
  /** Rejects `not_found`. */
  find(id: string): Promise<Outcome<Policy>>;
  /** Rejects as `delete-policy`. */
  remove(actor: Actor, id: string): Promise<Outcome<Policy>>;
}

/** Makes the {@link PolicyManagement}. */
export function makePolicyManagement(deps: {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly records: Pick<RecordStore, 'record' | 'policies'>;
  readonly ids: Pick<Ids, 'next'>;
}): PolicyManagement {
  const { writer, records, ids } = deps;

  const baseFor = (actor: Actor, name: string, tenantId: string, policyId: string) =>
    auditedBase(ids, actor, { name, tenantId, resourceKind: 'policy', resourceId: policyId });

  const find = async (id: string): Promise<Outcome<Policy>> => {
    const policy = await records.record('policy', id);
    return policy === undefined ? rejected({ code: 'not_found', message: 'there is no such policy' }) : accepted(policy);
  };

  return {
    find,
    create: async (actor, caller, policy) => {
      const refusal = refuseScope(caller, policy.scopePattern.toLowerCase());
      if (refusal !== null) return rejected(refusal);
      const { tenantId: named, name, scopePattern, ...rules } = policy;
      const owner = ownerOf(caller, named);
      if ('rejection' in owner) return rejected(owner.rejection);
      const id = ids.next('pol');
      return writer.execute({
        verb: 'create-policy',
        ...baseFor(actor, 'createPolicy', owner.tenantId, id),
        policy: { ...NOTHING, ...rules, id, name, scopePattern },
      });
    },
    list: async (caller, wanted) => {
      const { afterId, limit, tenantId: named, ...filter } = wanted;
      const tenantId = caller.kind === 'tenant' ? caller.tenantId : named;
      if (tenantId === undefined)
        return rejected({ code: 'invalid_request', message: 'tenant_id is required with the operator key', field: 'tenant_id' });
      const isVisible = ({ scopePattern }: Policy): boolean => caller.kind === 'operator' || filterCovers(caller.scopeFilter, scopePattern);
      const found: Policy[] = [];
      let behind = afterId ?? '';
      for (;;) {
        const read = await records.policies({ tenantId, afterId: behind, limit: limit + 1, ...filter });
        found.push(...read.filter(isVisible));
        if (read.length <= limit || found.length > limit) return accepted(found.slice(0, limit + 1));
        behind = read.at(-1)?.id ?? behind;
      }
    },
    update: async (actor, caller, id, changes) => {
      const policy = await find(id);
      if (!policy.ok) return policy;
      const { tenantId, scopePattern } = policy.value;
      // A key learns nothing of what is not its tenant's.
      if (caller.kind === 'tenant' && tenantId !== caller.tenantId)
        return rejected({ code: 'not_found', message: 'there is no such policy' });
      const refusal = refuseScope(caller, scopePattern);
      if (refusal !== null) return rejected(refusal);
      return writer.execute({ verb: 'update-policy', ...baseFor(actor, 'updatePolicy', tenantId, id), policyId: id, changes });
    },
    remove: async (actor, id) => {
      const policy = await find(id);
      if (!policy.ok) return policy;
      return writer.execute({ verb: 'delete-policy', ...baseFor(actor, 'deletePolicy', policy.value.tenantId, id), policyId: id });
    },
  };
}

/** A policy that restricts nothing. */
const NOTHING = {
  description: null,
  priority: 0,
  status: 'ACTIVE',
  caps: null,
  overagePolicy: null,
  ttlOverride: null,
  rateLimits: null,
  effectiveFromMs: null,
  effectiveUntilMs: null,
} as const;
