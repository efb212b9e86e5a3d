import {
  budgetId,
  keyCapId,
  newAccount,
  TOKENS,
  USD_MICROCENTS,
  type Account,
  type AccountId,
  type Unit,
} from '../../src/core/ledger/account.ts';
import type {
  AllocateCommand,
  CommandIdempotency,
  CommitCommand,
  DebitCommand,
  ExpireCommand,
  ExtendCommand,
  FundCommand,
  KeepCallCommand,
  LegRequest,
  ReleaseCommand,
  ReserveCommand,
  SettleCallCommand,
} from '../../src/core/ledger/commands.ts';
import type { Reservation } from '../../src/core/ledger/reservation.ts';
import type { Outcome, Rejection, RejectionCode } from '../../src/core/rejection.ts';
import type { UsageEvent } from '../../src/core/usage/usage-event.ts';

/** The moment at which the tests' ledgers start. */
export const START_MS = Date.UTC(2026, 10, 22, 12);

/** The tenant of the tests. */
export const TENANT = 'acme';

/** The tenant's own budget, the one of its app, and the one of a workflow in the app: scopes from wide to narrow, in tokens. */
export const TENANT_BUDGET = budgetId(TENANT, 'tenant:acme', TOKENS);
export const APP_BUDGET = budgetId(TENANT, 'tenant:acme/app:bot', TOKENS);
export const FLOW_BUDGET = budgetId(TENANT, 'tenant:acme/app:bot/workflow:refund', TOKENS);

/** The tenant's money. */
export const MONEY_BUDGET = budgetId(TENANT, 'tenant:acme', USD_MICROCENTS);

/** The cap of the tests' key, in tokens and in money. */
export const TOKEN_CAP = keyCapId(TENANT, 'key_1', TOKENS);
export const MONEY_CAP = keyCapId(TENANT, 'key_1', USD_MICROCENTS);

/** Largest int64. */
export const MAX = 2n ** 63n - 1n;

/** An account that has what `parts` say and nothing else. */
export const accountWith = (id: AccountId, parts: Partial<Account>): Account => ({
  ...newAccount(id, { nowMs: START_MS, unlimited: false }),
  ...parts,
});

/** A hold of `amount` on one account, fixed. */
export const fixedLeg = (accountId: AccountId, amount: bigint): LegRequest => ({
  accountId,
  base: amount,
  perUnit: 0n,
  divisor: 1n,
  required: false,
});

/** A reservation of a Cycles client that holds `amount` tokens on every account of `accounts`, expiring 60 s after the start. */
export const holdOn = (accounts: readonly AccountId[], amount: bigint, parts: Partial<Reservation> = {}): Reservation => ({
  id: 'res_1',
  tenantId: TENANT,
  purpose: 'budget',
  state: 'ACTIVE',
  legs: accounts.map((accountId) => ({ accountId, amount })),
  charged: null,
  overagePolicy: 'ALLOW_IF_AVAILABLE',
  createdAtMs: START_MS,
  expiresAtMs: START_MS + 60_000,
  graceMs: 5000,
  extensions: 0,
  maxExtensions: 10,
  finalizedAtMs: null,
  settledAtMs: null,
  ownerId: '',
  context: null,
  checkpoint: null,
  ...parts,
});

const base = { id: 'cmd_1', tenantId: TENANT } as const;

/** The caller's idempotency key `key` for an operation, with the hash of its body. */
export const idempotent = (
  operation: string,
  options: { key?: string; hash?: string; keepMs?: number; target?: string } = {},
): CommandIdempotency => ({
  ref: { tenantId: TENANT, operation, target: options.target ?? '', key: options.key ?? 'idem-1' },
  hash: options.hash ?? 'hash-a',
  keepMs: options.keepMs ?? 1000,
});

/** A hold for a Cycles client on the legs given, or `amount` on the tenant's budget. */
export const reserve = (parts: Partial<ReserveCommand> & { amount?: bigint } = {}): ReserveCommand => {
  const { amount = 10n, ...rest } = parts;
  return {
    ...base,
    verb: 'reserve',
    reservationId: 'res_1',
    purpose: 'budget',
    legs: [fixedLeg(TENANT_BUDGET, amount)],
    output: { min: 0n, max: 0n },
    mustCover: true,
    mustCoverMoney: false,
    otherUnitAccounts: [],
    overagePolicy: 'ALLOW_IF_AVAILABLE',
    ttlMs: 60_000,
    graceMs: 5000,
    maxExtensions: 10,
    ownerId: '',
    context: null,
    ...rest,
  };
};

/** A commit of `res_1` with `actual` tokens. */
export const commit = (actual: bigint, parts: Partial<CommitCommand> = {}): CommitCommand => ({
  ...base,
  verb: 'commit',
  reservationId: 'res_1',
  actual,
  unit: TOKENS,
  ...parts,
});

/** A release of `res_1`. */
export const release = (parts: Partial<ReleaseCommand> = {}): ReleaseCommand => ({
  ...base,
  verb: 'release',
  reservationId: 'res_1',
  ...parts,
});

/** An extension of `res_1` by `byMs`. */
export const extend = (byMs: number, parts: Partial<ExtendCommand> = {}): ExtendCommand => ({
  ...base,
  verb: 'extend',
  reservationId: 'res_1',
  byMs,
  ...parts,
});

/** A direct charge of `amount` on the tenant's budget or the accounts given. */
export const debit = (amount: bigint, parts: Partial<DebitCommand> = {}): DebitCommand => ({
  ...base,
  verb: 'debit',
  debitId: 'evt_1',
  accounts: [TENANT_BUDGET],
  otherUnitAccounts: [],
  amount,
  overagePolicy: 'ALLOW_IF_AVAILABLE',
  ...parts,
});

/** One funding operation on the tenant's budget. */
export const fund = (operation: FundCommand['operation'], amount: bigint, parts: Partial<FundCommand> = {}): FundCommand => ({
  ...base,
  verb: 'fund',
  accountId: TENANT_BUDGET,
  operation,
  amount,
  ...parts,
});

/** Sets the limit of the tenant's budget or the account given. */
export const allocate = (allocated: bigint | null, parts: Partial<AllocateCommand> = {}): AllocateCommand => ({
  ...base,
  verb: 'allocate',
  accountId: TENANT_BUDGET,
  allocated,
  ...parts,
});

/** Expires `res_1`. */
export const expire = (parts: Partial<ExpireCommand> = {}): ExpireCommand => ({
  ...base,
  verb: 'expire',
  reservationId: 'res_1',
  ...parts,
});

/** Keeps the call `res_1` for `ttlMs` more. */
export const keepCall = (ttlMs: number, parts: Partial<KeepCallCommand> = {}): KeepCallCommand => ({
  ...base,
  verb: 'keep-call',
  reservationId: 'res_1',
  ttlMs,
  checkpoint: null,
  ...parts,
});

/** Settles the call `res_1` with what it used; null: it never ran. */
export const settleCall = (
  actuals: { tokens: bigint; microcents: bigint } | null,
  parts: Partial<SettleCallCommand> = {},
): SettleCallCommand => ({
  ...base,
  verb: 'settle-call',
  reservationId: 'res_1',
  actuals,
  usage: null,
  ...parts,
});

/** The usage of a call as its settlement books it. */
export const usageOf = (id: string, parts: Partial<UsageEvent> = {}): Omit<UsageEvent, 'atMs' | 'heldAtMs'> => ({
  id,
  tenantId: TENANT,
  keyId: 'key_1',
  model: 'gpt-oss-120b',
  upstreamId: 'scw',
  priceId: 'price_1',
  route: '/v1/chat/completions',
  requests: 1,
  promptTokens: 7,
  completionTokens: 5,
  cachedPromptTokens: 0,
  reasoningTokens: 0,
  costNanoUsd: 61n,
  chargeMicrocents: 7n,
  streaming: false,
  estimated: false,
  interrupted: false,
  ...parts,
});

/** The rejection of `outcome`; a success is a failed test that shows the value. */
export function rejectionOf(outcome: Outcome<unknown>): Rejection {
  if (outcome.ok) throw new Error(`expected a rejection, got ${JSON.stringify(outcome.value)}`);
  return outcome.rejection;
}

/** The code that `outcome` was rejected with, or `'ok'`. */
export const codeOf = (outcome: Outcome<unknown>): RejectionCode | 'ok' => (outcome.ok ? 'ok' : outcome.rejection.code);

/** The value of `outcome`; a rejection is a failed test that shows it. */
export function valueOf(outcome: Outcome<unknown>): unknown {
  if (!outcome.ok) throw new Error(`rejected: ${outcome.rejection.code}: ${outcome.rejection.message}`);
  return outcome.value;
}

/** The balances of an account, in the order of the formula: allocated, spent, reserved, debt. */
export const balances = (account: Account): (bigint | null)[] => [account.allocated, account.spent, account.reserved, account.debt];

/** A unit that is neither tokens nor money in micro-cents. */
export const CREDITS: Unit = 'CREDITS';
