import { accepted, rejected } from '../rejection.ts';
import type { Effect } from '../effects.ts';
import { memberRecordId, type Member } from '../records.ts';
import { refuse, type Verb } from '../verb.ts';
import { withoutRulesOf } from '../windows/budget-rule.ts';
import { eventEffects } from './access-events.ts';
import type { AddMemberCommand, RemoveMemberCommand } from './commands.ts';
import { openTenant } from './decide-tenant.ts';
import { checkEmail, checkMemberId, firstOf, notFound } from './rules.ts';

/**
 * Adds a member, or changes the e-mail address and role of one with `replace`. The value is the member.
 *
 * A member who was removed and comes back joins anew: `createdAtMs` is now, so that admin keys from before stay dead.
 * Rejects, in this order: `not_found`, `tenant_closed`, `invalid_request` (id, email), `conflict`.
 */
export const addMemberVerb: Verb<AddMemberCommand, Member> = {
  needs: (command) => ({ tenantLock: 'exclusive', records: [{ kind: 'member', id: memberRecordId(command.tenantId, command.member.id) }] }),
  decide: (state, command, nowMs) => {
    const { tenantId } = command;
    const open = openTenant(state, tenantId);
    if ('rejection' in open) return refuse(rejected(open.rejection));
    const bad = firstOf(checkMemberId(command.member.id), checkEmail(command.member.email));
    if (bad !== null) return refuse(bad);
    const id = memberRecordId(tenantId, command.member.id);
    const before = state.record('member', id);
    const isPresent = before !== undefined && before.removedAtMs === null;
    if (isPresent && command.replace !== true) {
      return refuse(rejected({ code: 'conflict', message: `the member ${command.member.id} exists already`, field: 'id' }));
    }
    const member: Member = { ...command.member, tenantId, createdAtMs: isPresent ? before.createdAtMs : nowMs, removedAtMs: null };
    const data = { tenant_id: tenantId, member_id: member.id, role: member.role };
    const events = eventEffects(command, nowMs, [{ type: isPresent ? 'member.updated' : 'member.added', data }]);
    return { outcome: accepted(member), effects: [{ type: 'record', kind: 'member', id, record: member }, ...events] };
  },
};

/**
 * Removes a member, who stays as the name of what they made; budgets that name them go with them. The value is the member.
 *
 * Rejects, in this order: `not_found` (tenant, or member, or removed before), `tenant_closed`.
 */
export const removeMemberVerb: Verb<RemoveMemberCommand, Member> = {
  needs: (command) => ({ tenantLock: 'exclusive', records: [{ kind: 'member', id: memberRecordId(command.tenantId, command.memberId) }] }),
  decide: (state, command, nowMs) => {
    const open = openTenant(state, command.tenantId);
    if ('rejection' in open) return refuse(rejected(open.rejection));
    const id = memberRecordId(command.tenantId, command.memberId);
    const before = state.record('member', id);
    if (before === undefined || before.removedAtMs !== null) return refuse(notFound(`member ${command.memberId}`));
    const member: Member = { ...before, removedAtMs: nowMs };
    const tenant = withoutRulesOf(open.tenant, `user:${before.id}`);
    const rules: Effect[] = tenant === open.tenant ? [] : [{ type: 'record', kind: 'tenant', id: tenant.id, record: tenant }];
    const events = eventEffects(command, nowMs, [{ type: 'member.removed', data: { tenant_id: command.tenantId, member_id: before.id } }]);
    return { outcome: accepted(member), effects: [{ type: 'record', kind: 'member', id, record: member }, ...rules, ...events] };
  },
};
