import type { CallContext } from '../../core/calls/call-context.ts';
import { writeCheckpoint } from '../../core/calls/call-context.ts';
import type { LegRequest } from '../../core/ledger/commands.ts';
import type { RateStanding, TokenChange } from '../../core/policy/rate-window.ts';
import type { Log } from '../../ports/log.ts';
import type { CallLimits, CallSink, CommandWriter } from './call-types.ts';
import type { Settled } from './settle-calls.ts';
import type { UpstreamAttempt } from './upstream-health.ts';

/** Checkpoints of a stream are at least this far apart. Source: architecture section 8. */
const CHECKPOINT_MS = 2000;
const TICK_MS = 250;

/** A call that holds: from its reservation until it is settled. `id` is the reservation's. */
export interface ActiveCall {
  readonly id: string;
  readonly tenantId: string;
  readonly context: CallContext;
  readonly legs: readonly LegRequest[];
  /** Output tokens that the hold pays for, over all choices. */
  readonly heldOutput: bigint;
  /** How its limits of requests and tokens stood when it was admitted. */
  readonly rates: readonly RateStanding[];
  /** Where its tokens were counted; `candidate` is the upstream's place, null for its key and model. */
  readonly counted: (Omit<TokenChange, 'change'> & { readonly tokens: number; readonly candidate: number | null })[];
  /** Resolves when the hold is on the disk; nothing of an answer goes out before. A settlement that is durable implies it. */
  readonly durable: Promise<void>;
  /** The upstream was told no limit, so that it may give more output than is held. */
  readonly softOutput: boolean;
  readonly sink: CallSink;
  /** Ends the upstream's answer. */
  readonly abort: AbortController;
  /** The place of the upstream that is being tried, among the context's candidates. */
  candidate: number;
  /** The places of those that failed. */
  readonly failed: Set<number>;
  /** When the call began, and how long its upstream was kept waiting for the caller since, in milliseconds; lengths only. */
  readonly startedMs: number;
  waitedMs: number;
  /** The attempt at that upstream; null before the first. */
  attempt: UpstreamAttempt | null;
  /** Whether anything was sent upstream. */
  wasSent: boolean;
  /** Its body is still on its way to the upstream, which can do nothing for it before it is whole. */
  isUploading: boolean;
  /** Output tokens so far by our own count; null until the answer streams. */
  countOutput: (() => number) | null;
  /** How long the hold lasts at a time. */
  readonly ttlMs: number;
  /** When the hold ends, without its grace; this moment and those below are by a clock that never goes back. */
  expiresAtMs: number;
  nextCheckpointMs: number;
  checkpointTokens: number;
  keepCount: number;
  keeping: boolean;
  /** From this moment on the upstream is given up, or the caller who takes nothing. */
  upstreamDeadlineMs: number;
  callerDeadlineMs: number;
  /** The settlement, once it was asked for. */
  settling: Promise<Settled> | null;
}

/** Keeps the holds of calls in flight, checkpoints their output, and enforces their deadlines, all by one timer. */
export interface CallKeeper {
  add(call: ActiveCall): void;
  /** To be called when the call is settled, or its settlement was handed to the background. */
  delete(call: ActiveCall): void;
  readonly size: number;
  /** One round; the timer's work, and a test's handle on time. */
  tick(): void;
  /** Resolves as soon as no call is active. */
  idle(): Promise<void>;
  close(): void;
}

/**
 * Makes a {@link CallKeeper}.
 *
 * A hold is extended when two thirds of its time to live are left at most, and a stream's new output is checkpointed every two
 * seconds; one command carries both. A failed command is left to the next round: nothing depends on a single one.
 */
export function makeCallKeeper(deps: {
  readonly writer: CommandWriter;
  /** A clock that never goes back: the wall clock's steps must neither end a hold early nor keep it from being extended. */
  readonly elapsedMs: () => number;
  readonly limits: CallLimits;
  readonly log: Log;
}): CallKeeper {
  const { writer, elapsedMs, limits, log } = deps;
  const calls = new Set<ActiveCall>();
  let waiting: (() => void)[] = [];

  const keep = async (call: ActiveCall, nowMs: number): Promise<void> => {
    call.keeping = true;
    call.keepCount += 1;
    const checkpoint = writeCheckpoint({ candidate: call.candidate, outputTokens: call.checkpointTokens });
    const id = `${call.id}.keep${call.keepCount}`;
    try {
      await writer.execute({ verb: 'keep-call', id, tenantId: call.tenantId, reservationId: call.id, ttlMs: call.ttlMs, checkpoint });
      call.expiresAtMs = nowMs + call.ttlMs;
    } catch (error) {
      log.warn({ err: error, callId: call.id }, 'a hold could not be extended');
    } finally {
      call.keeping = false;
    }
  };

  const tick = (): void => {
    const nowMs = elapsedMs();
    for (const call of calls) {
      if (nowMs >= call.callerDeadlineMs) {
        call.callerDeadlineMs = Infinity;
        call.sink.cut();
      }
      if (nowMs >= call.upstreamDeadlineMs) {
        call.upstreamDeadlineMs = Infinity;
        call.abort.abort();
      }
      if (call.keeping) continue;
      let due = call.expiresAtMs - nowMs <= (call.ttlMs * 2) / 3;
      if (call.countOutput !== null && nowMs >= call.nextCheckpointMs) {
        call.nextCheckpointMs = nowMs + CHECKPOINT_MS;
        const tokens = call.countOutput();
        due ||= tokens > call.checkpointTokens;
        call.checkpointTokens = tokens;
      }
      if (due) void keep(call, nowMs);
    }
  };

  // One timer for all calls: making and clearing one for each would cost more than the calls' own bookkeeping.
  const timer = setInterval(tick, Math.min(TICK_MS, Math.max(10, limits.holdTtlMs / 6)));
  timer.unref();
  return {
    add: (call) => void calls.add(call),
    delete: (call) => {
      calls.delete(call);
      if (calls.size > 0 || waiting.length === 0) return;
      const resolvers = waiting;
      waiting = [];
      for (const resolve of resolvers) resolve();
    },
    get size() {
      return calls.size;
    },
    tick,
    idle: () => (calls.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    close: () => clearInterval(timer),
  };
}
