import { createHmac, timingSafeEqual } from 'node:crypto';
import type { BillTokens } from '../../ports/bill-tokens.ts';

/** Tokens that are HMAC-SHA256 under a secret of their own, made of the key table's. */
export function makeBillTokens(keyHashSecret: Uint8Array): BillTokens {
  const secret = createHmac('sha256', keyHashSecret).update('castellan links to bills').digest();
  const macOf = (text: string): Buffer => createHmac('sha256', secret).update(text, 'utf8').digest();
  const tokenOf = (billId: string, version: number): string => macOf(`link:${billId}:${version}`).toString('base64url');
  return {
    tokenOf,
    // Hashed once more, so that both are of one length whatever was given.
    isToken: (given, billId, version) => timingSafeEqual(macOf(`given:${given}`), macOf(`given:${tokenOf(billId, version)}`)),
  };
}
