import type { UpdateKeyCommand } from '../core/access/commands.ts';
import type { ApiKey } from '../core/records.ts';
import { rejected, type Outcome } from '../core/rejection.ts';
import type { DeclaredFields } from '../ports/declared-fields.ts';
import type { Ids } from '../ports/ids.ts';
import { auditedBase, type Actor } from './audited-command.ts';
import type { LedgerWriter } from './ledger-writer.ts';
import { refuseDeclared } from './refuse-declared.ts';

/** What may change of a key; what is left out stays, null clears. */
export type KeyChanges = Pick<
  UpdateKeyCommand,
  | 'name'
  | 'disabled'
  | 'expiresAtMs'
  | 'outputBound'
  | 'allowedModels'
  | 'levels'
  | 'callerLevels'
  | 'maxTokens'
  | 'moneyBudgetMicrocents'
  | 'rateLimits'
>;

/** What the configuration file calls the fields of a key that it may name. */
const DECLARABLE = {
  outputBound: 'output_bound',
  allowedModels: 'allowed_models',
  levels: 'levels',
  callerLevels: 'caller_levels',
  rateLimits: 'rate_limits',
} as const;

/** Makes the use case that changes a key. Rejects: `managed_by_file`, then as the command `update-key` does. */
export function makeUpdateKey(deps: { writer: Pick<LedgerWriter, 'execute'>; ids: Pick<Ids, 'next'>; declared?: DeclaredFields }) {
  return async (actor: Actor, key: Pick<ApiKey, 'id' | 'tenantId'>, changes: KeyChanges): Promise<Outcome<ApiKey>> => {
    const given = (Object.keys(DECLARABLE) as (keyof typeof DECLARABLE)[]).filter((field) => changes[field] !== undefined);
    const names = given.map((field) => DECLARABLE[field]);
    const refusal = deps.declared === undefined ? null : refuseDeclared(deps.declared, { kind: 'key', id: key.id }, names);
    if (refusal !== null) return rejected(refusal);
    return deps.writer.execute({
      verb: 'update-key',
      ...auditedBase(deps.ids, actor, { name: 'update-key', tenantId: key.tenantId, resourceKind: 'key', resourceId: key.id }),
      keyId: key.id,
      ...changes,
    });
  };
}
