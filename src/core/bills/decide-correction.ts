import { eventEffects } from '../access/access-events.ts';
import { checkText, firstOf, invalid, notFound } from '../access/rules.ts';
import { accepted } from '../rejection.ts';
import { refuse, type Verb } from '../verb.ts';
import type { BillCorrection } from './bill-records.ts';
import type { AddCorrectionCommand } from './commands.ts';

/** Longest reason of a correction. */
const MAX_REASON_LENGTH = 500;

/** A correction is at most this much, either way: a billion USD. More is a slip of the pen. */
const MAX_CORRECTION_MICROCENTS = 10n ** 17n;

/**
 * Books a correction, which becomes a line of the tenant's next statement. The value is the correction.
 *
 * Rejects, in this order: `not_found` (the tenant), `invalid_request` (amount_usd, reason), `not_found` (the statement that it concerns).
 */
export const addCorrectionVerb: Verb<AddCorrectionCommand, BillCorrection> = {
  needs: ({ correction: { id, concernsId } }) => ({
    tenantLock: 'exclusive',
    records: [{ kind: 'bill-correction', id }, ...(concernsId === null ? [] : [{ kind: 'statement' as const, id: concernsId }])],
  }),
  decide: (state, command, nowMs) => {
    const { tenantId } = command;
    const { id, chargeMicrocents: charge, reason, concernsId } = command.correction;
    if (state.record('tenant', tenantId) === undefined) return refuse(notFound(`tenant ${tenantId}`));
    const isSmall = charge <= MAX_CORRECTION_MICROCENTS && charge >= -MAX_CORRECTION_MICROCENTS;
    const bad = firstOf(
      charge === 0n ? invalid('amount_usd', 'not be 0') : null,
      isSmall ? null : invalid('amount_usd', 'be at most a billion, either way'),
      checkText('reason', reason, MAX_REASON_LENGTH),
    );
    if (bad !== null) return refuse(bad);
    const concerned = concernsId === null ? undefined : state.record('statement', concernsId);
    if (concernsId !== null && concerned?.tenantId !== tenantId) return refuse(notFound(`statement ${concernsId}`));
    const correction: BillCorrection = {
      id,
      tenantId,
      chargeMicrocents: charge.toString(),
      reason,
      concernsId,
      concernsNumber: concerned?.number ?? null,
      statementId: null,
      createdAtMs: nowMs,
    };
    const data = { correction_id: id, charge_microcents: charge.toString(), concerns: correction.concernsNumber };
    return {
      outcome: accepted(correction),
      effects: [
        { type: 'record', kind: 'bill-correction', id, record: correction },
        ...eventEffects(command, nowMs, [{ type: 'bill_correction.created', data }]),
      ],
    };
  },
};
