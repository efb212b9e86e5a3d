import type { ApiKey } from '../core/records.ts';
import type { Outcome } from '../core/rejection.ts';
import type { Ids } from '../ports/ids.ts';
import { auditedBase, type Actor } from './audited-command.ts';
import type { LedgerWriter } from './ledger-writer.ts';

/** Makes the use case that deletes a key for good. Rejects as the command `delete-key` does. */
export function makeDeleteKey(deps: { writer: Pick<LedgerWriter, 'execute'>; ids: Pick<Ids, 'next'> }) {
  return (actor: Actor, key: Pick<ApiKey, 'id' | 'tenantId'>): Promise<Outcome<ApiKey>> =>
    deps.writer.execute({
      verb: 'delete-key',
      ...auditedBase(deps.ids, actor, { name: 'delete-key', tenantId: key.tenantId, resourceKind: 'key', resourceId: key.id }),
      keyId: key.id,
    });
}
