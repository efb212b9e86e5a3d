/**
 * What makes the address of a bill's page unguessable: 256 bits that only this server can make, for each version of each bill's link.
 * None of them is kept.
 */
export interface BillTokens {
  /** The token of a version of a bill's link, in characters that stand in an address as they are. */
  tokenOf(billId: string, version: number): string;
  /** Whether `given` is that token; the same work whatever was given. */
  isToken(given: string, billId: string, version: number): boolean;
}
