import { createHash } from 'node:crypto';
import type { AuditEntry } from '../../core/effects.ts';
import type { TrailWitness } from '../../ports/audit-trail.ts';
import type { Discrepancy } from '../../ports/discrepancy.ts';
import { isSigned } from './audit-cut.ts';
import { AUDIT_COLUMNS, auditValues } from './journal-rows.ts';

/** The columns of a chained row: those of the row itself, then its place, the hash of the row before and its own. */
export const CHAINED_AUDIT_COLUMNS = [...AUDIT_COLUMNS, 'no', 'previous', 'hash'] as const;

/** Where a tenant's chain ends. No 0 is that of a chain without a row. */
export interface ChainHead {
  readonly no: number;
  readonly hash: string;
}

type Value = string | number | null;

/**
 * The hash of a row: SHA-256 over the canonical JSON of a list, of the hash before, the row's place and its columns in order. A list of
 * texts and integers has one canonical form (RFC 8785), and metadata counts as the text that is stored.
 */
const linkHash = (previous: string, no: number, values: readonly Value[]): string =>
  createHash('sha256')
    .update(JSON.stringify([previous, no, ...values]))
    .digest('hex');

/** What the chain of a tenant begins with: a hash over the rows from before there was one, in their order; empty where there were none. */
export function adoptedHash(rows: Iterable<readonly Value[]>): string {
  const hash = createHash('sha256');
  let count = 0;
  for (const values of rows) {
    hash.update(`${JSON.stringify(values)}\n`);
    count += 1;
  }
  return count === 0 ? '' : `adopted:${count}:${hash.digest('hex')}`;
}

/**
 * The rows of new entries with their links, and where the chains of their tenants end now. `headOf` tells where they end so far; `stored`
 * gives a text as the store keeps it, where that may differ.
 */
export function chainEntries(
  entries: readonly AuditEntry[],
  headOf: (tenantId: string) => ChainHead,
  stored: (text: string) => string = (text) => text,
): { readonly rows: readonly Value[][]; readonly heads: ReadonlyMap<string, ChainHead> } {
  const heads = new Map<string, ChainHead>();
  const rows = entries.map((entry) => {
    const values = auditValues(entry).map((value) => (typeof value === 'string' ? stored(value) : value));
    const { no: last, hash: previous } = heads.get(entry.tenantId) ?? headOf(entry.tenantId);
    const no = last + 1;
    const hash = linkHash(previous, no, values);
    heads.set(entry.tenantId, { no, hash });
    return [...values, no, previous, hash];
  });
  return { rows, heads };
}

/** A row of the trail as verification reads it: the columns in order, with what links it; null for one from before there was a chain. */
export interface TrailRow {
  readonly tenantId: string;
  readonly values: readonly Value[];
  readonly link: { readonly no: number; readonly previous: string; readonly hash: string } | null;
}

/** Where a chain ends, and begins, as the store has it. */
export interface StoredHead extends ChainHead {
  readonly tenantId: string;
  readonly prunedNo: number | null;
  readonly prunedHash: string | null;
  readonly prunedMac: string | null;
}

const NO_WITNESS: TrailWitness = { exported: [], discrepancies: [], secret: null };

const REPORTED = 100;

interface Walk {
  readonly adopted: Value[][];
  last: ChainHead | null;
}

/** The hashes that were exported, by tenant and place; of one place there may be several, where somebody wrote a chain anew. */
function byPlace({ exported }: TrailWitness): ReadonlyMap<string, ReadonlyMap<number, readonly string[]>> {
  const places = new Map<string, Map<number, string[]>>();
  for (const { tenantId, no, hash } of exported) {
    const ofTenant = places.get(tenantId) ?? new Map<number, string[]>();
    const hashes = ofTenant.get(no) ?? [];
    if (!hashes.includes(hash)) places.set(tenantId, ofTenant.set(no, [...hashes, hash]));
  }
  return places;
}

/**
 * Walks the whole trail, which is given tenant by tenant in the order of its chain, those without a link first and in the order of their
 * writing, and tells what does not fit: a row that was edited, dropped, put in, moved, or cut off at the end; and where the chains are not
 * those that a witness outside of the store knows.
 */
export class ChainCheck {
  readonly #heads: ReadonlyMap<string, StoredHead>;
  readonly #walks = new Map<string, Walk>();
  readonly #found: Discrepancy[];
  readonly #witness: TrailWitness;
  readonly #exported: ReadonlyMap<string, ReadonlyMap<number, readonly string[]>>;

  constructor(heads: readonly StoredHead[], witness: TrailWitness = NO_WITNESS) {
    this.#heads = new Map(heads.map((head) => [head.tenantId, head]));
    this.#witness = witness;
    this.#exported = byPlace(witness);
    this.#found = witness.discrepancies.slice(0, REPORTED);
  }

  #tell(check: string, subject: string, found: string, expected: string): void {
    if (this.#found.length < REPORTED) this.#found.push({ check, subject, found, expected });
  }

  row({ tenantId, values, link }: TrailRow): void {
    const walk = this.#walks.get(tenantId) ?? { adopted: [], last: null };
    this.#walks.set(tenantId, walk);
    if (link === null) {
      walk.adopted.push([...values]);
      return;
    }
    const head = this.#heads.get(tenantId);
    const before = walk.last ?? this.#begin(walk, head);
    const subject = `${tenantId} ${link.no}`;
    if (link.no !== before.no + 1) this.#tell('audit: every row has its place', subject, String(link.no), String(before.no + 1));
    else if (link.previous !== before.hash) this.#tell('audit: a row is linked to the one before', subject, link.previous, before.hash);
    const expected = linkHash(link.previous, link.no, values);
    if (link.hash !== expected) this.#tell('audit: a row is as it was written', subject, link.hash, expected);
    walk.last = { no: link.no, hash: link.hash };
    this.#compare(tenantId, walk.last);
  }

  /** Tells where another hash was exported for a place. */
  #compare(tenantId: string, { no, hash }: ChainHead): void {
    for (const exported of this.#exported.get(tenantId)?.get(no) ?? [])
      if (exported !== hash) this.#tell('audit: a chain is as it was exported', `${tenantId} ${no}`, hash, exported);
  }

  /** What comes before the first row that is there. */
  #begin(walk: Walk, head: StoredHead | undefined): ChainHead {
    if (head?.prunedNo !== undefined && head.prunedNo !== null && head.prunedNo > 0) {
      // Those from before the chain went before the first of the chain did.
      if (walk.adopted.length > 0) this.#tell('audit: every row has its place', head.tenantId, `${walk.adopted.length} without`, 'none');
      return { no: head.prunedNo, hash: head.prunedHash ?? '' };
    }
    const adopted = adoptedHash(walk.adopted);
    // What was forgotten of the rows before the chain cannot be hashed again; the rows of the chain still follow each other.
    if (head?.prunedNo === 0) return { no: 0, hash: head.prunedHash ?? adopted };
    return { no: 0, hash: adopted };
  }

  /** What was found, once every row was given. */
  end(): Discrepancy[] {
    for (const [tenantId, head] of this.#heads) {
      const last = this.#walks.get(tenantId)?.last ?? { no: head.prunedNo ?? 0, hash: head.prunedHash ?? '' };
      if (last.no !== head.no || (last.no > 0 && last.hash !== head.hash))
        this.#tell('audit: a chain ends where its head says', tenantId, `${last.no} ${last.hash}`, `${head.no} ${head.hash}`);
      this.#checkpoint(head);
    }
    for (const [tenantId, places] of this.#exported) {
      const no = this.#heads.get(tenantId)?.no ?? 0;
      const expected = places.keys().reduce((last, place) => Math.max(last, place), 0);
      if (no < expected) this.#tell('audit: a chain reaches as far as it was exported', tenantId, String(no), String(expected));
    }
    for (const [tenantId, { last }] of this.#walks) {
      if (last !== null && !this.#heads.has(tenantId)) this.#tell('audit: a chain has a head', tenantId, String(last.no), 'no row');
    }
    return this.#found;
  }

  /** Looks at where a chain was cut: nobody but this server may say so. */
  #checkpoint({ tenantId, prunedNo, prunedHash, prunedMac }: StoredHead): void {
    if (prunedNo === null) return;
    const checkpoint = { prunedNo, prunedHash: prunedHash ?? '', prunedMac };
    if (prunedNo > 0) this.#compare(tenantId, { no: prunedNo, hash: checkpoint.prunedHash });
    const { secret } = this.#witness;
    if (secret !== null && !isSigned(secret, tenantId, checkpoint))
      this.#tell(
        'audit: where a chain was cut is signed',
        `${tenantId} ${prunedNo}`,
        prunedMac ?? 'unsigned',
        'a signature of this server',
      );
  }
}
