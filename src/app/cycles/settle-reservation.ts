import { OPERATIONS } from '../../core/cycles/operation-names.ts';
import type { CyclesUnit } from '../../core/cycles/units.ts';
import { stringifyJson } from '../../core/json/int64.ts';
import type { CommitAnswer } from '../../core/ledger/commit.ts';
import type { ExtendAnswer } from '../../core/ledger/extend.ts';
import type { ReleaseAnswer } from '../../core/ledger/release.ts';
import type { CommandIdempotency } from '../../core/ledger/commands.ts';
import type { RateLimit } from '../../core/policy/rate-window.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import { noReservation } from '../../core/ledger/commit.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { KeyHasher } from '../../ports/secret-box.ts';
import { auditedBase } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { idempotencyOf, requestKey, type OnceRequest } from './request-idempotency.ts';
import { callerOrigin, refusePath, type RuntimeCaller, type TenantCaller } from './runtime-caller.ts';
import { limitOf, policyFor, type PolicyDeps } from './spend-rules.ts';

/** A commit, as it came. */
export interface CommitRequest extends OnceRequest {
  readonly body: {
    readonly idempotency_key: string;
    readonly actual: { readonly unit: CyclesUnit; readonly amount: number | bigint };
    readonly metrics?: object;
    readonly metadata?: object;
  };
}

/** A release, as it came. */
export interface ReleaseRequest extends OnceRequest {
  readonly body: { readonly idempotency_key: string; readonly reason?: string };
}

/** An extension, as it came. */
export interface ExtendRequest extends OnceRequest {
  readonly body: { readonly idempotency_key: string; readonly extend_by_ms: number; readonly metadata?: object };
}

/** What the use cases need. */
export interface SettleDeps extends PolicyDeps {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly records: Pick<RecordStore, 'reservation'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly hasher: KeyHasher;
}

/** What of a commit is kept with its reservation, as it came; null where it said nothing. */
function detailsOf({ metrics, metadata }: CommitRequest['body']): string | null {
  if (metrics === undefined && metadata === undefined) return null;
  return stringifyJson({ ...(metadata === undefined ? {} : { metadata }), ...(metrics === undefined ? {} : { metrics }) });
}

/** Makes the use case that releases a reservation for its tenant. The owner of a reservation never changes, so it is read before. */
function makeReleaseForTenant({ writer, records, ids, hasher }: SettleDeps) {
  return async (
    caller: Extract<RuntimeCaller, { kind: 'operator' }>,
    id: string,
    request: ReleaseRequest,
  ): Promise<Outcome<ReleaseAnswer>> => {
    const key = requestKey(request);
    if (!key.ok) return key;
    const reservation = await records.reservation(id);
    if (reservation === undefined || reservation.purpose !== 'budget') return rejected(noReservation(id));
    const { tenantId } = reservation;
    const { reason } = request.body;
    const { audit, ...base } = auditedBase(ids, caller.actor, {
      name: OPERATIONS.release,
      tenantId,
      resourceKind: 'reservation',
      resourceId: id,
    });
    return writer.execute({
      verb: 'release',
      ...base,
      audit: {
        ...audit,
        metadata: { actor_type: 'admin_on_behalf_of', ...(reason === undefined ? {} : { reason }) },
      },
      reservationId: id,
      idempotency: idempotencyOf(hasher, { tenantId, operation: OPERATIONS.release, target: id, body: request.body }),
    });
  };
}

/** Makes the use cases that commit, release and extend a reservation. */
export function makeSettleReservation(deps: SettleDeps) {
  const { writer, records, ids, hasher, directory } = deps;
  const releaseForTenant = makeReleaseForTenant(deps);

  /**
   * The path of a reservation, which never changes, where something hangs by it: a key that is held to some scopes, or a policy that
   * limits commits. Else null, and nothing is read before the decision.
   */
  async function pathFor(caller: TenantCaller, reservationId: string, options: { isCommit: boolean }): Promise<string | null> {
    const isFiltered = (caller.key.scopeFilter ?? []).length > 0;
    const isLimited = options.isCommit && (await directory.policies(caller.tenant.id)).limitsCommits;
    if (!isFiltered && !isLimited) return null;
    const reservation = await records.reservation(reservationId);
    return reservation?.tenantId === caller.tenant.id ? (reservation.client?.scopePath ?? null) : null;
  }

  interface Prepared {
    readonly base: { readonly id: string; readonly tenantId: string };
    readonly path: string | null;
    readonly idempotency: CommandIdempotency;
  }

  async function prepare(
    caller: TenantCaller,
    id: string,
    options: { operation: string; request: OnceRequest },
  ): Promise<Outcome<Prepared>> {
    const { operation, request } = options;
    const key = requestKey(request);
    if (!key.ok) return key;
    const path = await pathFor(caller, id, { isCommit: operation === OPERATIONS.commit });
    const refusal = path === null ? null : refusePath(caller, path);
    if (refusal !== null) return rejected(refusal);
    const tenantId = caller.tenant.id;
    return accepted({
      base: { id: ids.next('cmd'), tenantId, origin: callerOrigin(caller) },
      path,
      idempotency: idempotencyOf(hasher, { tenantId, operation, target: id, body: request.body }),
    });
  }

  return {
    /**
     * Settles a reservation with what was really used.
     *
     * Rejects as `commit` does, and before that, in this order: `invalid_request` (two idempotency keys), `insufficient_permissions`.
     * Source: Cycles runtime spec, commitReservation.
     */
    async commit(caller: TenantCaller, id: string, request: CommitRequest): Promise<Outcome<CommitAnswer>> {
      const prepared = await prepare(caller, id, { operation: OPERATIONS.commit, request });
      if (!prepared.ok) return prepared;
      const { base, path, idempotency } = prepared.value;
      const { actual } = request.body;
      const limit: RateLimit | null = path === null ? null : limitOf(await policyFor(deps, caller.tenant.id, path), 'commit');
      return writer.execute({
        verb: 'commit',
        ...base,
        reservationId: id,
        actual: BigInt(actual.amount),
        unit: actual.unit,
        details: detailsOf(request.body),
        limit,
        idempotency,
      });
    },

    /**
     * Returns what a reservation holds: a tenant its own, the operator anybody's, which leaves a row in the audit of its tenant.
     *
     * Rejects as `release` does, and before that, in this order: `invalid_request` (two idempotency keys), `insufficient_permissions`.
     * Source: Cycles runtime spec, releaseReservation.
     */
    async release(caller: RuntimeCaller, id: string, request: ReleaseRequest): Promise<Outcome<ReleaseAnswer>> {
      if (caller.kind === 'operator') return releaseForTenant(caller, id, request);
      const prepared = await prepare(caller, id, { operation: OPERATIONS.release, request });
      if (!prepared.ok) return prepared;
      const { base, idempotency } = prepared.value;
      return writer.execute({ verb: 'release', ...base, reservationId: id, idempotency });
    },

    /**
     * Lets a reservation last longer.
     *
     * Rejects as `extend` does, and before that, in this order: `invalid_request` (two idempotency keys), `insufficient_permissions`.
     * Source: Cycles runtime spec, extendReservation.
     */
    async extend(caller: TenantCaller, id: string, request: ExtendRequest): Promise<Outcome<ExtendAnswer>> {
      const prepared = await prepare(caller, id, { operation: OPERATIONS.extend, request });
      if (!prepared.ok) return prepared;
      const { base, idempotency } = prepared.value;
      return writer.execute({ verb: 'extend', ...base, reservationId: id, byMs: request.body.extend_by_ms, idempotency });
    },
  };
}

/** The use cases of {@link makeSettleReservation}. */
export type SettleReservation = ReturnType<typeof makeSettleReservation>;
