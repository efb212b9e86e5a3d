import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** What a reporter signs. `path` as it stands in the request, without its query; `timestamp` and `nonce` as their headers have them. */
export interface SignedReport {
  readonly method: string;
  readonly path: string;
  readonly reporterId: string;
  readonly timestamp: string;
  readonly nonce: string;
  readonly body: Uint8Array;
}

/** The six lines that are signed. Source: Tinfoil reference section 5, "Usage reports". */
const canonicalOf = ({ method, path, reporterId, timestamp, nonce, body }: SignedReport): string =>
  [method, path === '' ? '/' : path, reporterId, timestamp, nonce, createHash('sha256').update(body).digest('hex')].join('\n');

/** The signature of a report under `secret`: HMAC-SHA256 in lower-case hex. */
export const signReport = (report: SignedReport, secret: string): string =>
  createHmac('sha256', secret).update(canonicalOf(report)).digest('hex');

/** Whether `signature` was made with one of `secrets`, in a time that tells nothing about where it differs. */
export function isSignedBy(secrets: readonly string[], report: SignedReport, signature: string): boolean {
  const given = Buffer.from(signature, 'latin1');
  let isGood = false;
  // Each secret is tried, whichever fits.
  for (const secret of secrets) {
    const right = Buffer.from(signReport(report, secret), 'latin1');
    if (given.length === right.length && timingSafeEqual(given, right)) isGood = true;
  }
  return isGood;
}
