import { isCounted } from '../access/decide-create-key.ts';
import { eventEffects, type Happening } from '../access/access-events.ts';
import type { Effect } from '../effects.ts';
import type { PlainJson } from '../json/plain-json.ts';
import type { Account } from '../ledger/account.ts';
import type { Reservation } from '../ledger/reservation.ts';
import { returnHold } from '../ledger/settle-hold.ts';
import type { ApiKey } from '../records.ts';
import { accepted, type Outcome } from '../rejection.ts';
import type { CommandBase, Decision, State, Verb } from '../verb.ts';
import { ledgerIdOf, termsOf } from '../budgets/ledger-id.ts';
import type {
  CascadeBudgetCommand,
  CascadeCommand,
  CascadeKeyCommand,
  CascadeReservationCommand,
  CascadeWebhookCommand,
  FinishCascadeCommand,
} from './cascade-commands.ts';
import { closeMarkRef, putCloseMark, readCloseMark, type CloseMark } from './close-mark.ts';

/** Whether a command changed anything: what is at its end already is left alone, without an event or an audit row. */
export interface Closed {
  readonly changed: boolean;
}

const unchanged: Decision<Closed> = { outcome: accepted({ changed: false }), effects: [] };

const changed = (effects: readonly Effect[]): Decision<Closed> => ({ outcome: accepted({ changed: true }) as Outcome<Closed>, effects });

/** The mark of a tenant that is closed and not yet at its end, or null. Nobody else's things are touched. */
function markOf(state: State, tenantId: string): CloseMark | null {
  if (state.record('tenant', tenantId)?.status !== 'CLOSED') return null;
  return readCloseMark(state.record('setting', closeMarkRef(tenantId).id));
}

/** What came to its end: how its audit row names it, and what became of it. */
interface Ended {
  readonly operation: string;
  readonly resourceKind: string;
  readonly resourceId: string;
  readonly priorStatus: string;
  readonly newStatus: string;
  readonly more?: Readonly<Record<string, PlainJson>>;
}

function auditEffect(command: CommandBase & { readonly auditId: string }, mark: CloseMark, ended: Ended, nowMs: number): Effect {
  const { requestId, traceId, actor, correlationId } = mark.origin;
  return {
    type: 'audit',
    entry: {
      id: command.auditId,
      tenantId: command.tenantId,
      atMs: nowMs,
      operation: ended.operation,
      actorKind: actor.type === 'system' ? 'system' : 'operator',
      actorId: actor.type === 'system' ? 'system' : 'operator',
      resourceKind: ended.resourceKind,
      resourceId: ended.resourceId,
      requestId,
      ...(traceId === undefined ? {} : { traceId }),
      ...(actor.sourceIp === undefined ? {} : { sourceIp: actor.sourceIp }),
      code: null,
      status: 200,
      metadata: {
        event_kind: ended.operation,
        correlation_id: correlationId ?? requestId,
        cascade_reason: 'tenant_closed',
        prior_status: ended.priorStatus,
        new_status: ended.newStatus,
        ...ended.more,
      },
    },
  };
}

const tell = (command: CommandBase, mark: CloseMark, nowMs: number, told: readonly Happening[]): Effect[] =>
  eventEffects({ ...command, origin: mark.origin }, nowMs, told);

/** Adds what a reservation held to what its accounts got back by this cascade. */
function withReleased(mark: CloseMark, { legs }: Reservation): CloseMark {
  const released = { ...mark.released };
  for (const { accountId, amount } of legs) released[accountId] = (BigInt(released[accountId] ?? 0) + amount).toString();
  return { ...mark, released };
}

/**
 * Releases an ACTIVE reservation of a Cycles client of a closed tenant, whether or not its time is over. A gateway call's is left to its
 * settlement, which books what the call really used. The value tells whether it was released; it never refuses.
 */
const cascadeReservationVerb: Verb<CascadeReservationCommand, Closed> = {
  needs: ({ tenantId, reservationId }) => ({ tenantLock: 'exclusive', reservations: [reservationId], records: [closeMarkRef(tenantId)] }),
  decide: (state, command, nowMs) => {
    const mark = markOf(state, command.tenantId);
    const reservation = state.reservation(command.reservationId);
    if (mark === null || reservation?.tenantId !== command.tenantId) return unchanged;
    if (reservation.state !== 'ACTIVE' || reservation.purpose !== 'budget') return unchanged;
    const ended: Ended = {
      operation: 'reservation.released_via_tenant_cascade',
      resourceKind: 'reservation',
      resourceId: reservation.id,
      priorStatus: 'ACTIVE',
      newStatus: 'RELEASED',
      more: { released_amount: reservation.legs[0]?.amount.toString() ?? '0' },
    };
    return changed([
      ...returnHold(reservation, 'release', nowMs),
      putCloseMark(withReleased(mark, reservation)),
      auditEffect(command, mark, ended, nowMs),
    ]);
  },
};

/** The events of a budget that was closed: of what it got back before, as one sum, and of itself. */
function budgetHappenings(account: Account, mark: CloseMark): Happening[] {
  const { scope, unit, status } = account;
  const shared = { ledger_id: ledgerIdOf(account), scope, unit, prior_status: status, cascade_reason: 'tenant_closed' };
  const released = mark.released[account.id];
  return [
    ...(released === undefined || released === '0'
      ? []
      : [{ type: 'reservation.released_via_tenant_cascade', scope, data: { ...shared, released_amount: released } }]),
    { type: 'budget.closed_via_tenant_cascade', scope, data: { ...shared, new_status: 'CLOSED' } },
  ];
}

/**
 * Closes a budget of a closed tenant; its amounts stay as they are. What its reservations returned is told with it. The value tells
 * whether it was closed; it never refuses.
 */
const cascadeBudgetVerb: Verb<CascadeBudgetCommand, Closed> = {
  needs: ({ tenantId, accountId }) => ({ tenantLock: 'exclusive', accounts: [accountId], records: [closeMarkRef(tenantId)] }),
  decide: (state, command, nowMs) => {
    const mark = markOf(state, command.tenantId);
    const account = state.account(command.accountId);
    if (mark === null || account?.tenantId !== command.tenantId || account.kind !== 'budget' || account.status === 'CLOSED')
      return unchanged;
    const ended: Ended = {
      operation: 'budget.closed_via_tenant_cascade',
      resourceKind: 'budget',
      resourceId: ledgerIdOf(account),
      priorStatus: account.status,
      newStatus: 'CLOSED',
      more: { scope: account.scope, unit: account.unit },
    };
    return changed([
      {
        type: 'account',
        account: { ...account, status: 'CLOSED', budget: { ...termsOf(account), updatedAtMs: nowMs, closedAtMs: nowMs } },
      },
      auditEffect(command, mark, ended, nowMs),
      ...tell(command, mark, nowMs, budgetHappenings(account, mark)),
    ]);
  },
};

/** Disables a webhook of a closed tenant. The value tells whether it was; it never refuses. */
const cascadeWebhookVerb: Verb<CascadeWebhookCommand, Closed> = {
  needs: ({ tenantId, webhookId }) => ({
    tenantLock: 'exclusive',
    records: [{ kind: 'webhook', id: webhookId }, closeMarkRef(tenantId)],
  }),
  decide: (state, command, nowMs) => {
    const mark = markOf(state, command.tenantId);
    const webhook = state.record('webhook', command.webhookId);
    if (mark === null || webhook?.tenantId !== command.tenantId || webhook.status === 'DISABLED') return unchanged;
    const { id, name, status } = webhook;
    const operation = 'webhook.disabled_via_tenant_cascade';
    const named = name === null ? {} : { name };
    const data = { subscription_id: id, ...named, prior_status: status, new_status: 'DISABLED', cascade_reason: 'tenant_closed' };
    return changed([
      { type: 'record', kind: 'webhook', id, record: { ...webhook, status: 'DISABLED', updatedAtMs: nowMs } },
      auditEffect(command, mark, { operation, resourceKind: 'webhook', resourceId: id, priorStatus: status, newStatus: 'DISABLED' }, nowMs),
      ...tell(command, mark, nowMs, [{ type: operation, data }]),
    ]);
  },
};

/** The revoked key, without what opens its value or knows the one before. */
function revokedKey({ rotation: _rotation, ...key }: ApiKey, nowMs: number): ApiKey {
  return { ...key, sealed: null, deletedAtMs: nowMs, revokedReason: 'tenant_closed' };
}

/** Revokes a key of a closed tenant, of whatever kind. The value tells whether it was; it never refuses. */
const cascadeKeyVerb: Verb<CascadeKeyCommand, Closed> = {
  needs: ({ tenantId, keyId }) => ({ tenantLock: 'exclusive', records: [{ kind: 'key', id: keyId }, closeMarkRef(tenantId)] }),
  decide: (state, command, nowMs) => {
    const mark = markOf(state, command.tenantId);
    const key = state.record('key', command.keyId);
    const tenant = state.record('tenant', command.tenantId);
    if (mark === null || tenant === undefined || key?.tenantId !== tenant.id || key.deletedAtMs !== null) return unchanged;
    const priorStatus = key.expiresAtMs !== null && key.expiresAtMs <= nowMs ? 'EXPIRED' : 'ACTIVE';
    const operation = 'api_key.revoked_via_tenant_cascade';
    const data = { key_id: key.id, name: key.name, prior_status: priorStatus, new_status: 'REVOKED', cascade_reason: 'tenant_closed' };
    const counted: Effect[] = isCounted(key.kind)
      ? [{ type: 'record', kind: 'tenant', id: tenant.id, record: { ...tenant, keyCount: tenant.keyCount - 1 } }]
      : [];
    return changed([
      { type: 'record', kind: 'key', id: key.id, record: revokedKey(key, nowMs) },
      ...counted,
      auditEffect(command, mark, { operation, resourceKind: 'api_key', resourceId: key.id, priorStatus, newStatus: 'REVOKED' }, nowMs),
      ...tell(command, mark, nowMs, [{ type: operation, data }]),
    ]);
  },
};

/** Takes the mark of a closed tenant away. The value tells whether there was one; it never refuses. */
const finishCascadeVerb: Verb<FinishCascadeCommand, Closed> = {
  needs: ({ tenantId }) => ({ tenantLock: 'exclusive', records: [closeMarkRef(tenantId)] }),
  decide: (state, command) =>
    markOf(state, command.tenantId) === null ? unchanged : changed([{ type: 'record-removed', ...closeMarkRef(command.tenantId) }]),
};

/** The decisions of a close cascade, by verb. Source: Cycles governance, CASCADE SEMANTICS, rule 1, mode B. */
export const CASCADE_VERBS = {
  'cascade-reservation': cascadeReservationVerb,
  'cascade-budget': cascadeBudgetVerb,
  'cascade-webhook': cascadeWebhookVerb,
  'cascade-key': cascadeKeyVerb,
  'finish-cascade': finishCascadeVerb,
} as const satisfies { readonly [K in CascadeCommand['verb']]: Verb<Extract<CascadeCommand, { verb: K }>, Closed> };
