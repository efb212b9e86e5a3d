import Type, { type Static } from 'typebox';
import { closed, Moment, oneOf, text, whole } from '../../_shared/cycles-fields.ts';
import { Caps, CommitOveragePolicy } from '../../_shared/cycles-schemas.ts';
import { pageEnd } from './common.ts';

/** The states of a policy. Source: Cycles governance, `Policy.status`. */
export const POLICY_STATUSES = ['ACTIVE', 'DISABLED'] as const;

const Name = text({ max: 256 });
const Description = Type.Optional(text({ max: 1024 }));
const Ttl = Type.Optional(whole(1000, 86_400_000));

/** How long a policy lets reservations live. Source: Cycles governance, `ReservationTtlOverride`. */
const ReservationTtlOverride = closed(
  { default_ttl_ms: Ttl, max_ttl_ms: Ttl, max_extensions: Type.Optional(whole(0)) },
  'ReservationTtlOverride',
);

/** How often a policy lets reserve and commit. Source: Cycles governance, `RateLimits`. */
const RateLimits = closed(
  { max_reservations_per_minute: Type.Optional(whole(1)), max_commits_per_minute: Type.Optional(whole(1)) },
  'RateLimits',
);

const rules = {
  caps: Type.Optional(Caps),
  commit_overage_policy: Type.Optional(CommitOveragePolicy),
  reservation_ttl_override: Type.Optional(ReservationTtlOverride),
  rate_limits: Type.Optional(RateLimits),
  effective_from: Type.Optional(Moment),
  effective_until: Type.Optional(Moment),
};

/** The name of `commit_overage_policy` in the admin guide. */
const guide = { overage_policy: Type.Optional(CommitOveragePolicy) };

/** A policy, in answers. Source: Cycles governance, `Policy`. */
export const Policy = closed(
  {
    policy_id: Type.String(),
    name: Type.Optional(Name),
    description: Description,
    scope_pattern: Type.String(),
    priority: Type.Optional(whole(0)),
    ...rules,
    status: oneOf(POLICY_STATUSES),
    created_at: Moment,
    updated_at: Type.Optional(Moment),
  },
  'Policy',
);
export type Policy = Static<typeof Policy>;

/** Body of `POST /v1/admin/policies`. Source: Cycles governance, `PolicyCreateRequest`. */
export const PolicyCreateRequest = closed(
  {
    tenant_id: Type.Optional(text()),
    name: Name,
    description: Description,
    scope_pattern: text(),
    priority: Type.Optional(whole(0)),
    ...rules,
    ...guide,
  },
  'PolicyCreateRequest',
);
export type PolicyCreateRequest = Static<typeof PolicyCreateRequest>;

/** Body of `PATCH /v1/admin/policies/{id}`; the pattern cannot change. Source: Cycles governance, `updatePolicy`. */
export const PolicyUpdateRequest = closed(
  {
    name: Type.Optional(Name),
    description: Description,
    priority: Type.Optional(whole(0)),
    ...rules,
    ...guide,
    status: Type.Optional(oneOf(POLICY_STATUSES)),
  },
  'PolicyUpdateRequest',
);
export type PolicyUpdateRequest = Static<typeof PolicyUpdateRequest>;

/** Answer of `GET /v1/admin/policies`. Source: Cycles governance, `PolicyListResponse`. */
export const PolicyListResponse = closed({ policies: Type.Array(Policy), ...pageEnd }, 'PolicyListResponse');
