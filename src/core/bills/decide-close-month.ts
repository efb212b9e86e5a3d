import { eventEffects } from '../access/access-events.ts';
import type { Effect } from '../effects.ts';
import { invariant } from '../invariant.ts';
import { accepted } from '../rejection.ts';
import type { Decision, State, Verb } from '../verb.ts';
import type { BillState, StatementLine } from './bill-records.ts';
import type { CloseMonthCommand } from './commands.ts';
import { lastDueMonth, totalOf } from './make-statement.ts';

/**
 * What came of a month. `done`: it is closed, and the statement, where there is one, stands. `early`: it is not over long enough. `stale`:
 * what the statement was made from has changed, as another node was faster; whoever wants one reads again.
 */
export type CloseMonthResult = 'done' | 'early' | 'stale';

const left = (result: CloseMonthResult): Decision<CloseMonthResult> => ({ outcome: accepted(result), effects: [] });

const NOTHING_BILLED: Omit<BillState, 'id'> = { closedMonth: null, lastNo: 0, lastHash: '' };

const correctionIds = (lines: readonly StatementLine[]): string[] =>
  lines.flatMap((line) => (line.kind === 'correction' ? [line.correctionId] : []));

/** The effects of a statement: its record and lines, its corrections as billed, an audit row of the program itself and an event. */
function statementEffects(state: State, command: CloseMonthCommand, nowMs: number): Effect[] {
  const { statement, lines, tenantId, month } = command;
  if (statement === null) return [];
  const { id, number } = statement;
  const billed = correctionIds(lines).flatMap((correctionId): Effect[] => {
    const correction = state.record('bill-correction', correctionId);
    if (correction === undefined) return [];
    return [{ type: 'record', kind: 'bill-correction', id: correctionId, record: { ...correction, statementId: id } }];
  });
  const told = { statement_id: id, number, month, total_microcents: statement.totalMicrocents };
  return [
    { type: 'record', kind: 'statement', id, record: statement },
    { type: 'record', kind: 'statement-lines', id, record: { id, lines } },
    ...billed,
    {
      type: 'audit',
      entry: {
        id: command.auditId,
        tenantId,
        atMs: nowMs,
        operation: 'issue-statement',
        actorKind: 'system',
        actorId: 'system',
        resourceKind: 'statement',
        resourceId: id,
        requestId: command.id,
        code: null,
        metadata: { ...told, hash: statement.hash },
      },
    },
    ...eventEffects(command, nowMs, [{ type: 'statement.issued', data: told }]),
  ];
}

/**
 * Closes a month of a tenant's bills: each once, in their order, on whichever node. The value is the {@link CloseMonthResult}; it never
 * refuses.
 *
 * `done` where the month was closed before; then `early`; then `stale`: another month was closed meanwhile, the tenant is not there, or a
 * correction of the statement is not there or on another one.
 */
export const closeMonthVerb: Verb<CloseMonthCommand, CloseMonthResult> = {
  needs: ({ tenantId, statement, lines }) => ({
    tenantLock: 'exclusive',
    records: [
      { kind: 'bill-state', id: tenantId },
      ...(statement === null
        ? []
        : [
            { kind: 'statement' as const, id: statement.id },
            ...correctionIds(lines).map((id) => ({ kind: 'bill-correction' as const, id })),
          ]),
    ],
  }),
  decide: (state, command, nowMs) => {
    const { tenantId, month, statement, lines } = command;
    const before = state.record('bill-state', tenantId) ?? { id: tenantId, ...NOTHING_BILLED };
    if (before.closedMonth !== null && month <= before.closedMonth) return left('done');
    if (month > lastDueMonth(nowMs)) return left('early');
    if (before.closedMonth !== command.afterMonth || state.record('tenant', tenantId) === undefined) return left('stale');
    if (statement !== null) {
      if (statement.no !== before.lastNo + 1 || statement.previousHash !== before.lastHash) return left('stale');
      const isOpen = (id: string): boolean => {
        const correction = state.record('bill-correction', id);
        return correction?.tenantId === tenantId && correction.statementId === null;
      };
      if (!correctionIds(lines).every(isOpen)) return left('stale');
      invariant(state.record('statement', statement.id) === undefined, `the statement ${statement.id} exists already`);
      invariant(BigInt(statement.totalMicrocents) === totalOf(lines), `the statement ${statement.id} is not the sum of its lines`);
      invariant(statement.lineCount === lines.length && statement.tenantId === tenantId, `the statement ${statement.id} is of other lines`);
    }
    const after: BillState =
      statement === null
        ? { ...before, closedMonth: month }
        : { id: tenantId, closedMonth: month, lastNo: statement.no, lastHash: statement.hash };
    return {
      outcome: accepted('done'),
      effects: [...statementEffects(state, command, nowMs), { type: 'record', kind: 'bill-state', id: tenantId, record: after }],
    };
  },
};
