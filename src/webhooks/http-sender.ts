import { createHash, createHmac, randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { Pool } from 'undici';
import { addressIn, checkWebhookUrl, isBlockedAddress, type WebhookSecurity } from '../core/webhooks/webhook-security.ts';
import type { SendOutcome, WebhookRequest, WebhookSender } from '../ports/webhook-sender.ts';

/** Finds the addresses of a host; rejects where there are none. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

/** What the sender needs. Lengths in milliseconds. */
export interface HttpSenderOptions {
  readonly resolve: Resolve;
  /** Names this program to receivers. */
  readonly userAgent: string;
  /** A clock that never goes back. */
  readonly elapsedMs: () => number;
  readonly limitMs?: number;
}

const LIMIT_MS = 10_000;
const CONNECT_MS = 5000;
/** What is read of an answer. Its status is all that counts, but a connection is used again only when its answer was read. */
const MAX_ANSWER_BYTES = 64 * 1024;
/** Connections are kept to this many receivers; the one that was not used for longest is closed. */
const MAX_POOLS = 256;
/** Connections to one receiver. */
const MAX_CONNECTIONS = 16;

const BLOCKED = 'the host leads to an address that is blocked';
const UNRESOLVED = 'the host could not be resolved';

/** The W3C header of one attempt: the event's trace, a span of its own, and the flags of the request behind the event. */
const traceparentOf = (request: WebhookRequest): string =>
  `00-${request.traceId}-${randomBytes(8).toString('hex')}-${request.traceFlags ?? '01'}`;

/** The signature of a body. Source: Cycles governance, `X-Cycles-Signature`. */
export const signatureOf = (body: string, secret: string): string =>
  `sha256=${createHmac('sha256', secret).update(body, 'utf8').digest('hex')}`;

/** A trace for what no request is behind: the same for each attempt at one event. */
export const traceIdOf = (eventId: string): string => createHash('sha256').update(eventId).digest('hex').slice(0, 32);

const headersOf = (request: WebhookRequest, userAgent: string): Record<string, string> => ({
  // Ours come last and under the same letters: the subscription's own cannot take their place.
  ...Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value])),
  'content-type': 'application/json',
  'user-agent': userAgent,
  'x-cycles-signature': signatureOf(request.body, request.secret),
  'x-cycles-event-id': request.eventId,
  'x-cycles-event-type': request.eventType,
  'x-cycles-trace-id': request.traceId,
  traceparent: traceparentOf(request),
  'x-request-id': request.requestId,
});

/** What a failure is called towards the owner of a subscription: never an address of ours, never a text of the receiver. */
function describe(error: unknown, limitMs: number): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  if (name === 'TimeoutError' || name === 'AbortError') return `no answer within ${limitMs / 1000} seconds`;
  return typeof code === 'string' && /^[A-Z0-9_]{1,64}$/.test(code) ? `the request failed (${code})` : 'the request failed';
}

/** Rejects with the signal's reason when it comes; whoever waits no more need not mind. */
function abortOf(signal: AbortSignal): Promise<never> {
  const aborted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  aborted.catch(() => undefined);
  return aborted;
}

/** Makes the sender of webhooks. */
export function makeHttpSender(options: HttpSenderOptions): WebhookSender {
  const { resolve, userAgent, elapsedMs, limitMs = LIMIT_MS } = options;
  const pools = new Map<string, Pool>();

  /** Connections to one origin at one address. A name that means another address meanwhile gets connections of its own. */
  function poolFor(origin: string, address: string): Pool {
    const key = `${origin} ${address}`;
    const known = pools.get(key);
    pools.delete(key);
    const pool =
      known ??
      new Pool(origin, {
        connections: MAX_CONNECTIONS,
        pipelining: 1,
        // Without an upgrade to HTTP/2, whose handshake loses the body at some receivers.
        allowH2: false,
        keepAliveTimeout: 4000,
        connect: {
          timeout: CONNECT_MS,
          lookup: (_hostname, { all }, callback) => {
            const found = { address, family: isIP(address) };
            if (all === true) callback(null, [found]);
            else callback(null, found.address, found.family);
          },
        },
      });
    pools.set(key, pool);
    if (pools.size > MAX_POOLS) {
      const [oldest] = pools;
      if (oldest !== undefined) {
        pools.delete(oldest[0]);
        oldest[1].close().catch(() => undefined);
      }
    }
    return pool;
  }

  /** The address to connect to, or why there is none. One blocked address among several is enough to refuse: the name is not to be trusted. */
  async function pinned(url: URL, security: WebhookSecurity): Promise<{ readonly address: string } | { readonly error: string }> {
    const given = addressIn(url);
    let found: readonly string[];
    try {
      found = given === null ? await resolve(url.hostname) : [given];
    } catch {
      return { error: UNRESOLVED };
    }
    const [first] = found;
    if (first === undefined) return { error: UNRESOLVED };
    return found.some((address) => isBlockedAddress(address, security)) ? { error: BLOCKED } : { address: first };
  }

  async function post(request: WebhookRequest, url: URL, address: string, signal: AbortSignal): Promise<number> {
    const { statusCode, body } = await poolFor(url.origin, address).request({
      method: 'POST',
      path: url.pathname + url.search,
      headers: headersOf(request, userAgent),
      body: request.body,
      signal,
      headersTimeout: limitMs,
      bodyTimeout: limitMs,
    });
    // Whatever it says, and however it ends: the receiver has answered.
    await body.dump({ limit: MAX_ANSWER_BYTES, signal }).catch(() => undefined);
    return statusCode;
  }

  return {
    limitMs,
    send: async (request, security): Promise<SendOutcome> => {
      const checked = checkWebhookUrl(request.url, security);
      if (!checked.ok) return { kind: 'failed', error: checked.rejection.message, responseTimeMs: null };
      const url = checked.value;
      const startedMs = elapsedMs();
      const took = (): number => Math.max(0, Math.round(elapsedMs() - startedMs));
      const signal = AbortSignal.timeout(limitMs);
      try {
        const target = await Promise.race([pinned(url, security), abortOf(signal)]);
        if ('error' in target) return { kind: 'failed', error: target.error, responseTimeMs: null };
        const status = await post(request, url, target.address, signal);
        return { kind: 'answered', status, responseTimeMs: took() };
      } catch (error) {
        return { kind: 'failed', error: describe(error, limitMs), responseTimeMs: took() };
      }
    },
    isBlocked: async (hostname, security) => {
      const signal = AbortSignal.timeout(limitMs);
      try {
        return (await Promise.race([resolve(hostname), abortOf(signal)])).some((address) => isBlockedAddress(address, security));
      } catch {
        return false;
      }
    },
    close: async () => {
      const open = [...pools.values()];
      pools.clear();
      await Promise.all(open.map((pool) => pool.destroy()));
    },
  };
}
