import { createHmac, timingSafeEqual } from 'node:crypto';

/** A row of the trail that was forgotten; one from before there was a chain has no place in it. */
export interface GoneRow {
  readonly tenantId: string;
  readonly no: number | null;
  readonly previous: string | null;
  readonly hash: string | null;
}

/** Where a tenant's chain begins once older rows were forgotten: the last of them, 0 being those from before there was a chain. */
export interface Checkpoint {
  readonly prunedNo: number;
  readonly prunedHash: string;
  /** HMAC-SHA256 over tenant, place and hash under the server's secret, in hex; null where nobody vouches for it. */
  readonly prunedMac: string | null;
}

/** What one step of forgetting took from one tenant's trail. `first` and `last` are rows of the chain, `count` how many of these went. */
interface Cut {
  first: { readonly no: number; readonly previous: string } | null;
  last: { readonly no: number; readonly hash: string } | null;
  count: number;
}

/** The signature of a checkpoint. */
const checkpointMac = (secret: string, tenantId: string, { prunedNo, prunedHash }: Omit<Checkpoint, 'prunedMac'>): string =>
  createHmac('sha256', secret)
    .update(JSON.stringify(['checkpoint', tenantId, prunedNo, prunedHash]))
    .digest('hex');

/** Whether a checkpoint was signed under `secret`. */
export function isSigned(secret: string, tenantId: string, checkpoint: Checkpoint): boolean {
  const expected = Buffer.from(checkpointMac(secret, tenantId, checkpoint));
  const found = Buffer.from(checkpoint.prunedMac ?? '');
  return found.length === expected.length && timingSafeEqual(found, expected);
}

/** What went, by tenant. The rows may come in any order. */
export function cutsOf(gone: Iterable<GoneRow>): Map<string, Cut> {
  const cuts = new Map<string, Cut>();
  for (const { tenantId, no, previous, hash } of gone) {
    const cut = cuts.get(tenantId) ?? { first: null, last: null, count: 0 };
    cuts.set(tenantId, cut);
    if (no === null) continue;
    cut.count += 1;
    if (cut.first === null || no < cut.first.no) cut.first = { no, previous: previous ?? '' };
    if (cut.last === null || no > cut.last.no) cut.last = { no, hash: hash ?? '' };
  }
  return cuts;
}

/**
 * The checkpoint after a cut; null where the one before says as much. `before` is the one before, and `begin` what the chain's first row is
 * linked to, for a cut that took no row of the chain itself.
 *
 * It is signed only where what went begins where the chain did and has no gap: whoever dropped rows, or wrote a checkpoint of their own,
 * is not helped by the next cut.
 */
export function checkpointAfter(
  tenantId: string,
  { first, last, count }: Cut,
  known: { readonly before: Checkpoint | null; readonly begin: string; readonly secret: string | null },
): Checkpoint | null {
  const { before, begin, secret } = known;
  const prunedNo = last?.no ?? 0;
  if (before !== null && before.prunedNo >= prunedNo) return null;
  const next = { prunedNo, prunedHash: last?.hash ?? begin };
  const startedAt = before?.prunedNo ?? 0;
  const follows =
    (before === null || (secret !== null && isSigned(secret, tenantId, before))) &&
    (first === null || (first.no === startedAt + 1 && (before === null || first.previous === before.prunedHash))) &&
    (last === null || count === last.no - startedAt);
  return { ...next, prunedMac: secret !== null && follows ? checkpointMac(secret, tenantId, next) : null };
}
