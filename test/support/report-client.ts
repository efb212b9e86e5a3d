import { createHash, createHmac, randomUUID } from 'node:crypto';

/** An event as the public usage-reporting client sends it. */
export interface WireEvent {
  readonly event_id: string;
  readonly [field: string]: unknown;
}

/** One request of the public usage-reporting client: its method, its path, its headers and the bytes of its body. */
export interface SignedRequest {
  readonly method: 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export const REPORTS_PATH = '/api/internal/usage-reports';

/** A moment as that client writes it: RFC 3339 in UTC, with nanoseconds where there are some. */
export const rfc3339Nano = (ms: number): string => new Date(ms).toISOString().replace(/\.?0*Z$/, 'Z');

/**
 * Makes a delivery as the public client does, from its description and without any code of ours: six lines, joined by newlines, signed
 * with HMAC-SHA256 in lower-case hex; the nonce is the delivery's id.
 */
export function signedDelivery(options: {
  readonly reporterId: string;
  readonly secret: string;
  readonly nowMs: number;
  readonly events: readonly unknown[];
  readonly deliveryId?: string;
  readonly extra?: object;
}): SignedRequest {
  const { reporterId, secret, nowMs, events, deliveryId = randomUUID(), extra = {} } = options;
  const body = JSON.stringify({ delivery_id: deliveryId, ...extra, events });
  return signBody({ reporterId, secret, timestamp: rfc3339Nano(nowMs), nonce: deliveryId, body });
}

/** The same for a body that is given. */
export function signBody(options: {
  readonly reporterId: string;
  readonly secret: string;
  readonly timestamp: string;
  readonly nonce: string;
  readonly body: string;
}): SignedRequest {
  const { reporterId, secret, timestamp, nonce, body } = options;
  const digest = createHash('sha256').update(body).digest('hex');
  const canonical = `POST\n${REPORTS_PATH}\n${reporterId}\n${timestamp}\n${nonce}\n${digest}`;
  return {
    method: 'POST',
    path: REPORTS_PATH,
    headers: {
      'content-type': 'application/json',
      'x-tinfoil-reporter-id': reporterId,
      'x-tinfoil-timestamp': timestamp,
      'x-tinfoil-nonce': nonce,
      'x-tinfoil-signature': createHmac('sha256', secret).update(canonical).digest('hex'),
    },
    body,
  };
}

/** One model request of a key, as that client tells it. */
export const wireEvent = (
  apiKey: string,
  at: { readonly occurredAtMs: number; readonly model: string },
  changes: Readonly<Record<string, unknown>> = {},
): WireEvent => ({
  event_id: randomUUID(),
  request_id: 'req-1',
  occurred_at: rfc3339Nano(at.occurredAtMs),
  operation: { service: 'router', name: 'model_request' },
  api_key: apiKey,
  customer_requests: 1,
  meters: [
    { name: 'input_tokens', quantity: 11 },
    { name: 'output_tokens', quantity: 7 },
    { name: 'cached_input_tokens', quantity: 4 },
  ],
  attributes: { model: at.model, route: '/v1/chat/completions', streaming: 'true', enclave: 'e1.example' },
  ...changes,
});
