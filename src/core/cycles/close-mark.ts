import type { CommandOrigin } from '../command-origin.ts';
import type { Effect } from '../effects.ts';
import type { PlainJson } from '../json/plain-json.ts';
import type { AccountId } from '../ledger/account.ts';
import type { RecordRef, Setting } from '../records.ts';
import type { CommandBase, State } from '../verb.ts';

/** How the ids of marks begin, before the id of their tenant. */
export const CLOSE_MARK_PREFIX = 'tenant-close:';

/**
 * Says that a closed tenant still owns what is to be brought to an end. Written with the tenant's own change and gone when all is done,
 * so that whoever finds it goes on, after a crash too.
 *
 * `origin` is the request that closed the tenant; all that comes of it tells the same correlation id. `released` are the amounts of
 * reservations that were returned so far, decimal int64 by account: what the closing of a budget tells.
 */
export interface CloseMark {
  readonly tenantId: string;
  readonly origin: CommandOrigin;
  readonly released: Readonly<Record<AccountId, string>>;
}

/** The record that is the mark of a tenant. */
export const closeMarkRef = (tenantId: string): RecordRef & { readonly kind: 'setting' } => ({
  kind: 'setting',
  id: `${CLOSE_MARK_PREFIX}${tenantId}`,
});

/** What all that one close makes happen is found by. Source: Cycles governance, CASCADE SEMANTICS, rule 1. */
export const closeCorrelationId = (tenantId: string, requestId: string): string => `tenant_close_cascade:${tenantId}:${requestId}`;

/** The mark that a setting is; null for any other setting. */
export function readCloseMark(setting: Setting | undefined): CloseMark | null {
  if (setting === undefined || !setting.id.startsWith(CLOSE_MARK_PREFIX)) return null;
  // Nobody else writes settings of these ids.
  return setting.value as unknown as CloseMark;
}

/** Writes the mark of a tenant. */
export function putCloseMark(mark: CloseMark): Effect {
  const { id } = closeMarkRef(mark.tenantId);
  return { type: 'record', kind: 'setting', id, record: { id, value: mark as unknown as PlainJson } };
}

/** What leaves the mark of a tenant where it has none: one that is being brought to an end already keeps its first origin. */
export function closeMarkEffects(state: State, command: CommandBase): Effect[] {
  const { tenantId } = command;
  if (state.record('setting', closeMarkRef(tenantId).id) !== undefined) return [];
  const given = command.origin ?? { requestId: command.id, actor: { type: 'system' }, source: 'castellan' };
  const origin: CommandOrigin = { ...given, correlationId: closeCorrelationId(tenantId, given.requestId) };
  return [putCloseMark({ tenantId, origin, released: {} })];
}
