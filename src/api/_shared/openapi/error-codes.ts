import { REJECTIONS, type RejectionCode } from '../../../core/rejection.ts';
import type { TransportCode } from '../problem.ts';
import type { ErrorCode } from './operation.ts';

/** What the problems that no rejection is mean to a caller. */
const TRANSPORT_MEANINGS: Readonly<Record<TransportCode, string>> = {
  bad_url: 'The address holds a percent escape that stands for no character.',
  bad_request: 'The request cannot be read.',
  malformed_body: 'The body is no JSON, or holds a key or a nesting that is not taken.',
  doubled_header: 'A header that must come once came twice.',
  foreign_origin: 'A page from elsewhere asked.',
  route_not_found: 'There is nothing under this address.',
  method_not_allowed: 'The address takes other methods; `Allow` names them.',
  request_timeout: 'The request did not arrive in time.',
  too_many_requests: 'This address asked too often; `Retry-After` says when to go on.',
  body_too_large: 'The body is larger than this server takes.',
  unsupported_media_type: 'The body is not what the route takes (JSON in UTF-8, or the form that it asks for), sent without compression.',
  misdirected: 'The request was meant for another host.',
  internal: 'A fault of ours.',
  upstream_failed: 'The model could not be reached, or broke off.',
  upstream_timeout: 'The model did not answer in time.',
  overloaded: 'The server is busy; nothing happened.',
  store_unavailable: 'The database does not answer; nothing happened, or nobody knows.',
};

/**
 * The codes of a surface's errors, by status, from the very map that its answers are made by. `wireOf` says what a problem becomes there;
 * several problems of one code are told together.
 */
export function errorCodes(
  wireOf: (code: RejectionCode | TransportCode) => { readonly status: number; readonly code: string },
): ErrorCode[] {
  const meanings = { ...REJECTIONS, ...TRANSPORT_MEANINGS };
  const found = new Map<string, ErrorCode>();
  for (const [problem, meaning] of Object.entries(meanings)) {
    const { status, code } = wireOf(problem as RejectionCode | TransportCode);
    const key = `${status} ${code}`;
    const known = found.get(key);
    found.set(key, { status, code, meaning: known === undefined ? meaning : `${known.meaning} ${meaning}` });
  }
  return [...found.values()].toSorted((a, b) => a.status - b.status || a.code.localeCompare(b.code));
}
