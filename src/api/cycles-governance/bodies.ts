import Type, { type TProperties } from 'typebox';
import { GUIDE_PERMISSIONS, PERMISSIONS } from '../../core/cycles/permissions.ts';
import { JsonObject } from '../_shared/validation.ts';

const rule = (text: string): { rule: string } => ({ rule: text });

const strict = <P extends TProperties>(properties: P) => Type.Object(properties, { additionalProperties: false });

const oneOf = <T extends string>(values: readonly T[]) =>
  Type.Union(
    values.map((value) => Type.Literal(value)),
    rule(`one of ${values.join(', ')}`),
  );

const Text = Type.String(rule('a string'));
const Name = Type.String({ ...rule('a string of at most 256 characters'), maxLength: 256 });
const Ttl = Type.Integer({ ...rule('a whole number from 1000 to 86400000'), minimum: 1000, maximum: 86_400_000 });
const Status = oneOf(['ACTIVE', 'SUSPENDED', 'CLOSED'] as const);
const Pairs = Type.Record(Type.String(), Type.String(), { ...rule('an object of at most 32 strings'), maxProperties: 32 });

const tenantSettings = {
  metadata: Type.Optional(Pairs),
  default_commit_overage_policy: Type.Optional(oneOf(['REJECT', 'ALLOW_IF_AVAILABLE', 'ALLOW_WITH_OVERDRAFT'] as const)),
  default_reservation_ttl_ms: Type.Optional(Ttl),
  max_reservation_ttl_ms: Type.Optional(Ttl),
  max_reservation_extensions: Type.Optional(Type.Integer({ ...rule('a whole number that is at least 0'), minimum: 0 })),
};

/** Body of `POST /v1/admin/tenants`. The admin guide also sends the status that every new tenant has. */
export const CreateTenantBody = strict({
  tenant_id: Type.String({
    ...rule('3 to 64 lower-case letters, digits and hyphens'),
    pattern: '^[a-z0-9-]+$',
    minLength: 3,
    maxLength: 64,
  }),
  name: Name,
  parent_tenant_id: Type.Optional(Text),
  status: Type.Optional(Type.Literal('ACTIVE', rule('ACTIVE, as every new tenant is'))),
  reservation_expiry_policy: Type.Optional(oneOf(['AUTO_RELEASE', 'MANUAL_CLEANUP', 'GRACE_ONLY'] as const)),
  ...tenantSettings,
});

/** Body of `PATCH /v1/admin/tenants/{id}`. */
export const UpdateTenantBody = strict({ name: Type.Optional(Name), status: Type.Optional(Status), ...tenantSettings });

/** Body of `POST /v1/admin/tenants/bulk-action`. */
export const BulkTenantsBody = strict({
  filter: Type.Object(
    {
      status: Type.Optional(Status),
      parent_tenant_id: Type.Optional(Text),
      observe_mode: Type.Optional(Text),
      search: Type.Optional(Type.String({ ...rule('a string of at most 128 characters'), maxLength: 128 })),
    },
    { additionalProperties: false, minProperties: 1, ...rule('an object with at least one filter') },
  ),
  action: oneOf(['SUSPEND', 'REACTIVATE', 'CLOSE'] as const),
  expected_count: Type.Optional(Type.Integer({ ...rule('a whole number that is at least 0'), minimum: 0 })),
  idempotency_key: Type.String({ ...rule('a string of 1 to 128 characters'), minLength: 1, maxLength: 128 }),
});

const Permissions = Type.Array(oneOf([...PERMISSIONS, ...GUIDE_PERMISSIONS]), rule('a list of permissions such as reservations:create'));
const ScopeFilter = Type.Array(Type.String(), rule('a list of strings such as workspace:eng'));
const Description = Type.String({ ...rule('a string of at most 1024 characters'), maxLength: 1024 });

const keyFields = {
  description: Type.Optional(Description),
  permissions: Type.Optional(Permissions),
  scope_filter: Type.Optional(ScopeFilter),
  metadata: Type.Optional(JsonObject),
};

/** Body of `POST /v1/admin/api-keys`. */
export const CreateApiKeyBody = strict({ tenant_id: Text, name: Name, expires_at: Type.Optional(Text), ...keyFields });

/** Body of `PATCH /v1/admin/api-keys/{id}`. */
export const UpdateApiKeyBody = strict({ name: Type.Optional(Name), ...keyFields });

/** Body of `POST /v1/auth/validate`. */
export const ValidateKeyBody = strict({ key_secret: Text });
