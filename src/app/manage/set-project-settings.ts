import type { SetProjectSettingsCommand } from '../../core/access/commands.ts';
import type { Outcome } from '../../core/rejection.ts';
import type { ProjectSettings } from '../../core/routing/settings.ts';
import type { Ids } from '../../ports/ids.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** What is to be set, and which member of which tenant sets it; what is left out stays. */
export type ProjectSettingsChange = Pick<SetProjectSettingsCommand, 'tenantId' | 'memberId' | 'allowOverwrite' | 'inference'>;

/** Makes the use case that changes a tenant's settings for its calls. Rejects as the command `set-project-settings` does. */
export function makeSetProjectSettings(deps: { writer: Pick<LedgerWriter, 'execute'>; ids: Pick<Ids, 'next'> }) {
  return (actor: Actor, change: ProjectSettingsChange): Promise<Outcome<ProjectSettings>> => {
    const { tenantId } = change;
    const operation = { name: 'set-project-settings', tenantId, resourceKind: 'project_settings', resourceId: tenantId };
    return deps.writer.execute({ verb: 'set-project-settings', ...auditedBase(deps.ids, actor, operation), ...change });
  };
}
