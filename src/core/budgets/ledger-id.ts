import type { Account, AccountId, BudgetTerms } from '../ledger/account.ts';

const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;

/** FNV-1a of 64 bits, as 16 hexadecimal digits. */
function fingerprint(text: string): string {
  let hash = FNV_OFFSET;
  for (const byte of new TextEncoder().encode(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * FNV_PRIME);
  return hash.toString(16).padStart(16, '0');
}

/** The ledger id of a budget that no Cycles client made, such as a tenant's money budget: always the same for the same account. */
const derivedLedgerId = (id: AccountId): string => `ldg_${fingerprint(id)}`;

/** By what name the Cycles surfaces know a budget. It never changes, and is no key to anything. */
export const ledgerIdOf = (account: Pick<Account, 'id' | 'budget'>): string => account.budget?.ledgerId ?? derivedLedgerId(account.id);

/** What a budget has beside its amounts; for one that no Cycles client made, what it starts with. */
export const termsOf = (account: Account): BudgetTerms =>
  account.budget ?? {
    ledgerId: derivedLedgerId(account.id),
    metadata: {},
    rolloverPolicy: 'NONE',
    periodStartMs: null,
    periodEndMs: null,
    updatedAtMs: account.createdAtMs,
  };
