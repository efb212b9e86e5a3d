/**
 * A name of a tenant's own under which a container may be reached. The record's id is `tenantId/domain`; `domainId` is another one for a domain that
 * is added anew. A TXT record that holds `nonce` proves it; `cnameHash` is the label of the name that it should lead to. `verifiedAtMs`: since when it is
 * proved, null: it is not. `checkedAtMs`: when DNS last told of it. `missingSinceMs`: since when the record of a domain that is verified is not found.
 */
export interface Domain {
  readonly id: string;
  readonly domainId: string;
  readonly tenantId: string;
  readonly domain: string;
  readonly nonce: string;
  readonly cnameHash: string;
  readonly verifiedAtMs: number | null;
  readonly checkedAtMs: number | null;
  readonly missingSinceMs: number | null;
  readonly createdAtMs: number;
}

/** The one tenant that may have a domain verified. The record's id is the domain. */
export interface DomainClaim {
  readonly id: string;
  readonly tenantId: string;
}

/** The record id of a tenant's domain. */
export const domainRecordId = (tenantId: string, domain: string): string => `${tenantId}/${domain}`;
