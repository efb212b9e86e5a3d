import { allocateVerb } from './allocate.ts';
import { commitVerb } from './commit.ts';
import { debitVerb } from './debit.ts';
import { expireVerb } from './expire.ts';
import { extendVerb } from './extend.ts';
import { fundVerb } from './fund.ts';
import { keepCallVerb } from './keep-call.ts';
import { releaseVerb } from './release.ts';
import { reportUsageVerb } from './report-usage.ts';
import { reserveVerb } from './reserve.ts';
import { settleCallVerb } from './settle-call.ts';

/** The decisions of the ledger, by verb. */
export const LEDGER_VERBS = {
  reserve: reserveVerb,
  commit: commitVerb,
  release: releaseVerb,
  extend: extendVerb,
  debit: debitVerb,
  fund: fundVerb,
  allocate: allocateVerb,
  expire: expireVerb,
  'keep-call': keepCallVerb,
  'settle-call': settleCallVerb,
  'report-usage': reportUsageVerb,
} as const;
