import Type, { type Static } from 'typebox';
import { closed, Flag, Moment, oneOf, text, Texts } from '../../_shared/cycles-fields.ts';
import { PermissionName } from './common.ts';

/** Body of `POST /v1/auth/validate`. Source: Cycles governance, `ApiKeyValidationRequest`. */
export const ApiKeyValidationRequest = closed({ key_secret: text() }, 'ApiKeyValidationRequest');
export type ApiKeyValidationRequest = Static<typeof ApiKeyValidationRequest>;

/** Answer of `POST /v1/auth/validate`; `tenant_id` is empty where nobody knows it. Source: Cycles governance, `ApiKeyValidationResponse`. */
export const ApiKeyValidationResponse = closed(
  {
    valid: Flag,
    tenant_id: Type.String(),
    key_id: Type.Optional(Type.String()),
    permissions: Type.Optional(Type.Array(PermissionName)),
    scope_filter: Type.Optional(Texts),
    expires_at: Type.Optional(Moment),
    reason: Type.Optional(Type.String()),
  },
  'ApiKeyValidationResponse',
);
export type ApiKeyValidationResponse = Static<typeof ApiKeyValidationResponse>;

/** Answer of `GET /v1/auth/introspect`; every capability is told, also those that are not there. Source: Cycles governance, `AuthIntrospectResponse`. */
export const AuthIntrospectResponse = closed(
  {
    authenticated: Flag,
    auth_type: oneOf(['admin', 'tenant']),
    permissions: Texts,
    capabilities: closed({
      view_overview: Flag,
      view_budgets: Flag,
      view_events: Flag,
      view_webhooks: Flag,
      view_audit: Flag,
      view_tenants: Flag,
      view_api_keys: Flag,
      view_policies: Flag,
      view_reservations: Flag,
      manage_budgets: Flag,
      manage_policies: Flag,
      manage_webhooks: Flag,
      manage_tenants: Flag,
      manage_api_keys: Flag,
      manage_reservations: Flag,
    }),
    tenant_id: Type.Optional(Type.String()),
    scope_filter: Type.Optional(Texts),
  },
  'AuthIntrospectResponse',
);
export type AuthIntrospectResponse = Static<typeof AuthIntrospectResponse>;
