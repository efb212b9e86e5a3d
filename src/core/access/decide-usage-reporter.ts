import type { UsageReporter } from '../records.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type Decision, type State, type Verb } from '../verb.ts';
import { eventEffects } from './access-events.ts';
import type { PutUsageReporterCommand, UpdateUsageReporterCommand } from './commands.ts';
import { checkUpstreamId, checkWhole, firstOf, invalid, notFound, type Refusal } from './rules.ts';

const MAX_TENANTS = 1000;

/** The longest time for which a secret is good beside the one that follows it: a week. */
const MAX_GRACE_MS = 7 * 86_400_000;

function checkTenants(state: State, tenants: readonly string[]): Refusal | null {
  if (tenants.length > MAX_TENANTS) return invalid('tenants', `name at most ${MAX_TENANTS} tenants`);
  if (new Set(tenants).size < tenants.length) return invalid('tenants', 'name each tenant once');
  const unknown = tenants.find((id) => state.record('tenant', id) === undefined);
  return unknown === undefined ? null : invalid('tenants', `name tenants that exist; there is no ${unknown.slice(0, 64)}`);
}

const tenantRefs = (tenants: readonly string[]) => tenants.map((id) => ({ kind: 'tenant', id }) as const);

function put(
  command: PutUsageReporterCommand | UpdateUsageReporterCommand,
  nowMs: number,
  next: { readonly reporter: UsageReporter; readonly isNew: boolean },
): Decision<UsageReporter> {
  const { reporter, isNew } = next;
  const data = { usage_reporter_id: reporter.id, tenants: reporter.tenants };
  const events = eventEffects(command, nowMs, [{ type: isNew ? 'usage_reporter.created' : 'usage_reporter.updated', data }]);
  return {
    outcome: accepted(reporter),
    effects: [{ type: 'record', kind: 'usage-reporter', id: reporter.id, record: reporter }, ...events],
  };
}

/**
 * Makes a usage reporter or, with `replace`, makes it so whether it is there or not. The value is the reporter.
 *
 * Rejects, in this order: `invalid_request` (id), `conflict`, `invalid_request` (tenants: too many, twice the same, one that does not
 * exist).
 */
export const putUsageReporterVerb: Verb<PutUsageReporterCommand, UsageReporter> = {
  needs: ({ reporter }) => ({
    tenantLock: 'exclusive',
    records: [{ kind: 'usage-reporter', id: reporter.id }, ...tenantRefs(reporter.tenants)],
  }),
  decide: (state, command, nowMs) => {
    const { id, tenants } = command.reporter;
    const bad = checkUpstreamId(id);
    if (bad !== null) return refuse(bad);
    const before = state.record('usage-reporter', id);
    if (before !== undefined && !command.replace) {
      return refuse(rejected({ code: 'conflict', message: `the usage reporter ${id} exists already`, field: 'id' }));
    }
    const badTenants = checkTenants(state, tenants);
    if (badTenants !== null) return refuse(badTenants);
    const reporter = { ...command.reporter, createdAtMs: before?.createdAtMs ?? nowMs };
    return put(command, nowMs, { reporter, isNew: before === undefined });
  },
};

/**
 * Changes what is given of a usage reporter. The value is the reporter as it is now. Of two rotations within a grace, the oldest secret
 * is gone with the second.
 *
 * Rejects, in this order: `not_found`, `invalid_request` (tenants, grace_seconds).
 */
export const updateUsageReporterVerb: Verb<UpdateUsageReporterCommand, UsageReporter> = {
  needs: ({ reporterId, tenants = [] }) => ({
    tenantLock: 'exclusive',
    records: [{ kind: 'usage-reporter', id: reporterId }, ...tenantRefs(tenants)],
  }),
  decide: (state, command, nowMs) => {
    const before = state.record('usage-reporter', command.reporterId);
    if (before === undefined) return refuse(notFound(`usage reporter ${command.reporterId}`));
    const { tenants = before.tenants, secret } = command;
    const bad = firstOf(
      command.tenants === undefined ? null : checkTenants(state, command.tenants),
      checkWhole('grace_seconds', (secret?.graceMs ?? 0) / 1000, { min: 0, max: MAX_GRACE_MS / 1000 }),
    );
    if (bad !== null) return refuse(bad);
    const previous =
      secret === undefined || secret.graceMs === 0 ? null : { secretSealed: before.secretSealed, untilMs: nowMs + secret.graceMs };
    const rotated = secret === undefined ? {} : { secretSealed: secret.sealed, previous };
    return put(command, nowMs, { reporter: { ...before, tenants, ...rotated }, isNew: false });
  },
};
