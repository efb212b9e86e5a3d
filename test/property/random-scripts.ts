import fc from 'fast-check';
import { TOKENS, type AccountStatus, type OveragePolicy } from '../../src/core/ledger/account.ts';
import type { FundOperation } from '../../src/core/ledger/commands.ts';
import type { TenantStatus } from '../../src/core/records.ts';
import { MAX } from '../support/ledger-fixtures.ts';
import { BLIND, CREDITS, POOL_SIZE, type Script } from './script.ts';

const small = fc.bigInt({ min: 0n, max: 30n });
const edge = fc.constantFrom(0n, 1n, 2n ** 53n + 1n, MAX - 1n, MAX);
const amount = fc.oneof(
  { weight: 40, arbitrary: small },
  { weight: 4, arbitrary: edge },
  { weight: 1, arbitrary: fc.constantFrom(-1n, MAX + 1n) },
);
const limit = fc.oneof(
  { weight: 8, arbitrary: fc.bigInt({ min: 60n, max: 500n }) },
  { weight: 4, arbitrary: fc.bigInt({ min: 0n, max: 60n }) },
  { weight: 2, arbitrary: edge },
  { weight: 2, arbitrary: fc.constant(null) },
);
const policy = fc.constantFrom<OveragePolicy>('REJECT', 'ALLOW_IF_AVAILABLE', 'ALLOW_WITH_OVERDRAFT');
const times = fc.record({
  ttlMs: fc.integer({ min: 0, max: 60 }),
  graceMs: fc.integer({ min: 0, max: 8 }),
  maxExtensions: fc.integer({ min: 0, max: 2 }),
});
// Few keys and bodies, so that most of those that carry one replay or mismatch sooner or later.
const idempotency = fc.option(
  fc.record({ key: fc.integer({ min: 0, max: 2 }), hash: fc.integer({ min: 0, max: 1 }), keepMs: fc.integer({ min: 0, max: 60 }) }),
  {
    nil: undefined,
    freq: 2,
  },
);
// Answers of one reservation meet again only where nearly all of its commands share one key.
const ownIdempotency = fc.option(
  fc.record({
    key: fc.constant(0),
    hash: fc.integer({ min: 0, max: 3 }).map((roll) => (roll === 0 ? 1 : 0)),
    keepMs: fc.integer({ min: 0, max: 60 }),
  }),
  { nil: undefined, freq: 4 },
);
// The newest most of all, since it is the one that still holds.
const back = fc.oneof(
  { weight: 3, arbitrary: fc.nat({ max: 1 }) },
  { weight: 2, arbitrary: fc.nat({ max: 6 }) },
  { weight: 1, arbitrary: fc.constant(BLIND) },
);
const scopes = fc.subarray([0, 1, 2], { minLength: 1 });
const rarely = fc.integer({ min: 0, max: 15 }).map((roll) => roll === 15);
const mostly = fc.integer({ min: 0, max: 3 }).map((roll) => roll !== 3);
const account = fc.nat({ max: POOL_SIZE - 1 });

const op = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant('reserve' as const),
      scopes,
      unit: fc.constantFrom('TOKENS', 'TOKENS', 'TOKENS', 'TOKENS', 'TOKENS', 'CREDITS'),
      amount,
      times,
      policy,
      idempotency,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('reserve-call' as const),
      accounts: fc.subarray([0, 1, 4, 5, 6, 7], { minLength: 1 }),
      base: fc.oneof({ weight: 12, arbitrary: small }, { weight: 1, arbitrary: edge }),
      rate: fc.integer({ min: 0, max: 25 }),
      output: fc.record({ min: fc.integer({ min: 0, max: 16 }), more: fc.integer({ min: 0, max: 30 }) }),
      times,
      required: rarely,
      mustCoverMoney: rarely,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('commit' as const),
      back,
      actual: amount,
      unit: fc.constantFrom(TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, CREDITS),
      foreign: rarely,
      idempotency: ownIdempotency,
    }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('release' as const), back, foreign: rarely, idempotency: ownIdempotency }) },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant('extend' as const), back, byMs: fc.integer({ min: 1, max: 30 }), idempotency: ownIdempotency }),
  },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('debit' as const), scopes, amount, policy, idempotency }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('fund' as const),
      account,
      operation: fc.constantFrom<FundOperation>('CREDIT', 'DEBIT', 'RESET', 'RESET_SPENT', 'REPAY_DEBT'),
      amount,
      spent: fc.option(amount, { nil: undefined }),
      idempotency,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('allocate' as const),
      account,
      allocated: fc.oneof({ weight: 9, arbitrary: limit }, { weight: 1, arbitrary: fc.constant(-1n) }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('expire' as const), back }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('keep-call' as const),
      back,
      ttlMs: fc.integer({ min: 0, max: 40 }),
      checkpoint: fc.nat({ max: 99 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('settle-call' as const),
      back,
      tokens: fc.oneof({ weight: 12, arbitrary: small }, { weight: 1, arbitrary: edge }),
      microcents: fc.oneof({ weight: 12, arbitrary: small }, { weight: 1, arbitrary: edge }),
      ran: mostly,
      foreign: rarely,
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('create-tenant' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('update-tenant' as const),
      status: fc.constantFrom<TenantStatus>('ACTIVE', 'ACTIVE', 'ACTIVE', 'SUSPENDED', 'SUSPENDED', 'CLOSED'),
    }),
  },
);

const terms = fc.record({
  overdraftLimit: fc.oneof(
    { weight: 5, arbitrary: fc.bigInt({ min: 0n, max: 20n }) },
    { weight: 3, arbitrary: fc.constant(0n) },
    { weight: 1, arbitrary: edge },
  ),
  status: fc.integer({ min: 0, max: 15 }).map((roll): AccountStatus => (roll === 15 ? 'FROZEN' : roll === 14 ? 'CLOSED' : 'ACTIVE')),
});

/** Scripts of up to `batches` batches of up to `batchSize` commands. */
export const scripts = (options: { readonly batches: number; readonly batchSize: number }): fc.Arbitrary<Script> =>
  // Without a bias to small values, which would make most runs too short to hold anything.
  fc.noBias(
    fc.record({
      made: fc.array(
        fc.option(
          terms.map((each) => ({ ...each, status: 'ACTIVE' as const })),
          { nil: undefined, freq: 2 },
        ),
        { minLength: POOL_SIZE, maxLength: POOL_SIZE },
      ),
      limits: fc.array(fc.oneof({ weight: 9, arbitrary: limit }, { weight: 2, arbitrary: fc.constant(undefined) }), {
        minLength: POOL_SIZE,
        maxLength: POOL_SIZE,
      }),
      batches: fc.array(
        fc.record({
          advanceMs: fc.oneof(
            { weight: 12, arbitrary: fc.constant(0) },
            { weight: 6, arbitrary: fc.integer({ min: 1, max: 12 }) },
            { weight: 1, arbitrary: fc.integer({ min: 13, max: 80 }) },
          ),
          terms: fc
            .oneof({ weight: 2, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.record({ account, terms }) })
            .map((each) => (each === undefined ? [] : [each])),
          ops: fc.array(op, { minLength: 1, maxLength: options.batchSize }),
        }),
        { minLength: 1, maxLength: options.batches, size: 'max' },
      ),
    }),
  );
