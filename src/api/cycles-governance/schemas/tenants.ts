import Type, { type Static } from 'typebox';
import { closed, Moment, oneOf, patterned, text, textMap, whole } from '../../_shared/cycles-fields.ts';
import { CommitOveragePolicy } from '../../_shared/cycles-schemas.ts';
import { pageEnd, TENANT_STATUSES } from './common.ts';

const MAX_TTL_MS = 86_400_000;
const NAME = text({ max: 256 });
const Ttl = Type.Optional(whole(1000, MAX_TTL_MS));
const ExpiryPolicy = Type.Optional(oneOf(['AUTO_RELEASE', 'MANUAL_CLEANUP', 'GRACE_ONLY']));
const TenantMetadata = Type.Optional(textMap({ maxProperties: 32 }));

const defaults = {
  default_commit_overage_policy: Type.Optional(CommitOveragePolicy),
  default_reservation_ttl_ms: Ttl,
  max_reservation_ttl_ms: Ttl,
  max_reservation_extensions: Type.Optional(whole(0)),
};

/** A tenant, in answers. Source: Cycles governance, `Tenant`. */
export const CyclesTenant = closed(
  {
    tenant_id: Type.String(),
    name: NAME,
    status: oneOf(TENANT_STATUSES),
    parent_tenant_id: Type.Optional(Type.String()),
    ...defaults,
    reservation_expiry_policy: ExpiryPolicy,
    metadata: TenantMetadata,
    created_at: Moment,
    updated_at: Type.Optional(Moment),
    suspended_at: Type.Optional(Moment),
    closed_at: Type.Optional(Moment),
  },
  'CyclesTenant',
);
export type CyclesTenant = Static<typeof CyclesTenant>;

/** Body of `POST /v1/admin/tenants`. The admin guide also sends `status: ACTIVE`. Source: Cycles governance, `TenantCreateRequest`. */
export const TenantCreateRequest = closed(
  {
    tenant_id: patterned('^[a-z0-9-]+$', '3 to 64 lower-case letters, digits and hyphens', { minLength: 3, maxLength: 64 }),
    name: NAME,
    status: Type.Optional(oneOf(['ACTIVE'])),
    parent_tenant_id: Type.Optional(text()),
    metadata: TenantMetadata,
    ...defaults,
    reservation_expiry_policy: ExpiryPolicy,
  },
  'TenantCreateRequest',
);
export type TenantCreateRequest = Static<typeof TenantCreateRequest>;

/** Body of `PATCH /v1/admin/tenants/{id}`. Source: Cycles governance, `updateTenant`. */
export const TenantUpdateRequest = closed(
  {
    name: Type.Optional(NAME),
    status: Type.Optional(oneOf(TENANT_STATUSES)),
    metadata: TenantMetadata,
    ...defaults,
  },
  'TenantUpdateRequest',
);
export type TenantUpdateRequest = Static<typeof TenantUpdateRequest>;

/** Answer of `GET /v1/admin/tenants`. Source: Cycles governance, `TenantListResponse`. */
export const TenantListResponse = closed({ tenants: Type.Array(CyclesTenant), ...pageEnd }, 'TenantListResponse');
