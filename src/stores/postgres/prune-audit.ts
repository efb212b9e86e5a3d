import { checkpointAfter, cutsOf, type GoneRow } from '../_shared/audit-cut.ts';
import { arrayText } from './columns.ts';
import type { Reader } from './reader.ts';

/** One node forgets of the trail at a time; the others find nothing to do meanwhile. */
const AUDIT_PRUNE_LOCK = 0x7e4e;

/** Rows of one transaction, so that none holds its locks for long. */
const CHUNK_ROWS = 10_000;

// Of the oldest rows of the trail, those before the first that stays: what is left has no gap. Index: audit_pkey.
const DELETE_OLDEST = `
  WITH oldest AS (SELECT seq, at_ms FROM audit ORDER BY seq LIMIT ${CHUNK_ROWS})
  DELETE FROM audit WHERE seq = ANY (ARRAY(
    SELECT seq FROM oldest WHERE seq < coalesce((SELECT min(seq) FROM oldest WHERE at_ms >= $1::bigint), (SELECT max(seq) + 1 FROM oldest))))
  RETURNING tenant_id, no, previous, hash`;

// In the order in which batches lock them. Indexes: audit_heads_pkey, audit_chain.
const LOCK_HEADS = `
  SELECT h.tenant_id, h.pruned_no, h.pruned_hash, h.pruned_mac,
         (SELECT previous FROM audit a WHERE a.tenant_id = h.tenant_id AND a.no = 1) AS begin
  FROM audit_heads h WHERE h.tenant_id = ANY ($1::text[]) ORDER BY h.tenant_id FOR UPDATE`;

const KEEP = 'UPDATE audit_heads SET pruned_no = $2::bigint, pruned_hash = $3, pruned_mac = $4 WHERE tenant_id = $1';

interface GoneLine {
  readonly tenant_id: string;
  readonly no: bigint | null;
  readonly previous: string | null;
  readonly hash: string | null;
}

interface HeadLine {
  readonly tenant_id: string;
  readonly pruned_no: bigint | null;
  readonly pruned_hash: string | null;
  readonly pruned_mac: string | null;
  readonly begin: string | null;
}

const goneRow = ({ tenant_id: tenantId, no, previous, hash }: GoneLine): GoneRow => ({
  tenantId,
  no: no === null ? null : Number(no),
  previous,
  hash,
});

/** Forgets a chunk, and keeps with the heads of its chains what they begin with from then on; returns the number of rows. */
function pruneChunk(reader: Reader, { beforeMs, secret }: { readonly beforeMs: number; readonly secret: string | null }): Promise<number> {
  return reader.transaction('BEGIN', async (query) => {
    const [lock] = await query('SELECT pg_try_advisory_xact_lock($1) AS taken', [AUDIT_PRUNE_LOCK]);
    if (lock?.['taken'] !== true) return 0;
    const gone = (await query(DELETE_OLDEST, [beforeMs])) as unknown as GoneLine[];
    if (gone.length === 0) return 0;
    const cuts = cutsOf(gone.map(goneRow));
    for (const head of (await query(LOCK_HEADS, [arrayText([...cuts.keys()])])) as unknown as HeadLine[]) {
      const { tenant_id: tenantId, pruned_no: no, pruned_hash: hash, pruned_mac: prunedMac } = head;
      const cut = cuts.get(tenantId);
      if (cut === undefined) continue;
      const before = no === null ? null : { prunedNo: Number(no), prunedHash: hash ?? '', prunedMac };
      const next = checkpointAfter(tenantId, cut, { before, begin: head.begin ?? '', secret });
      if (next !== null) await query(KEEP, [tenantId, next.prunedNo, next.prunedHash, next.prunedMac]);
    }
    return gone.length;
  });
}

/** Forgets what of the trail is from before `beforeMs`, the oldest first, a chunk at a time; returns the number of rows. */
export async function pruneAudit(
  reader: Reader,
  { isStopping, ...how }: { readonly beforeMs: number; readonly isStopping: () => boolean; readonly secret: string | null },
): Promise<number> {
  let total = 0;
  while (!isStopping()) {
    const removed = await pruneChunk(reader, how);
    total += removed;
    if (removed < CHUNK_ROWS) break;
  }
  return total;
}
