import type { AuditEntry } from '../effects.ts';
import type { PlainJson } from '../json/plain-json.ts';
import type { CommandBase, Decision } from '../verb.ts';

/** The status of what was done, where nobody says another. */
const DONE = 200;

/** What a refusal's row has of an id and of a message at most: nobody has looked at these before. */
const MAX_REFUSED_ID = 512;
const MAX_MESSAGE = 1024;

/**
 * The row that a management command leaves at `nowMs`, whatever its decision came to; null for any other command, and for the repeat of one
 * that left its own, and for a refusal that is only counted. A refusal's row tells its message.
 */
export function auditEntryOf(command: CommandBase, decision: Decision<unknown>, nowMs: number): AuditEntry | null {
  if (command.audit === undefined || decision.isReplay === true) return null;
  const { answers, actorType, metadata, isRefusalCounted, ...audit } = command.audit;
  const { outcome } = decision;
  const shared = { ...audit, tenantId: command.tenantId, atMs: nowMs };
  const more = { ...decision.auditMetadata, ...(actorType === undefined ? {} : { actor_type: actorType }) };
  if (outcome.ok)
    return { ...shared, code: null, status: decision.auditStatus ?? answers?.done ?? DONE, metadata: withMetadata(metadata, more) };
  if (isRefusalCounted === true) return null;
  const { code, message } = outcome.rejection;
  const answer = answers?.refused[code];
  return {
    ...shared,
    resourceId: shared.resourceId.slice(0, MAX_REFUSED_ID),
    code,
    ...(answer === undefined ? {} : { status: answer[0], errorCode: answer[1] }),
    metadata: withMetadata(metadata, { ...more, error_message: message.slice(0, MAX_MESSAGE) }),
  };
}

// What commands give is an object; the type of values alone does not say so.
const withMetadata = (given: PlainJson | undefined, found: { readonly [name: string]: PlainJson }): PlainJson =>
  Object.assign({}, given, found) as PlainJson;
