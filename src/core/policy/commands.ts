import type { Policy } from '../records.ts';
import type { CommandBase } from '../verb.ts';
import type { MinuteLimit } from './rate-window.ts';

/** Makes a policy of the command's tenant. */
export interface CreatePolicyCommand extends CommandBase {
  readonly verb: 'create-policy';
  readonly policy: Omit<Policy, 'tenantId' | 'createdAtMs' | 'updatedAtMs'>;
}

/** What may be changed of a policy: all but whose it is and which scopes it is for. */
export type PolicyChanges = Partial<Omit<Policy, 'id' | 'tenantId' | 'scopePattern' | 'createdAtMs' | 'updatedAtMs'>>;

/** Changes what is given of a policy of the command's tenant. */
export interface UpdatePolicyCommand extends CommandBase {
  readonly verb: 'update-policy';
  readonly policyId: string;
  readonly changes: PolicyChanges;
}

/** Forgets a policy of the command's tenant. */
export interface DeletePolicyCommand extends CommandBase {
  readonly verb: 'delete-policy';
  readonly policyId: string;
}

/** Takes a call's share of an upstream's limits, which are the whole server's: `tenantId` is its tenant's. `tokens`: what the call holds. */
export interface TakeRateCommand extends CommandBase {
  readonly verb: 'take-rate';
  readonly limits: readonly MinuteLimit[];
  readonly tokens: number;
}

/** Every command that changes policies, and what is counted without a hold. */
export type PolicyCommand = CreatePolicyCommand | UpdatePolicyCommand | DeletePolicyCommand | TakeRateCommand;
