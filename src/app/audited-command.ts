import type { CommandAudit } from '../core/verb.ts';
import type { Ids } from '../ports/ids.ts';

/** Who does a management operation, in the course of which request. */
export interface Actor {
  readonly kind: CommandAudit['actorKind'];
  readonly id: string;
  readonly requestId: string;
}

/** What every management command carries: an id of its own, whose rows it touches, and its line for the audit. */
export function auditedBase(
  ids: Pick<Ids, 'next'>,
  actor: Actor,
  operation: { readonly name: string; readonly tenantId: string; readonly resourceKind: string; readonly resourceId: string },
): { readonly id: string; readonly tenantId: string; readonly audit: CommandAudit } {
  const { name, tenantId, resourceKind, resourceId } = operation;
  return {
    id: ids.next('cmd'),
    tenantId,
    audit: {
      id: ids.next('aud'),
      operation: name,
      actorKind: actor.kind,
      actorId: actor.id,
      resourceKind,
      resourceId,
      requestId: actor.requestId,
    },
  };
}
