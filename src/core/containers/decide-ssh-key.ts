import { eventEffects } from '../access/access-events.ts';
import { openTenant } from '../access/decide-tenant.ts';
import { notFound } from '../access/rules.ts';
import type { RecordRef } from '../records.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type Needs, type State, type Verb } from '../verb.ts';
import type { ContainerRoster } from './container-records.ts';
import { MAX_LISTED } from './container-names.ts';
import { countSshKeys, rosterOf } from './container-state.ts';
import type { CreateSshKeyCommand, DeleteSshKeyCommand } from './ssh-commands.ts';
import { sshKeyRecordId, type SshKey } from './ssh-key-records.ts';
import { checkSshKeyName, isSshKeyName } from './ssh-key-rules.ts';

/** SSH keys of a tenant. */
const MAX_SSH_KEYS = 1000;

/** The rows of SSH keys. Names that are none have no row, and those beyond what a container may list are not looked at: it is refused for them. */
export const sshKeyNeeds = (tenantId: string, names: readonly string[]): RecordRef[] =>
  names
    .slice(0, MAX_LISTED)
    .filter(isSshKeyName)
    .map((name): RecordRef => ({ kind: 'ssh-key', id: sshKeyRecordId(tenantId, name) }));

/** The SSH key of that name, where the tenant has it. To be asked for names of {@link sshKeyNeeds} only. */
export const sshKeyOf = (state: State, tenantId: string, name: string): SshKey | undefined =>
  isSshKeyName(name) ? state.record('ssh-key', sshKeyRecordId(tenantId, name)) : undefined;

/** The names of the containers that use an SSH key, by their deployment or their update: each once. */
export const sshKeyUserNames = (roster: ContainerRoster, name: string): string[] =>
  [...new Set(roster.containers.filter(({ sshKeys }) => sshKeys.includes(name)).map((entry) => entry.name))].sort();

const needsOf = ({ tenantId, name }: { readonly tenantId: string; readonly name: string }): Needs => ({
  tenantLock: 'exclusive',
  records: [{ kind: 'container-roster', id: tenantId }, ...sshKeyNeeds(tenantId, [name])],
});

const toldOf = ({ tenantId, name, keyType, fingerprint }: Pick<SshKey, 'tenantId' | 'name' | 'keyType' | 'fingerprint'>) => ({
  tenant_id: tenantId,
  name,
  key_type: keyType,
  fingerprint,
});

/**
 * Keeps a public key. The value is the record.
 *
 * Rejects, in this order: `not_found` (tenant), `tenant_closed`, `invalid_request` (name), `conflict` (there is one of that name), `forbidden` (as many as
 * there may be). Source: Tinfoil Admin API, SSH keys.
 */
export const createSshKeyVerb: Verb<CreateSshKeyCommand, SshKey> = {
  needs: needsOf,
  decide: (state, command, nowMs) => {
    const { tenantId, name, sshKeyId, keyType, publicKey, fingerprint } = command;
    const open = openTenant(state, tenantId);
    if ('rejection' in open) return refuse(rejected(open.rejection));
    const bad = checkSshKeyName(name);
    if (bad !== null) return refuse(bad);
    if (sshKeyOf(state, tenantId, name) !== undefined) {
      return refuse(rejected({ code: 'conflict', message: `an SSH key named ${name} exists already`, field: 'name' }));
    }
    const roster = rosterOf(state, tenantId);
    const count = roster.sshKeyCount ?? 0;
    if (count >= MAX_SSH_KEYS) {
      return refuse(rejected({ code: 'forbidden', message: `the organization has reached its limit of ${MAX_SSH_KEYS} SSH keys` }));
    }
    const id = sshKeyRecordId(tenantId, name);
    const key: SshKey = { id, sshKeyId, tenantId, name, keyType, publicKey, fingerprint, createdAtMs: nowMs };
    const data = toldOf(key);
    return {
      outcome: accepted(key),
      effects: [
        { type: 'record', kind: 'ssh-key', id, record: key },
        countSshKeys(roster, count + 1),
        ...eventEffects(command, nowMs, [{ type: 'ssh_key.created', data }]),
      ],
      auditMetadata: data,
    };
  },
};

/**
 * Deletes an SSH key. The value is what it was.
 *
 * Rejects, in this order: `not_found`, `conflict` (containers use it: `details.containers` are their names). Source: Tinfoil Admin API, SSH keys.
 */
export const deleteSshKeyVerb: Verb<DeleteSshKeyCommand, SshKey> = {
  needs: needsOf,
  decide: (state, command, nowMs) => {
    const { tenantId, name } = command;
    const key = sshKeyOf(state, tenantId, name);
    if (key === undefined) return refuse(notFound(`SSH key ${name}`));
    const roster = rosterOf(state, tenantId);
    const containers = sshKeyUserNames(roster, name);
    if (containers.length > 0) {
      const message = `SSH key is in use by: ${containers.join(', ')}`;
      return refuse(rejected({ code: 'conflict', message, details: { containers } }));
    }
    const data = toldOf(key);
    return {
      outcome: accepted(key),
      effects: [
        { type: 'record-removed', kind: 'ssh-key', id: key.id },
        countSshKeys(roster, Math.max(0, (roster.sshKeyCount ?? 0) - 1)),
        ...eventEffects(command, nowMs, [{ type: 'ssh_key.deleted', data }]),
      ],
      auditMetadata: data,
    };
  },
};
