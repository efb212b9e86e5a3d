import Type from 'typebox';
import type { BudgetRuleView } from '../../app/manage/budget-rules.ts';
import { exactNumber } from '../../core/json/int64.ts';
import { microcentsFromUsd, renderUsdMicrocents } from '../../core/pricing/usd.ts';
import { formatRfc3339, formatRfc3339OrNull } from '../../core/rfc3339.ts';
import type { BudgetReset } from '../../core/windows/decide-budget-rule.ts';
import { named, object, orNull, Timestamp } from './openapi/operation.ts';
import { RefusedRequest } from './problem.ts';

const rule = (text: string): { rule: string } => ({ rule: text });
const closed = { additionalProperties: false };
const literals = <const T extends readonly string[]>(values: T) =>
  Type.Union(
    values.map((value) => Type.Literal(value)),
    rule(`one of ${values.join(', ')}`),
  );

const Target = Type.Optional(Type.Union([Type.String(), Type.Null()], rule('a string or null')));

/** Body that sets the limit of a budget. */
export const PutBudgetBody = Type.Object(
  {
    scope: literals(['project', 'each_user', 'user', 'each_key', 'key']),
    target: Target,
    period: literals(['daily', 'weekly', 'monthly']),
    limit_usd: Type.Union([Type.Number(), Type.String()], rule('an amount in USD, such as 5 or "12.50"')),
  },
  closed,
);

/** Body of a reset by hand of a budget that the path names. */
export const ResetTargetBody = Type.Union([Type.Object({ target: Target }, closed), Type.Null()]);

/** The micro-cents of a `limit_usd`. */
export function limitOf(usd: number | string): bigint {
  const result = microcentsFromUsd(usd);
  if (result.ok) return result.microcents;
  throw new RefusedRequest({ code: 'invalid_request', message: `limit_usd must ${result.rule}`, field: 'limit_usd' });
}

const usd = (microcents: bigint): object => exactNumber(renderUsdMicrocents(microcents));

/** A budget with its windows, the same on every surface. */
export const budgetObject = ({ rule: budget, windows }: BudgetRuleView): object => ({
  id: budget.id,
  scope: budget.scope,
  target: budget.target,
  period: budget.period,
  limit_usd: usd(BigInt(budget.limitMicrocents)),
  windows: windows.map(({ target, label, spent, held, remaining, resetsAtMs, resetAtMs }) => ({
    target,
    window: label,
    spent_usd: usd(spent),
    held_usd: usd(held),
    remaining_usd: usd(remaining),
    resets_at: formatRfc3339(resetsAtMs),
    reset_at: formatRfc3339OrNull(resetAtMs),
  })),
  created_at: formatRfc3339(budget.createdAtMs),
  updated_at: formatRfc3339(budget.updatedAtMs),
});

/** What a reset by hand did. */
export const resetObject = ({ rule: budget, target, label, spentMicrocents }: BudgetReset): object => ({
  id: budget.id,
  target,
  window: label,
  spent_usd: usd(BigInt(spentMicrocents)),
});

const Usd = Type.Number({ description: 'USD, exact.' });
const Window = Type.String({ description: 'Such as `2026-11-22`, `2026-W47` or `2026-11`.' });
const WindowTarget = Type.String({ description: '`project`, or `user:` or `key:` with an id.' });

/** The description of {@link budgetObject}. */
export const WindowBudget = named(
  'WindowBudget',
  object({
    id: Type.String({ description: 'Made of scope, target and period.' }),
    scope: Type.String(),
    target: orNull(Type.String(), 'The member, or the id of the key, of the scopes `user` and `key`.'),
    period: Type.String(),
    limit_usd: Usd,
    windows: Type.Array(
      object({
        target: WindowTarget,
        window: Window,
        spent_usd: Usd,
        held_usd: Type.Number({ description: 'Held by calls in flight, USD.' }),
        remaining_usd: Type.Number({ description: 'Below 0 where the limit was lowered, USD.' }),
        resets_at: Timestamp,
        reset_at: orNull(Timestamp, 'The last reset by hand in this window.'),
      }),
      { description: 'The present window of each target; of a budget for each of many, of those that used it.' },
    ),
    created_at: Timestamp,
    updated_at: Timestamp,
  }),
);

/** The description of {@link resetObject}. */
export const WindowReset = named(
  'WindowReset',
  object({
    id: Type.String(),
    target: WindowTarget,
    window: Window,
    spent_usd: Type.Number({ description: 'What counts no more, USD.' }),
  }),
);
