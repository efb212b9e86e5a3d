import type { Billing } from '../../ports/billing.ts';

/** Billing of an installation that sends no bills: no tenant has a billing customer, so nobody has transactions. */
export const makeNoBilling = (): Billing => ({ transactions: () => Promise.resolve([]) });
