/** What kind of outside world failed; a surface maps each to a status of its own. */
export type FaultCode = 'overloaded' | 'store_unavailable' | 'upstream_failed' | 'upstream_timeout';

/**
 * The outside world failed: thrown by adapters, never a part of a decision.
 *
 * `message` is for logs and may name hosts and files; `publicMessage` is for callers and may not. `retryAfterMs` is set where
 * waiting helps.
 */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly code: FaultCode;
  readonly publicMessage: string;
  readonly retryAfterMs: number | undefined;

  constructor(options: { code: FaultCode; message: string; publicMessage: string; retryAfterMs?: number; cause?: unknown }) {
    super(options.message, { cause: options.cause });
    this.code = options.code;
    this.publicMessage = options.publicMessage;
    this.retryAfterMs = options.retryAfterMs;
  }
}
