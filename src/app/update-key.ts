import type { UpdateKeyCommand } from '../core/access/commands.ts';
import type { ApiKey } from '../core/records.ts';
import type { Outcome } from '../core/rejection.ts';
import type { Ids } from '../ports/ids.ts';
import { auditedBase, type Actor } from './audited-command.ts';
import type { LedgerWriter } from './ledger-writer.ts';

/** What may change of a key; what is left out stays, null clears. */
export type KeyChanges = Pick<
  UpdateKeyCommand,
  'name' | 'disabled' | 'expiresAtMs' | 'outputBound' | 'maxTokens' | 'moneyBudgetMicrocents'
>;

/** Makes the use case that changes a key. Rejects as the command `update-key` does. */
export function makeUpdateKey(deps: { writer: Pick<LedgerWriter, 'execute'>; ids: Pick<Ids, 'next'> }) {
  return (actor: Actor, key: Pick<ApiKey, 'id' | 'tenantId'>, changes: KeyChanges): Promise<Outcome<ApiKey>> =>
    deps.writer.execute({
      verb: 'update-key',
      ...auditedBase(deps.ids, actor, { name: 'update-key', tenantId: key.tenantId, resourceKind: 'key', resourceId: key.id }),
      keyId: key.id,
      ...changes,
    });
}
