import type { UpstreamObject } from './calls/upstream-object.ts';
import type { SampleBucket } from './containers/container-samples.ts';
import type { Account } from './ledger/account.ts';
import type { Entry } from './ledger/entry.ts';
import type { PlainJson } from './json/plain-json.ts';
import type { Reservation } from './ledger/reservation.ts';
import type { RecordKind, RecordTypes } from './records.ts';
import type { CommandOrigin } from './command-origin.ts';
import type { RateRef, RateWindow } from './policy/rate-window.ts';
import type { UsageEvent } from './usage/usage-event.ts';
import type { UsageReport } from './usage/usage-report.ts';

/** Which answer is remembered: one operation of one tenant on one thing (`target` may be empty) under the caller's key. */
export interface IdempotencyRef {
  readonly tenantId: string;
  readonly operation: string;
  readonly target: string;
  readonly key: string;
}

/**
 * A remembered answer: the hash of the canonical body that it answered, and the value of the outcome. `keptBy` is the reservation that it
 * made or ended: such an answer is kept with it, for as long as it is there.
 */
export interface IdempotencyRecord {
  readonly keptBy?: string;
  readonly hash: string;
  readonly answer: PlainJson;
  readonly expiresAtMs: number;
}

/** Something that happened, written with its cause and delivered afterwards. `data` is what a subscriber sees; `scope` is what it concerns. */
export interface DomainEvent {
  readonly scope?: string;
  /** The request behind it; absent where the program did it by itself. */
  readonly origin?: CommandOrigin;
  readonly metadata?: PlainJson;
  readonly id: string;
  readonly type: string;
  readonly tenantId: string;
  readonly atMs: number;
  readonly data: PlainJson;
}

/**
 * Who did a management operation and how it ended. `code` is null where it succeeded. `status` and `errorCode` are what the caller was
 * answered; without them nobody knows: nothing asked over HTTP, or a row from before they were kept.
 */
export interface AuditEntry {
  readonly id: string;
  readonly tenantId: string;
  readonly atMs: number;
  readonly operation: string;
  readonly actorKind: string;
  readonly actorId: string;
  readonly resourceKind: string;
  readonly resourceId: string;
  readonly requestId: string;
  readonly traceId?: string;
  readonly sourceIp?: string;
  readonly userAgent?: string;
  readonly code: string | null;
  readonly status?: number;
  readonly errorCode?: string;
  readonly metadata: PlainJson;
}

/** A record as it is from now on, with its kind. */
export type RecordPut = {
  [K in RecordKind]: { readonly type: 'record'; readonly kind: K; readonly id: string; readonly record: RecordTypes[K] };
}[RecordKind];

/** An object that an upstream keeps, as it is from now on; null where it is no more. */
export interface UpstreamObjectPut {
  readonly type: 'upstream-object';
  readonly tenantId: string;
  readonly id: string;
  readonly object: UpstreamObject | null;
}

/** When a tenant's key was last used. */
export interface KeyUse {
  readonly keyId: string;
  readonly atMs: number;
}

/**
 * What a decision does to the world. `entry` adds its differences to the account as well; `account` creates an account or changes what
 * is no amount (status, limits, policy, the switch between limited and unlimited). `record-removed` forgets a record for good.
 */
export type Effect =
  | { readonly type: 'account'; readonly account: Account }
  | { readonly type: 'entry'; readonly entry: Entry }
  | { readonly type: 'reservation'; readonly reservation: Reservation }
  | RecordPut
  | { readonly type: 'record-removed'; readonly kind: RecordKind; readonly id: string }
  | { readonly type: 'idempotency'; readonly ref: IdempotencyRef; readonly record: IdempotencyRecord }
  | { readonly type: 'rate'; readonly ref: RateRef; readonly window: RateWindow }
  | { readonly type: 'usage'; readonly event: UsageEvent }
  | { readonly type: 'report'; readonly report: UsageReport }
  | UpstreamObjectPut
  | { readonly type: 'key-use'; readonly use: KeyUse }
  | { readonly type: 'container-sample'; readonly bucket: SampleBucket }
  | { readonly type: 'event'; readonly event: DomainEvent }
  | { readonly type: 'audit'; readonly entry: AuditEntry };
