import { canonicalJson } from '../../core/json/canonical-json.ts';
import type { CommandIdempotency } from '../../core/ledger/commands.ts';
import { invalid } from '../../core/access/rules.ts';
import { accepted, type Outcome } from '../../core/rejection.ts';
import type { KeyHasher } from '../../ports/secret-box.ts';

/** How long answers are kept that no reservation keeps; the retention table has the last word. */
const KEEP_MS = 86_400_000;

/** A request that is done once: what its body is known by, and the key in its header, where it has one. */
export interface OnceRequest {
  readonly body: { readonly idempotency_key: string };
  readonly headerKey: string | undefined;
}

/** Refuses a header that says another key than the body: `invalid_request`. Source: Cycles runtime spec, IDEMPOTENCY. */
export function requestKey({ body, headerKey }: OnceRequest): Outcome<string> {
  if (headerKey !== undefined && headerKey !== body.idempotency_key)
    return invalid('X-Idempotency-Key', 'be the same as idempotency_key of the body');
  return accepted(body.idempotency_key);
}

/**
 * How a command tells the repeat of a request from another one under the same key: by a hash of the body, whatever the order of its
 * fields, the digits of its integers kept. `target` is the reservation in the path; empty where there is none.
 */
export const idempotencyOf = (
  hasher: KeyHasher,
  request: { readonly tenantId: string; readonly operation: string; readonly target: string; readonly body: OnceRequest['body'] },
): CommandIdempotency => ({
  ref: { tenantId: request.tenantId, operation: request.operation, target: request.target, key: request.body.idempotency_key },
  hash: hasher.hash(`${request.operation} ${canonicalJson(request.body)}`),
  keepMs: KEEP_MS,
});
