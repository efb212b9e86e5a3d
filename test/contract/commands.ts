import { DEFAULT_ENTITLEMENTS } from '../../src/core/access/defaults.ts';
import { budgetId, keyCapId, TOKENS, USD_MICROCENTS, type AccountId } from '../../src/core/ledger/account.ts';
import type { LegRequest, ReserveCommand, SettleCallCommand } from '../../src/core/ledger/commands.ts';
import type { ApiKey } from '../../src/core/records.ts';
import type { Command } from '../../src/core/verbs.ts';

/** A cost that is charged as that many micro-cents: the charge is rounded up. Costs have a ceiling that charges here may pass. */
const nanosOf = (microcents: bigint): bigint => (microcents === 0n || microcents > 10n ** 18n ? microcents : microcents * 10n - 3n);

/** Makes the commands of a test. Ids count up, so that they are unique and sort by the order in which they were made. */
export interface CommandMaker {
  id(prefix: string): string;
  createTenant(tenantId: string): Command;
  allocate(accountId: AccountId, allocated: bigint | null): Command;
  createKey(tenantId: string, keyId: string, options?: { name?: string; maxTokens?: bigint | null; kind?: ApiKey['kind'] }): Command;
  deleteKey(tenantId: string, keyId: string): Command;
  /** Holds `tokens` on the key's cap and `microcents` on the tenant's money budget (where it exists). */
  hold(call: HoldOptions): ReserveCommand;
  /** Settles a hold of a call with what it used. */
  settle(reserve: ReserveCommand, used: UsedTokens): SettleCallCommand;
  /** Ends a hold of a call that never ran. */
  cancel(reserve: ReserveCommand): SettleCallCommand;
}

/** What a call holds, by whom and for how long. */
export interface HoldOptions {
  readonly tenantId?: string;
  readonly keyId?: string;
  readonly tokens?: bigint;
  readonly microcents?: bigint;
  readonly purpose?: ReserveCommand['purpose'];
  readonly ttlMs?: number;
  readonly graceMs?: number;
  readonly ownerId?: string;
  readonly idempotencyKey?: string;
}

/** What a call used. */
export interface UsedTokens {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly microcents: bigint;
  readonly model?: string;
}

/** The token cap of a key. */
export const capOf = (tenantId: string, keyId: string): AccountId => keyCapId(tenantId, keyId, TOKENS);

/** The money budget of a tenant. */
export const moneyOf = (tenantId: string): AccountId => budgetId(tenantId, `tenant:${tenantId}`, USD_MICROCENTS);

const leg = (accountId: AccountId, base: bigint): LegRequest => ({ accountId, base, perUnit: 0n, divisor: 1n, required: false });

/** Ids start at `first`, so that makers of one test may be told apart. */
export function makeCommands(first = 0): CommandMaker {
  let counter = first;
  const id = (prefix: string): string => `${prefix}_01${String(counter++).padStart(24, '0')}`;

  const hold = (call: HoldOptions): ReserveCommand => {
    const { tenantId = 'acme', keyId = 'key_1', purpose = 'call', tokens = 100n, microcents = 1000n, idempotencyKey } = call;
    const ref = { tenantId, operation: 'reserve', target: '', key: idempotencyKey ?? '' };
    return {
      verb: 'reserve',
      id: id('cmd'),
      tenantId,
      reservationId: id('res'),
      purpose,
      legs: [leg(capOf(tenantId, keyId), tokens), leg(moneyOf(tenantId), microcents)],
      output: { min: 0n, max: 0n },
      mustCover: false,
      mustCoverMoney: false,
      otherUnitAccounts: [],
      overagePolicy: 'ALLOW_IF_AVAILABLE',
      ttlMs: call.ttlMs ?? 60_000,
      graceMs: call.graceMs ?? 5000,
      maxExtensions: 3,
      ownerId: purpose === 'call' ? (call.ownerId ?? 'run_1') : '',
      context: { keyId, model: 'demo-small', text: 'a "quoted" \u0000 text \u2028 of any kind' },
      ...(idempotencyKey === undefined ? {} : { idempotency: { ref, hash: 'hash of the body', keepMs: 86_400_000 } }),
    };
  };

  return {
    id,
    hold,
    createTenant: (tenantId) => ({
      verb: 'create-tenant',
      id: id('cmd'),
      tenantId,
      tenant: {
        id: tenantId,
        name: `Tenant ${tenantId}`,
        entitlements: DEFAULT_ENTITLEMENTS,
        requireBudget: false,
        allowUnpriced: false,
        hideAmounts: false,
      },
    }),
    allocate: (accountId, allocated) => ({
      verb: 'allocate',
      id: id('cmd'),
      tenantId: accountId.split('|')[0] ?? '',
      accountId,
      allocated,
    }),
    createKey: (tenantId, keyId, options = {}) => ({
      verb: 'create-key',
      id: id('cmd'),
      tenantId,
      key: {
        id: keyId,
        kind: options.kind ?? 'inference',
        name: options.name ?? `name-of-${keyId}`,
        hash: `hash-of-${tenantId}-${keyId}`,
        mask: 'tk_****',
        sealed: null,
        createdBy: 'ann',
        disabled: false,
        expiresAtMs: null,
        metadata: { team: 'blue' },
        outputBound: 'hard',
      },
      maxTokens: options.maxTokens ?? null,
      moneyBudgetMicrocents: null,
    }),
    deleteKey: (tenantId, keyId) => ({ verb: 'delete-key', id: id('cmd'), tenantId, keyId }),
    settle: (reserve, used) => ({
      verb: 'settle-call',
      id: id('cmd'),
      tenantId: reserve.tenantId,
      reservationId: reserve.reservationId,
      actuals: { tokens: BigInt(used.promptTokens + used.completionTokens), microcents: used.microcents },
      usage: {
        id: reserve.reservationId,
        tenantId: reserve.tenantId,
        keyId: reserve.legs[0]?.accountId.split('|')[2]?.slice('key:'.length) ?? '',
        model: used.model ?? 'demo-small',
        upstreamId: 'demo',
        priceId: 'price_1',
        route: '/v1/chat/completions',
        requests: 1,
        promptTokens: used.promptTokens,
        completionTokens: used.completionTokens,
        cachedPromptTokens: Math.floor(used.promptTokens / 2),
        // Some calls wrote into a cache, and most did not.
        ...(used.promptTokens % 3 === 1 ? { cacheWritePromptTokens: Math.ceil(used.promptTokens / 3) } : {}),
        reasoningTokens: 0,
        costNanoUsd: nanosOf(used.microcents),
        chargeMicrocents: used.microcents,
        streaming: used.completionTokens % 2 === 1,
        estimated: false,
        interrupted: false,
      },
    }),
    cancel: (reserve) => ({
      verb: 'settle-call',
      id: id('cmd'),
      tenantId: reserve.tenantId,
      reservationId: reserve.reservationId,
      actuals: null,
      usage: null,
    }),
  };
}

/** Who a management command of a test comes from. */
export const audited = <C extends Command>(command: C): C => ({
  ...command,
  audit: {
    id: `aud_${command.id}`,
    operation: command.verb,
    actorKind: 'operator',
    actorId: 'operator',
    resourceKind: 'tenant',
    resourceId: command.tenantId,
    requestId: 'req_1',
    metadata: { reason: 'a test' },
  },
});
