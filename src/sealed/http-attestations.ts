import { request } from 'undici';
import { Fault } from '../core/fault.ts';
import type { AttestationSource } from '../ports/attestation-source.ts';

const TIMEOUT_MS = 10_000;
/** Bundles are some ten kilobytes. */
const MAX_BYTES = 4_194_304;
const NOT_KEPT = /(?:^|[,\s])no-(?:store|cache)(?:$|[,\s])/i;
const MAX_AGE = /(?:^|[,\s])max-age=(\d{1,9})(?:$|[,\s])/i;

/** Bundles by HTTP: no credential goes there, and no redirect is followed. */
export function makeHttpAttestations(): AttestationSource {
  return {
    fetch: async (url) => {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      try {
        const { statusCode, headers, body } = await request(url, { headers: { accept: 'application/json, */*' }, signal });
        // A body that is given up tells of it by an event, which would end the process if nobody listened.
        body.on('error', () => undefined);
        if (statusCode !== 200) {
          body.destroy();
          throw fault(`answered ${statusCode}`, url);
        }
        const pieces: Uint8Array[] = [];
        let bytes = 0;
        for await (const piece of body as AsyncIterable<Uint8Array>) {
          bytes += piece.length;
          if (bytes > MAX_BYTES) throw fault(`is larger than ${MAX_BYTES} bytes`, url);
          pieces.push(piece);
        }
        const type = headers['content-type'];
        return {
          contentType: typeof type === 'string' ? type : 'application/octet-stream',
          bytes: Buffer.concat(pieces),
          maxAgeMs: maxAgeOf(String(headers['cache-control'] ?? '')),
        };
      } catch (error) {
        if (error instanceof Fault) throw error;
        throw signal.aborted
          ? fault('did not answer in time', url, { code: 'upstream_timeout', cause: error })
          : fault('cannot be reached', url, { cause: error });
      }
    },
  };
}

/** How long a `Cache-Control` lets an answer be kept; null where it says nothing of it. */
function maxAgeOf(cacheControl: string): number | null {
  if (NOT_KEPT.test(cacheControl)) return 0;
  const age = MAX_AGE.exec(cacheControl)?.[1];
  return age === undefined ? null : Number(age) * 1000;
}

const fault = (what: string, url: string, more: { readonly code?: 'upstream_timeout'; readonly cause?: unknown } = {}): Fault =>
  new Fault({
    code: more.code ?? 'upstream_failed',
    message: `the attestation at ${url} ${what}`,
    publicMessage: 'The attestation of the enclave cannot be had at the moment.',
    cause: more.cause,
  });
