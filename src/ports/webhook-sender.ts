import type { WebhookSecurity } from '../core/webhooks/webhook-security.ts';

/** One delivery as it goes out. `traceId` is 32 hexadecimal digits, `traceFlags` the two of its sender's `traceparent`, null where it had none. */
export interface WebhookRequest {
  readonly url: string;
  /** The body, as it is signed. */
  readonly body: string;
  /** Signs the body. */
  readonly secret: string;
  /** The subscription's own. */
  readonly headers: Readonly<Record<string, string>>;
  readonly eventId: string;
  readonly eventType: string;
  readonly requestId: string;
  readonly traceId: string;
  readonly traceFlags: string | null;
}

/** What became of a request. `error` is one sentence that tells nothing of our network. */
export type SendOutcome =
  | { readonly kind: 'answered'; readonly status: number; readonly responseTimeMs: number }
  | { readonly kind: 'failed'; readonly error: string; readonly responseTimeMs: number | null };

/** Sends deliveries to addresses that strangers chose. */
export interface WebhookSender {
  /**
   * Sends one delivery by HTTP/1.1 and follows no redirect. The host is resolved once; the connection goes to an address that was found to
   * be allowed, whatever the name means a moment later. Never throws. Ends within {@link WebhookSender.limitMs}.
   */
  send(request: WebhookRequest, security: WebhookSecurity): Promise<SendOutcome>;
  /** Whether a host leads to an address that is blocked; false also where nobody can resolve it within {@link WebhookSender.limitMs}. */
  isBlocked(hostname: string, security: WebhookSecurity): Promise<boolean>;
  /** The longest that {@link WebhookSender.send} takes, in milliseconds. */
  readonly limitMs: number;
  close(): Promise<void>;
}
