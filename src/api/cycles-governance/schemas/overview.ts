import Type, { type Static, type TSchema } from 'typebox';
import { closed, Count, LongInteger, Moment, Ratio, SignedInt64 } from '../../_shared/cycles-fields.ts';
import { Unit } from '../../_shared/cycles-schemas.ts';
import { CyclesEvent } from './events.ts';

const countsOf = () => Type.Unsafe<Readonly<Record<string, number>>>(Type.Object({}, { additionalProperties: Count }));
const firstTen = <T extends TSchema>(item: T) => Type.Array(item, { maxItems: 10 });

/** Answer of `GET /v1/admin/overview`: what a dashboard shows first. Source: Cycles governance, `AdminOverviewResponse`. */
export const AdminOverviewResponse = closed(
  {
    as_of: Moment,
    event_window_seconds: Count,
    tenant_counts: closed({
      total: Count,
      active: Count,
      suspended: Count,
      closed: Count,
      in_observe_mode: Type.Optional(Count),
    }),
    budget_counts: closed({
      total: Count,
      active: Count,
      frozen: Count,
      closed: Count,
      over_limit: Count,
      with_debt: Count,
      by_unit: countsOf(),
    }),
    over_limit_scopes: firstTen(
      closed({ scope: Type.String(), unit: Unit, allocated: LongInteger, remaining: LongInteger, debt: LongInteger }),
    ),
    debt_scopes: firstTen(closed({ scope: Type.String(), unit: Unit, debt: LongInteger, overdraft_limit: LongInteger })),
    webhook_counts: closed({ total: Count, active: Count, disabled: Count, with_failures: Count }),
    failing_webhooks: firstTen(
      closed({
        subscription_id: Type.String(),
        url: Type.String(),
        consecutive_failures: Count,
        last_failure_at: Type.Optional(Moment),
      }),
    ),
    event_counts: closed({ total_recent: Count, by_category: countsOf() }),
    recent_denials: firstTen(CyclesEvent),
    recent_expiries: firstTen(CyclesEvent),
    recent_denials_by_reason: Type.Optional(countsOf()),
    quota_health: Type.Optional(
      closed({
        counters_above_80pct: Type.Optional(Count),
        counters_at_limit: Type.Optional(Count),
        top_offenders: Type.Optional(
          firstTen(
            closed({
              scope: Type.String(),
              action_kind: Type.String(),
              window: Type.Optional(Type.String()),
              used: SignedInt64,
              limit: SignedInt64,
              utilization_pct: Type.Optional(Ratio),
            }),
          ),
        ),
      }),
    ),
    access_control_stats: Type.Optional(
      closed({ policies_with_allow_list: Type.Optional(Count), policies_with_deny_list: Type.Optional(Count) }),
    ),
  },
  'AdminOverviewResponse',
);
export type AdminOverviewResponse = Static<typeof AdminOverviewResponse>;
