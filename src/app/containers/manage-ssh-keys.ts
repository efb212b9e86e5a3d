import { notFound } from '../../core/access/rules.ts';
import { sshKeyUserNames } from '../../core/containers/decide-ssh-key.ts';
import type { SshKey } from '../../core/containers/ssh-key-records.ts';
import { checkParsedSshKey, checkSshKeyName, isSshKeyName, readSshKeyLine } from '../../core/containers/ssh-key-rules.ts';
import { accepted, type Outcome } from '../../core/rejection.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { ParseSshKey } from '../../ports/ssh-keys.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** An SSH key with the names of the containers that use it. */
export interface SshKeyView extends SshKey {
  readonly usedBy: readonly string[];
}

/** What is done with a tenant's SSH keys. */
export interface ManageSshKeys {
  /** In the order of their names. */
  list(tenantId: string): Promise<SshKeyView[]>;
  /** Rejects: `invalid_request` (name, public_key), then as `create-ssh-key`. */
  create(actor: Actor, tenantId: string, given: { readonly name: string; readonly publicKey: string }): Promise<Outcome<SshKeyView>>;
  /** Rejects as `delete-ssh-key`. */
  remove(actor: Actor, tenantId: string, name: string): Promise<Outcome<SshKey>>;
}

/** Makes the {@link ManageSshKeys}. */
export function makeManageSshKeys(deps: {
  readonly records: Pick<RecordStore, 'record' | 'records'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly parseSshKey: ParseSshKey;
}): ManageSshKeys {
  const { records, writer, ids, parseSshKey } = deps;

  async function viewsOf(tenantId: string, keys: readonly SshKey[]): Promise<SshKeyView[]> {
    const roster = (await records.record('container-roster', tenantId)) ?? { id: tenantId, containers: [] };
    return keys.map((key) => ({ ...key, usedBy: sshKeyUserNames(roster, key.name) }));
  }

  const baseOf = (actor: Actor, name: string, tenantId: string, key: string) =>
    auditedBase(ids, actor, { name, tenantId, resourceKind: 'ssh-key', resourceId: key });

  return {
    list: async (tenantId) => {
      const keys = await records.records('ssh-key', tenantId);
      return viewsOf(
        tenantId,
        keys.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      );
    },
    create: async (actor, tenantId, { name, publicKey: text }) => {
      const bad = checkSshKeyName(name);
      if (bad !== null) return bad;
      const line = readSshKeyLine(text);
      if ('refusal' in line) return line.refusal;
      const parsed = await parseSshKey(line);
      const wrong = checkParsedSshKey(line, parsed);
      if (wrong !== null || parsed === null) return wrong ?? notFound('SSH key');
      const { type: keyType, publicKey, fingerprint } = parsed;
      const base = baseOf(actor, 'create-ssh-key', tenantId, name);
      const outcome = await writer.execute({
        verb: 'create-ssh-key',
        ...base,
        sshKeyId: ids.next('ssh'),
        name,
        keyType,
        publicKey,
        fingerprint,
      });
      if (!outcome.ok) return outcome;
      const [view] = await viewsOf(tenantId, [outcome.value]);
      return view === undefined ? notFound('SSH key') : accepted(view);
    },
    remove: async (actor, tenantId, name) => {
      if (!isSshKeyName(name)) return notFound('SSH key');
      return writer.execute({ verb: 'delete-ssh-key', ...baseOf(actor, 'delete-ssh-key', tenantId, name), name });
    },
  };
}
