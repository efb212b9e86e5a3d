import { enclaveUrlOf } from '../../core/sealed/enclaves.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import { ENCLAVE_URL_HEADER } from '../../core/sealed/protocol.ts';
import type { AttestationBundle, AttestationSource } from '../../ports/attestation-source.ts';
import type { Log } from '../../ports/log.ts';
import type { Catalogue } from '../directory/catalogue.ts';

/** How long a bundle is kept whose source does not say, and how long at least and at most whatever it says. */
const USUAL_AGE_MS = 60_000;
const LEAST_AGE_MS = 5000;
const MOST_AGE_MS = 3_600_000;
/** How long one that cannot be fetched anew is told beyond its time. Its client verifies it, and knows whether it is too old. */
const STALE_MS = 600_000;

/** What enclaves are verified by. */
export interface Attestations {
  /**
   * The bundle of the upstream at `enclaveUrl`; null names the only one there is. Rejects: `invalid_request` (the header: no such enclave, or
   * several to choose from), `not_found` (none is declared for it). Throws a `Fault` where its source does not answer and nothing young is kept.
   */
  bundle(enclaveUrl: string | null): Promise<Outcome<AttestationBundle>>;
}

interface Kept {
  readonly bundle: AttestationBundle;
  readonly freshUntilMs: number;
}

/** Makes the {@link Attestations}: what was fetched is kept for as long as its source says, and fetched once however many ask. */
export function makeAttestations(deps: {
  readonly directory: { readonly catalogue: Pick<Catalogue, 'sealedUpstreams'>; readonly refresh: () => Promise<void> };
  readonly source: AttestationSource;
  /** A clock that never goes back, for measuring lengths only. */
  readonly elapsedMs: () => number;
  readonly log: Log;
}): Attestations {
  const { directory, source, elapsedMs, log } = deps;
  const kept = new Map<string, Kept>();
  const fetching = new Map<string, Promise<Kept>>();

  const fetchAnew = async (url: string): Promise<Kept> => {
    const bundle = await source.fetch(url);
    const ageMs = Math.min(Math.max(bundle.maxAgeMs ?? USUAL_AGE_MS, LEAST_AGE_MS), MOST_AGE_MS);
    const next = { bundle, freshUntilMs: elapsedMs() + ageMs };
    kept.set(url, next);
    return next;
  };

  const fetchOnce = (url: string): Promise<Kept> => {
    const under = fetching.get(url);
    if (under !== undefined) return under;
    const done = fetchAnew(url).finally(() => fetching.delete(url));
    fetching.set(url, done);
    return done;
  };

  const read = async (url: string): Promise<AttestationBundle> => {
    const known = kept.get(url);
    if (known !== undefined && elapsedMs() < known.freshUntilMs) return known.bundle;
    try {
      return (await fetchOnce(url)).bundle;
    } catch (error) {
      if (known === undefined || elapsedMs() >= known.freshUntilMs + STALE_MS) throw error;
      log.warn({ err: error }, 'an attestation cannot be fetched; the one before is told');
      return known.bundle;
    }
  };

  return {
    bundle: async (enclaveUrl) => {
      await directory.refresh();
      const upstreams = directory.catalogue.sealedUpstreams();
      const urls = new Set(upstreams.flatMap(({ sealed }) => sealed?.attestationUrl ?? []));
      // What is declared no longer is kept no longer.
      for (const url of kept.keys()) if (!urls.has(url)) kept.delete(url);
      if (enclaveUrl === null) {
        const [only, ...others] = urls;
        if (only === undefined) return rejected({ code: 'not_found', message: 'no enclave with an attestation is declared' });
        if (others.length > 0) return refuse('must be sent: there are several enclaves with attestations of their own');
        return accepted(await read(only));
      }
      const named = upstreams.filter(({ sealed }) => sealed?.enclaveUrls.includes(enclaveUrlOf(enclaveUrl)) === true);
      if (named.length === 0) return refuse('must be exactly the address of an enclave that this server relays to');
      const url = named.flatMap(({ sealed }) => sealed?.attestationUrl ?? [])[0];
      if (url === undefined) return rejected({ code: 'not_found', message: 'no attestation is declared for this enclave' });
      return accepted(await read(url));
    },
  };
}

const refuse = (rule: string): Outcome<never> =>
  rejected({ code: 'invalid_request', message: `${ENCLAVE_URL_HEADER} ${rule}`, field: ENCLAVE_URL_HEADER });
