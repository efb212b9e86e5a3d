import type { InferenceKind, RequestDefect } from '../../core/bounds/inference-request.ts';
import type { CallFailureCode, PassedError } from '../../core/calls/upstream-verdict.ts';
import type { RateStanding } from '../../core/policy/rate-window.ts';
import type { ApiKey, Tenant, Upstream } from '../../core/records.ts';
import type { Rejection } from '../../core/rejection.ts';
import type { UpstreamClient } from '../../ports/upstream.ts';
import type { Catalogue } from '../directory/catalogue.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** Headers of an answer, names in lower case. */
export type AnswerHeaders = Readonly<Record<string, string>>;

/**
 * Where a call's answer goes: an HTTP response, or a test's list. Used once, in this order: either `send`, or `begin`, any number of
 * `write`s and `end`; `cut` at any time. After the caller has gone, everything is accepted and nothing is kept.
 */
export interface CallSink {
  /** The caller went away before its answer ended. */
  readonly gone: boolean;
  /** Something of the answer was sent, or it was cut: no other answer can be given any more. */
  readonly begun: boolean;
  /** Calls `listener` once when the caller goes away; at once where it has gone already. */
  onGone(listener: () => void): void;
  /** Sends a whole answer; its length is told in advance. */
  send(status: number, headers: AnswerHeaders, pieces: readonly Uint8Array[]): void;
  /** Begins an answer whose length is not known. `trailer` announces the name of a trailer. */
  begin(status: number, headers: AnswerHeaders, trailer: string | null): void;
  /** Sends a piece of the body. False asks to wait for {@link CallSink.drained} before the next one. */
  write(piece: Uint8Array): boolean;
  /** Resolves when the caller has taken what was written, or has gone. */
  drained(): Promise<void>;
  /** Ends an answer that `begin` began. */
  end(pieces: readonly Uint8Array[], trailers: AnswerHeaders | null): void;
  /** Breaks the connection off, so that the caller cannot take what it has for a whole answer. */
  cut(): void;
}

/** One inference request of an authenticated key. `route` is the path below the gateway's root; `body` the raw bytes of a JSON text. */
export interface CallRequest {
  /** The request's id in the log, which its answer carries as `x-request-id`. */
  readonly requestId: string;
  readonly key: ApiKey;
  readonly tenant: Tenant;
  readonly kind: InferenceKind;
  readonly route: string;
  readonly body: Buffer;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly sink: CallSink;
}

/**
 * Why a call got no answer; its sink was not used.
 *
 * `invalid`: the body breaks a rule (400). `rejected`: an account, the tenant or the model refuses. `failed`: no upstream answered.
 * `passed`: the upstream found the caller's own fault. None of them is billed.
 * `rates` tells how the limits stand of a call that was admitted.
 */
export type CallRefusal = { readonly rates?: readonly RateStanding[] } & (
  | { readonly kind: 'invalid'; readonly defect: RequestDefect }
  | { readonly kind: 'rejected'; readonly rejection: Rejection }
  | { readonly kind: 'failed'; readonly code: CallFailureCode; readonly retryAfter: string | null }
  | { readonly kind: 'passed'; readonly status: number; readonly error: PassedError }
);

/** What came of a call. `answered`: the sink has had it all, or was cut. */
export type CallOutcome = { readonly kind: 'answered' } | CallRefusal;

/** The one way to change anything. */
export type CommandWriter = Pick<LedgerWriter, 'execute' | 'write'>;

/** What a call needs to know of the catalogue, as it is now. */
export type CallCatalogue = Pick<Catalogue, 'model' | 'upstream' | 'prices' | 'rate'>;

/** What a call needs to know of it whose body nobody can read. */
export type SealedCatalogue = Pick<Catalogue, 'model' | 'sealed' | 'prices' | 'rate'>;

/** Names and values of the headers that an operator declared for an upstream. They may be credentials. */
export type UpstreamHeaders = Readonly<Record<string, string>>;

/** A connection to an upstream, and the words of its own (host, credential) that no caller may read. */
export interface OpenUpstream {
  readonly client: UpstreamClient;
  readonly secrets: readonly string[];
}

/** Gives the connection to an upstream, at `enclaveUrl` where it is one for sealed calls. */
export type OpenAnUpstream = (upstream: Upstream, enclaveUrl?: string) => OpenUpstream;

/** Limits of calls, in milliseconds. Source: architecture section 7, `gateway`. */
export interface CallLimits {
  readonly holdTtlMs: number;
  readonly holdGraceMs: number;
  /** How long an upstream may take to begin its answer, and between two pieces of it, where it has no limit of its own. */
  readonly upstreamTimeoutMs: number;
  /** How long the rest of an answer is read after its caller has gone. */
  readonly drainMs: number;
}
