import { errorOfRejection } from '../../../src/api/openai-gateway/errors.ts';

/** How a used-up window is answered 90 seconds before it resets. No call meets one yet: windows have no accounts so far. */
export function windowAccount(): { readonly status: number; readonly headers: Record<string, string>; readonly body: unknown } {
  const resetsAtMs = Date.parse('2026-11-23T00:00:00Z');
  const account = {
    kind: 'window',
    scope: 'key:k1',
    unit: 'TOKENS',
    limit: 5n,
    spent: 5n,
    reserved: 0n,
    remaining: 0n,
    resetsAtMs,
  } as const;
  const error = errorOfRejection(
    { code: 'window_exceeded', message: 'used up', account },
    { hideAmounts: false, nowMs: resetsAtMs - 90_000 },
  );
  return {
    status: error.status,
    headers: { 'retry-after': String(error.retryAfterSeconds), 'x-should-retry': String(error.retry) },
    body: { error: { code: error.code, account: error.account } },
  };
}
