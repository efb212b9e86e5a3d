import fc from 'fast-check';
import type { FundingOperation, ModelPolicy, ModelSubject } from './cycles-model.ts';

/** The units of their budgets. */
export const UNITS = ['TOKENS', 'USD_MICROCENTS', 'CREDITS'] as const;
const POLICIES: readonly ModelPolicy[] = ['REJECT', 'ALLOW_IF_AVAILABLE', 'ALLOW_WITH_OVERDRAFT'];
/** How often a reservation of these tenants may be extended. */
export const MAX_EXTENSIONS = 2;
/** Steps of a life. */
const RUN_STEPS = 45;

/** Subjects that share their wider scopes; one is written in capitals, one leaves a level blank, one names no tenant. */
export const subjectsOf = (tenant: string): readonly ModelSubject[] => [
  { tenant },
  { tenant, app: 'bot' },
  { tenant, app: 'bot', agent: 'x' },
  { tenant: tenant.toUpperCase(), app: 'Bot', agent: 'Y' },
  { tenant, workspace: ' ', app: 'bot', agent: 'x', toolset: 't' },
  { tenant, workspace: 'w', agent: 'x' },
  { app: 'bot' },
];

/** Where budgets are made: nested in each other, and some beside. */
export const scopesOf = (tenant: string): readonly string[] => [
  `tenant:${tenant}`,
  `tenant:${tenant}/app:bot`,
  `tenant:${tenant}/app:bot/agent:x`,
  `tenant:${tenant}/app:bot/agent:y`,
  `tenant:${tenant}/workspace:w/agent:x`,
];

/** Something that happens in the life of a tenant. */
export type Step =
  | { readonly kind: 'decide' | 'dry-run'; readonly who: number; readonly unit: number; readonly amount: number }
  | {
      readonly kind: 'reserve';
      readonly who: number;
      readonly unit: number;
      readonly amount: number;
      readonly policy: ModelPolicy | undefined;
      readonly ttl: number;
      readonly grace: number;
    }
  | {
      readonly kind: 'event';
      readonly who: number;
      readonly unit: number;
      readonly amount: number;
      readonly policy: ModelPolicy | undefined;
    }
  | { readonly kind: 'commit'; readonly which: number; readonly amount: number; readonly wrongUnit: boolean }
  | { readonly kind: 'release' | 'unknown'; readonly which: number }
  | { readonly kind: 'extend'; readonly which: number; readonly by: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'sweep' | 'suspend' | 'reactivate' | 'close' }
  | { readonly kind: 'repeat'; readonly which: number; readonly otherwise: boolean }
  | {
      readonly kind: 'make-budget';
      readonly where: number;
      readonly unit: number;
      readonly amount: number;
      readonly overdraft: number;
      readonly policy: ModelPolicy | undefined;
    }
  | {
      readonly kind: 'fund';
      readonly where: number;
      readonly unit: number;
      readonly amount: number;
      readonly operation: FundingOperation;
      readonly spent: number | undefined;
    }
  | { readonly kind: 'overdraft'; readonly where: number; readonly unit: number; readonly amount: number }
  | { readonly kind: 'freeze' | 'unfreeze' | 'close-budget'; readonly where: number; readonly unit: number };

const amount = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 40 }) },
  { weight: 1, arbitrary: fc.integer({ min: 40, max: 160 }) },
);
// Most of what happens is in one unit, so that it meets.
const unit = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.constant(1) },
  { weight: 1, arbitrary: fc.constant(2) },
);
const who = fc.nat(6);
const where = fc.nat(4);
const which = fc.nat(7);
const policy = fc.option(fc.constantFrom(...POLICIES), { nil: undefined });
const kind = <const K extends string>(...kinds: K[]): fc.Arbitrary<K> => fc.constantFrom(...kinds);
const overdraft = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 60 }));

const STEPS: readonly fc.WeightedArbitrary<Step>[] = [
  {
    weight: 8,
    arbitrary: fc.record({
      kind: kind('reserve'),
      who,
      unit,
      amount,
      policy,
      ttl: fc.integer({ min: 1000, max: 3000 }),
      grace: fc.integer({ min: 0, max: 1000 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: kind('decide', 'dry-run'), who, unit, amount }) },
  { weight: 4, arbitrary: fc.record({ kind: kind('event'), who, unit, amount, policy }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: kind('commit'), which, amount, wrongUnit: fc.integer({ min: 0, max: 9 }).map((n) => n === 0) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: kind('release'), which }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('unknown'), which }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('extend'), which, by: fc.integer({ min: 1, max: 2000 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: kind('wait'), ms: fc.oneof(fc.integer({ min: 1, max: 1500 }), fc.constant(5000)) }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('sweep') }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('suspend') }) },
  { weight: 4, arbitrary: fc.record({ kind: kind('reactivate') }) },
  { weight: 3, arbitrary: fc.record({ kind: kind('repeat'), which: fc.nat(20), otherwise: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: kind('make-budget'), where, unit, amount: fc.integer({ min: 20, max: 200 }), overdraft, policy }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: kind('fund'),
      where,
      unit,
      amount,
      operation: fc.constantFrom<FundingOperation>('CREDIT', 'DEBIT', 'RESET', 'RESET_SPENT', 'REPAY_DEBT'),
      spent: fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: kind('overdraft'), where, unit, amount: overdraft }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('freeze', 'unfreeze', 'unfreeze', 'close-budget'), where, unit }) },
];

/** A life of one tenant. `scale` is what one of its units is: past 2^53, and near the end of 64 bits. */
export const lives = fc.record({
  scale: fc.constantFrom(1n, 2n ** 53n + 1n, (2n ** 63n - 1n) / 20_000n),
  defaultPolicy: fc.option(fc.constantFrom(...POLICIES), { nil: null }),
  /** Of the tenant and of the app below it, and more. */
  first: fc.tuple(
    ...[0, 1].map((where) =>
      fc.record({ where: fc.constant(where), unit: fc.constant(0), amount: fc.integer({ min: 60, max: 400 }), overdraft, policy }),
    ),
  ),
  budgets: fc.array(fc.record({ where, unit, amount: fc.integer({ min: 20, max: 200 }), overdraft, policy }), { maxLength: 3 }),
  isClosed: fc.boolean(),
  steps: fc.array(fc.oneof(...STEPS), { minLength: RUN_STEPS, maxLength: RUN_STEPS }),
});
export type Life = typeof lives extends fc.Arbitrary<infer L> ? L : never;

/** What a tenant still asks for that is closed. */
export const LAST_STEPS: readonly Step[] = [
  { kind: 'close' },
  { kind: 'reserve', who: 1, unit: 0, amount: 1, policy: undefined, ttl: 1000, grace: 0 },
  { kind: 'release', which: 0 },
  { kind: 'repeat', which: 0, otherwise: false },
  { kind: 'wait', ms: 5000 },
  { kind: 'sweep' },
];
