import type { UpstreamObject } from '../../core/calls/upstream-object.ts';

/** The columns of an object that an upstream keeps, in the order of {@link objectValues}. The first two are its key. */
export const OBJECT_COLUMNS = ['tenant_id', 'id', 'upstream_id', 'model', 'tokens', 'at_ms'] as const;

/** A row as both drivers give it: integers as bigints or numbers. */
export interface ObjectRow {
  readonly tenant_id: string;
  readonly id: string;
  readonly upstream_id: string;
  readonly model: string;
  readonly tokens: bigint | number | null;
  readonly at_ms: bigint | number;
}

/** The row of an object. */
export const objectValues = (object: UpstreamObject): (string | number | null)[] => [
  object.tenantId,
  object.id,
  object.upstreamId,
  object.model,
  object.tokens,
  object.atMs,
];

/** The object of a row. */
export const objectFromRow = (row: ObjectRow): UpstreamObject => ({
  tenantId: row.tenant_id,
  id: row.id,
  upstreamId: row.upstream_id,
  model: row.model,
  tokens: row.tokens === null ? null : Number(row.tokens),
  atMs: Number(row.at_ms),
});
