import type { Command } from '../../core/verbs.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { BootCommands } from '../boot-commands.ts';
import type { DeclaredTenant } from './declared-config.ts';

/**
 * The commands that make keys as the file says, and the ids of those that the tenant does not have: the file says something of keys and
 * makes none, and a file must do for a new data folder too.
 */
export async function keyCommands(
  deps: { readonly boot: BootCommands; readonly records: Pick<RecordStore, 'record'> },
  tenant: Pick<DeclaredTenant, 'id' | 'keys'>,
): Promise<{ readonly commands: Command[]; readonly absent: string[] }> {
  const { boot, records } = deps;
  const commands: Command[] = [];
  const absent: string[] = [];
  for (const { id, outputBound, allowedModels, levels, callerLevels, rateLimits } of tenant.keys) {
    const kept = await records.record('key', id);
    if (kept === undefined || kept.deletedAtMs !== null || kept.tenantId !== tenant.id) {
      absent.push(id);
      continue;
    }
    const isSameBound = outputBound === undefined || outputBound === kept.outputBound;
    const isSameModels = allowedModels === undefined || JSON.stringify(allowedModels) === JSON.stringify(kept.allowedModels ?? null);
    const isSame = (given: object | null | undefined, now: object | null | undefined): boolean =>
      given === undefined || JSON.stringify(given) === JSON.stringify(now ?? null);
    const isSameLevels = isSame(levels, kept.levels);
    const isSameCallerLevels = isSame(callerLevels, kept.callerLevels);
    const isSameRates = isSame(rateLimits, kept.rateLimits);
    if (isSameBound && isSameModels && isSameLevels && isSameCallerLevels && isSameRates) continue;
    commands.push({
      verb: 'update-key',
      id: boot.nextId(),
      tenantId: tenant.id,
      audit: boot.audit('update-key', 'key', id),
      keyId: id,
      ...(isSameBound ? {} : { outputBound }),
      ...(isSameModels ? {} : { allowedModels }),
      ...(isSameLevels ? {} : { levels }),
      ...(isSameCallerLevels ? {} : { callerLevels }),
      ...(isSameRates ? {} : { rateLimits }),
    });
  }
  return { commands, absent };
}
