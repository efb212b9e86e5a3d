import Type, { type Static } from 'typebox';
import { closed, listOf, Metadata, Moment, oneOf, text, Texts } from '../../_shared/cycles-fields.ts';
import { KEY_STATUSES, pageEnd, PermissionName } from './common.ts';

const Name = text({ max: 256 });
const Description = Type.Optional(text({ max: 1024 }));
const Permissions = Type.Optional(listOf(PermissionName, 'a list of permissions'));
const ScopeFilter = Type.Optional(Texts);

/** A tenant's key, in answers: never its value. Source: Cycles governance, `ApiKey`. */
export const CyclesKey = closed(
  {
    key_id: Type.String(),
    tenant_id: Type.String(),
    key_prefix: Type.String(),
    name: Type.Optional(Name),
    description: Description,
    permissions: Permissions,
    scope_filter: ScopeFilter,
    status: oneOf(KEY_STATUSES),
    created_at: Moment,
    last_used_at: Type.Optional(Moment),
    expires_at: Moment,
    revoked_at: Type.Optional(Moment),
    revoked_reason: Type.Optional(text({ max: 512 })),
    metadata: Type.Optional(Metadata),
  },
  'CyclesKey',
);
export type CyclesKey = Static<typeof CyclesKey>;

/** Body of `POST /v1/admin/api-keys`. Source: Cycles governance, `ApiKeyCreateRequest`. */
export const ApiKeyCreateRequest = closed(
  {
    tenant_id: text(),
    name: Name,
    description: Description,
    permissions: Permissions,
    scope_filter: ScopeFilter,
    expires_at: Type.Optional(Moment),
    metadata: Type.Optional(Metadata),
  },
  'ApiKeyCreateRequest',
);
export type ApiKeyCreateRequest = Static<typeof ApiKeyCreateRequest>;

/** Body of `PATCH /v1/admin/api-keys/{id}`. Source: Cycles governance, `updateApiKey`. */
export const ApiKeyUpdateRequest = closed(
  {
    name: Type.Optional(Name),
    description: Description,
    permissions: Permissions,
    scope_filter: ScopeFilter,
    metadata: Type.Optional(Metadata),
  },
  'ApiKeyUpdateRequest',
);
export type ApiKeyUpdateRequest = Static<typeof ApiKeyUpdateRequest>;

/** Answer of `POST /v1/admin/api-keys`: the one that holds the key. Source: Cycles governance, `ApiKeyCreateResponse`. */
export const ApiKeyCreateResponse = closed(
  {
    key_id: Type.String(),
    key_secret: Type.String(),
    key_prefix: Type.String(),
    tenant_id: Type.String(),
    permissions: Permissions,
    created_at: Moment,
    expires_at: Moment,
  },
  'ApiKeyCreateResponse',
);
export type ApiKeyCreateResponse = Static<typeof ApiKeyCreateResponse>;

/** Answer of `GET /v1/admin/api-keys`. Source: Cycles governance, `ApiKeyListResponse`. */
export const ApiKeyListResponse = closed({ keys: Type.Array(CyclesKey), ...pageEnd }, 'ApiKeyListResponse');
