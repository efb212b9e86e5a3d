import { sealIdentity, SYSTEM_TENANT, type UsageReporter } from '../../core/records.ts';
import type { Command } from '../../core/verbs.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { SecretBox } from '../../ports/secret-box.ts';
import type { BootCommands } from '../boot-commands.ts';
import type { DeclaredReporter } from './declared-config.ts';

/**
 * The commands that make the declared usage reporters so; none for those that are so already. The file has the last word on all of a
 * reporter's fields: a secret before the present one is good if the file names it, and not otherwise.
 */
export async function reporterCommands(
  deps: { readonly boot: BootCommands; readonly records: Pick<RecordStore, 'record'>; readonly secretBox: SecretBox },
  reporters: readonly DeclaredReporter[],
): Promise<Command[]> {
  const { boot, records, secretBox } = deps;
  const commands: Command[] = [];
  for (const declared of reporters) {
    const { id, tenants } = declared;
    const kept = await records.record('usage-reporter', id);
    if (kept !== undefined && isAsDeclared(kept, declared, secretBox)) continue;
    const seal = (plaintext: string): string => secretBox.seal(plaintext, sealIdentity('usage-reporter', id));
    const { previousSecret } = declared;
    const previous = previousSecret === null ? null : { secretSealed: seal(previousSecret), untilMs: null };
    commands.push({
      verb: 'put-usage-reporter',
      id: boot.nextId(),
      tenantId: SYSTEM_TENANT,
      audit: boot.audit('put-usage-reporter', 'usage-reporter', id),
      reporter: { id, secretSealed: seal(declared.secret), previous, tenants },
      replace: true,
    });
  }
  return commands;
}

/** Sealing gives another text each time, so secrets are compared as they are. */
function isAsDeclared(kept: UsageReporter, declared: DeclaredReporter, secretBox: SecretBox): boolean {
  const open = (sealed: string): string => secretBox.open(sealed, sealIdentity('usage-reporter', kept.id));
  const { previous } = kept;
  const isSamePrevious =
    declared.previousSecret === null
      ? previous === null
      : previous !== null && previous.untilMs === null && open(previous.secretSealed) === declared.previousSecret;
  const isSameTenants = kept.tenants.length === declared.tenants.length && kept.tenants.every((id, at) => id === declared.tenants[at]);
  return isSamePrevious && isSameTenants && open(kept.secretSealed) === declared.secret;
}
