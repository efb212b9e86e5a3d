import { memberRecordId, type Tenant } from '../records.ts';
import { accepted, rejected } from '../rejection.ts';
import { untouchedSettings, type ProjectSettings } from '../routing/settings.ts';
import { refuse, type Verb } from '../verb.ts';
import { eventEffects } from './access-events.ts';
import type { SetProjectSettingsCommand } from './commands.ts';
import { openTenant } from './decide-tenant.ts';

/** What a tenant has set for its calls, or has by having set nothing. */
export const projectSettingsOf = ({ projectSettings, createdAtMs }: Tenant): ProjectSettings =>
  projectSettings ?? untouchedSettings(createdAtMs);

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/**
 * Changes what is given of a tenant's settings; the value is the settings as they are now. What is so already changes nothing and tells
 * nobody. The settings themselves were checked where they were read (`parseInferenceConfig`).
 *
 * Rejects, in this order: `not_found` (the tenant), `tenant_closed`, `forbidden` (a member who is gone or no admin). Source: Cortecs
 * management API, update project settings.
 */
export const setProjectSettingsVerb: Verb<SetProjectSettingsCommand, ProjectSettings> = {
  needs: ({ tenantId, memberId }) => ({
    tenantLock: 'exclusive',
    records: [
      { kind: 'tenant', id: tenantId },
      { kind: 'member', id: memberRecordId(tenantId, memberId) },
    ],
  }),
  decide: (state, command, nowMs) => {
    const open = openTenant(state, command.tenantId);
    if ('rejection' in open) return refuse(rejected(open.rejection));
    const member = state.record('member', memberRecordId(command.tenantId, command.memberId));
    if (member === undefined || member.removedAtMs !== null || member.role !== 'admin')
      return refuse(rejected({ code: 'forbidden', message: 'only admins of the project may change its settings' }));
    const { tenant } = open;
    const before = projectSettingsOf(tenant);
    const { allowOverwrite = before.allowOverwrite, inference = before.inference } = command;
    const changed = [
      ...(allowOverwrite === before.allowOverwrite ? [] : ['allow_overwrite']),
      ...(isSame(inference, before.inference) ? [] : ['inference_config']),
    ];
    if (changed.length === 0) return { outcome: accepted(before), effects: [] };
    // Calls that were planned by the settings before are told by this moment, so no two have the same.
    const updatedAtMs = tenant.projectSettings === undefined ? nowMs : Math.max(nowMs, before.updatedAtMs + 1);
    const projectSettings: ProjectSettings = { allowOverwrite, inference, createdAtMs: before.createdAtMs, updatedAtMs };
    const data = { tenant_id: tenant.id, member_id: member.id, changed_fields: changed };
    return {
      outcome: accepted(projectSettings),
      effects: [
        { type: 'record', kind: 'tenant', id: tenant.id, record: { ...tenant, projectSettings } },
        ...eventEffects(command, nowMs, [{ type: 'project_settings.updated', data }]),
      ],
      auditMetadata: { changed_fields: changed },
    };
  },
};
