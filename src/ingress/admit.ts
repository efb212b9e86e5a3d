import type { IncomingMessage } from 'node:http';
import { needsKey, originAllowed, pathAllowed, takeToken, type TokenBucket } from '../core/containers/shim-rules.ts';
import type { Outcome } from '../core/rejection.ts';
import type { IngressTarget } from '../ports/ingress-routes.ts';

/** Whose key a request came with: what it is counted by. */
export type CheckKey = (plaintext: string, tenantId: string) => Promise<Outcome<{ readonly keyId: string }>>;

/** An answer of the ingress itself. */
export interface OwnAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Whether a request may go on to a unit: null, or else what it is answered. */
export type Admit = (request: IncomingMessage, target: IngressTarget) => OwnAnswer | null | Promise<OwnAnswer | null>;

const BEARER = /^bearer +(\S+)$/i;
/** Buckets of keys that nobody has used for so long are full whatever the limit: they are forgotten. */
const MAX_BUCKETS = 10_000;

const preflight = (request: IncomingMessage, origin: string): OwnAnswer => ({
  status: 204,
  text: '',
  headers: {
    'access-control-allow-origin': origin,
    'access-control-allow-methods': String(request.headers['access-control-request-method']),
    'access-control-allow-headers': String(request.headers['access-control-request-headers'] ?? ''),
    'access-control-max-age': '600',
    vary: 'Origin',
  },
});

/** Makes what applies the rules of a configuration's shim. Source: Tinfoil reference section 3, shim. */
export function makeAdmit({ checkKey, nowMs }: { readonly checkKey: CheckKey; readonly nowMs: () => number }): Admit {
  const buckets = new Map<string, TokenBucket>();

  function limitRate({ containerId, shim }: IngressTarget, keyId: string): OwnAnswer | null {
    if (shim.rateLimit === null) return null;
    const id = `${containerId} ${keyId}`;
    const taken = takeToken(buckets.get(id) ?? null, nowMs(), shim.rateLimit, shim.rateBurst);
    buckets.delete(id);
    buckets.set(id, taken.bucket);
    const [oldest] = buckets.keys();
    if (buckets.size > MAX_BUCKETS && oldest !== undefined) buckets.delete(oldest);
    if (taken.allowed) return null;
    return {
      status: 429,
      text: 'too many requests with this API key',
      headers: { 'retry-after': String(Math.ceil(taken.retryAfterMs / 1000)) },
    };
  }

  async function checkBearer(request: IncomingMessage, target: IngressTarget): Promise<OwnAnswer | null> {
    const [, key] = BEARER.exec(request.headers.authorization ?? '') ?? [];
    const headers = { 'www-authenticate': 'Bearer' };
    if (key === undefined) return { status: 401, text: 'an API key is required: send Authorization: Bearer', headers };
    const outcome = await checkKey(key, target.tenantId);
    if (outcome.ok) return limitRate(target, outcome.value.keyId);
    const { code, message } = outcome.rejection;
    const isQuota = code !== 'unauthorized' && code !== 'forbidden' && !code.startsWith('key_');
    return { status: isQuota ? 402 : code === 'forbidden' ? 403 : 401, text: message, headers: isQuota ? {} : headers };
  }

  return (request, target) => {
    const { shim } = target;
    const path = request.url ?? '/';
    const { origin } = request.headers;
    if (!originAllowed(shim.origins, origin)) return { status: 403, text: 'pages of this origin may not call this container' };
    const isPreflight =
      request.method === 'OPTIONS' && origin !== undefined && request.headers['access-control-request-method'] !== undefined;
    // Without a rule of ours about origins, the unit answers by itself.
    if (isPreflight && shim.origins !== null) return preflight(request, origin);
    if (!pathAllowed(shim.paths, path)) return { status: 404, text: 'this container does not serve this path' };
    return needsKey(shim, path) ? checkBearer(request, target) : null;
  };
}
