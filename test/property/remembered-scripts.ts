import type { Script } from './script.ts';

const nothing = { made: [], limits: [] };

/** Scripts on which the program and the model once disagreed, shortened. They are played before the random ones, on every store. */
export const REMEMBERED_SCRIPTS: readonly Script[] = [
  // A charge of nothing on an overdrawn budget leaves nothing uncharged, and so flags nothing.
  {
    ...nothing,
    limits: [2n],
    batches: [
      { advanceMs: 0, terms: [], ops: [{ op: 'debit', scopes: [0], amount: 2n, policy: 'REJECT', idempotency: undefined }] },
      { advanceMs: 0, terms: [], ops: [{ op: 'allocate', account: 0, allocated: 1n }] },
      { advanceMs: 0, terms: [], ops: [{ op: 'debit', scopes: [0], amount: 0n, policy: 'ALLOW_IF_AVAILABLE', idempotency: undefined }] },
    ],
  },
];
