/** What an enclave is verified by, as its source tells it; nothing of it is read here. `maxAgeMs`: how long it may be kept, null where it does not say. */
export interface AttestationBundle {
  readonly contentType: string;
  readonly bytes: Uint8Array;
  readonly maxAgeMs: number | null;
}

/** Where bundles come from. */
export interface AttestationSource {
  /** Fetches a bundle from exactly that address. Throws a `Fault` (`upstream_failed`, `upstream_timeout`) where it cannot be had. */
  fetch(url: string): Promise<AttestationBundle>;
}
