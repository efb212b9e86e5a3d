import type { AuditQuery, StoredAudit } from '../core/audit/audit-query.ts';
import type { ChainEnd, PlaceState } from './audit-trail.ts';

/** The reads of the audit trail. */
export interface AuditReads {
  /**
   * Rows of the trail in order, at most `limit`. By the index of what narrows the list most: audit_of_request, audit_of_trace, audit_by_thing,
   * audit_by_actor, audit_by_error, audit_by_status, audit_by_operation, audit_by_kind, audit_by_tenant; else of the order.
   */
  auditPage(query: AuditQuery): Promise<StoredAudit[]>;
  /** Where the tenants' chains end, in the order of their ids and from behind `afterTenantId`, at most `limit`. Index: audit_heads_pkey. */
  auditHeads(query: { readonly afterTenantId: string; readonly limit: number }): Promise<ChainEnd[]>;
  /** What became of these ends of chains, in their order. Indexes: audit_chain, audit_heads_pkey. */
  auditPlaces(ends: readonly ChainEnd[]): Promise<PlaceState[]>;
}
