import { baseUrlFault } from '../access/base-url.ts';
import type { SealedUpstream } from '../records.ts';

/** The largest output ceiling that can be declared. */
export const MAX_SEALED_OUTPUT_TOKENS = 1_000_000_000;
/** More addresses than this are a mistake. */
const MAX_ENCLAVES = 64;

/** What breaks a rule: the field below `sealed`, and words that complete "must ...". */
export interface SealedFault {
  readonly field: 'enclave_urls' | 'attestation_url' | 'max_output_tokens';
  readonly rule: string;
}

/** The first rule that a declaration of a sealed upstream breaks; null where it breaks none. */
export function sealedFault({ enclaveUrls, attestationUrl, maxOutputTokens }: SealedUpstream): SealedFault | null {
  const ofUrls = (rule: string): SealedFault => ({ field: 'enclave_urls', rule });
  if (enclaveUrls.length === 0) return ofUrls('list at least one address');
  if (enclaveUrls.length > MAX_ENCLAVES) return ofUrls(`list at most ${MAX_ENCLAVES} addresses`);
  for (const url of enclaveUrls) {
    const fault = baseUrlFault(url);
    if (fault !== null) return ofUrls(fault);
  }
  if (new Set(enclaveUrls.map(enclaveUrlOf)).size < enclaveUrls.length) return ofUrls('list each address once');
  const attestationFault = attestationUrl === null ? null : baseUrlFault(attestationUrl);
  if (attestationFault !== null) return { field: 'attestation_url', rule: attestationFault };
  const isCeiling =
    maxOutputTokens === null || (Number.isInteger(maxOutputTokens) && maxOutputTokens >= 1 && maxOutputTokens <= MAX_SEALED_OUTPUT_TOKENS);
  return isCeiling ? null : { field: 'max_output_tokens', rule: `be a whole number from 1 to ${MAX_SEALED_OUTPUT_TOKENS}` };
}

/** An enclave's address as it is compared: without slashes at its end. Nothing else is made equal, so that only what was declared is named. */
export const enclaveUrlOf = (text: string): string => text.replace(/\/+$/, '');
