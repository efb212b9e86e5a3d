import type { CommandOrigin } from '../core/command-origin.ts';
import type { RejectionCode } from '../core/rejection.ts';
import type { AuditAnswers, CommandAudit } from '../core/verb.ts';
import type { Ids } from '../ports/ids.ts';

/** Who does a management operation, in the course of which request. */
export interface Actor {
  readonly kind: CommandAudit['actorKind'];
  readonly id: string;
  readonly requestId: string;
  readonly traceId?: string;
  readonly traceFlags?: string;
  readonly sourceIp?: string;
  readonly userAgent?: string;
  /** The part of the program that was asked, as events name it. */
  readonly source?: string;
  readonly correlationId?: string;
  /** The operator, where a key of the tenant could have done the same. */
  readonly onBehalf?: boolean;
  /** How the surface answers, for the audit. */
  readonly answers?: AuditAnswers;
}

/** The {@link Actor} as events tell it. */
export function originOf(actor: Actor): CommandOrigin {
  const { kind, traceId, traceFlags, correlationId, sourceIp } = actor;
  const type = kind === 'system' ? 'system' : kind !== 'operator' ? 'api_key' : actor.onBehalf === true ? 'admin_on_behalf_of' : 'admin';
  return {
    requestId: actor.requestId,
    actor: { type, ...(type === 'api_key' ? { keyId: actor.id } : {}), ...(sourceIp === undefined ? {} : { sourceIp }) },
    source: actor.source ?? 'castellan',
    ...(traceId === undefined ? {} : { traceId }),
    ...(traceFlags === undefined ? {} : { traceFlags }),
    ...(correlationId === undefined ? {} : { correlationId }),
  };
}

/** The {@link Actor} of a command whose refusal `code` the caller is told as `shown`: its row tells what the caller is told. */
export function answeredAs(actor: Actor, code: RejectionCode, shown: RejectionCode): Actor {
  const { answers } = actor;
  const answer = answers?.refused[shown];
  if (answers === undefined || answer === undefined) return actor;
  return { ...actor, answers: { ...answers, refused: { ...answers.refused, [code]: answer } } };
}

/** What every management command carries: an id of its own, whose rows it touches, and its line for the audit. */
export function auditedBase(
  ids: Pick<Ids, 'next'>,
  actor: Actor,
  operation: { readonly name: string; readonly tenantId: string; readonly resourceKind: string; readonly resourceId: string },
): { readonly id: string; readonly tenantId: string; readonly audit: CommandAudit; readonly origin: CommandOrigin } {
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
      ...(actor.traceId === undefined ? {} : { traceId: actor.traceId }),
      ...(actor.sourceIp === undefined ? {} : { sourceIp: actor.sourceIp }),
      ...(actor.userAgent === undefined ? {} : { userAgent: actor.userAgent }),
      ...(actor.onBehalf === true ? { actorType: 'admin_on_behalf_of' } : {}),
      ...(actor.answers === undefined ? {} : { answers: actor.answers }),
    },
    origin: originOf(actor),
  };
}
