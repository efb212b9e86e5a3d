import { notFound } from '../../core/access/rules.ts';
import { secretUserNames } from '../../core/containers/decide-secret.ts';
import { secretRecordId, type Secret } from '../../core/containers/secret-records.ts';
import { checkSecretName, checkSecretValue, isSecretName } from '../../core/containers/secret-rules.ts';
import { sealIdentity } from '../../core/records.ts';
import { accepted, type Outcome } from '../../core/rejection.ts';
import type { DataKeys } from '../../ports/data-keys.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { sendSealed } from './tenant-sealing.ts';

/** A secret without its value: nothing here gives one back. `usedBy` are names of containers. */
export interface SecretView extends Omit<Secret, 'valueSealed'> {
  readonly usedBy: readonly string[];
}

/** A secret as its owner gives it. */
export interface GivenSecret {
  readonly name: string;
  readonly value: string;
}

/** What is done with a tenant's secrets. */
export interface ManageSecrets {
  /** In the order of their names. */
  list(tenantId: string): Promise<SecretView[]>;
  /** Rejects: `not_found`. */
  find(tenantId: string, name: string): Promise<Outcome<SecretView>>;
  /** Rejects: `invalid_request` (name, value), then as `create-secret`. */
  create(actor: Actor, tenantId: string, given: GivenSecret): Promise<Outcome<SecretView>>;
  /** Rejects: `not_found`, `invalid_request` (value), then as `update-secret`. */
  update(actor: Actor, tenantId: string, given: GivenSecret): Promise<Outcome<SecretView>>;
  /** Rejects as `delete-secret`. */
  remove(actor: Actor, tenantId: string, name: string): Promise<Outcome<Secret>>;
}

/** What managing secrets needs. */
export interface ManageSecretsDeps {
  readonly records: Pick<RecordStore, 'record' | 'records'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly dataKeys: DataKeys;
}

const withoutValue = ({ id, secretId, tenantId, name, createdAtMs, updatedAtMs }: Secret): Omit<Secret, 'valueSealed'> => ({
  id,
  secretId,
  tenantId,
  name,
  createdAtMs,
  updatedAtMs,
});

/** Makes the {@link ManageSecrets}. */
export function makeManageSecrets(deps: ManageSecretsDeps): ManageSecrets {
  const { records, writer, ids } = deps;

  async function viewsOf(tenantId: string, secrets: readonly Secret[]): Promise<SecretView[]> {
    const roster = (await records.record('container-roster', tenantId)) ?? { id: tenantId, containers: [] };
    return secrets.map((secret) => ({ ...withoutValue(secret), usedBy: secretUserNames(roster, secret.name) }));
  }

  async function viewed(outcome: Outcome<Secret>): Promise<Outcome<SecretView>> {
    if (!outcome.ok) return outcome;
    const [view] = await viewsOf(outcome.value.tenantId, [outcome.value]);
    return view === undefined ? notFound('secret') : accepted(view);
  }

  async function known(tenantId: string, name: string): Promise<Outcome<Secret>> {
    const secret = isSecretName(name) ? await records.record('secret', secretRecordId(tenantId, name)) : undefined;
    return secret === undefined ? notFound('secret') : accepted(secret);
  }

  const baseOf = (actor: Actor, name: string, tenantId: string, secret: string) =>
    auditedBase(ids, actor, { name, tenantId, resourceKind: 'secret', resourceId: secret });

  const sealedFor = (tenantId: string, { name, value }: GivenSecret) => ({
    tenantId,
    plaintext: value,
    identity: sealIdentity('secret', secretRecordId(tenantId, name)),
  });

  return {
    list: async (tenantId) => {
      const secrets = await records.records('secret', tenantId);
      return viewsOf(
        tenantId,
        secrets.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      );
    },
    find: async (tenantId, name) => viewed(await known(tenantId, name)),
    create: async (actor, tenantId, given) => {
      const bad = checkSecretName(given.name) ?? checkSecretValue(given.value);
      if (bad !== null) return bad;
      const { name } = given;
      const secretId = ids.next('sec');
      const outcome = await sendSealed(deps, sealedFor(tenantId, given), (value) =>
        writer.execute({ verb: 'create-secret', ...baseOf(actor, 'create-secret', tenantId, name), secretId, name, value }),
      );
      return viewed(outcome);
    },
    update: async (actor, tenantId, given) => {
      const { name } = given;
      const found = await known(tenantId, name);
      if (!found.ok) return found;
      const bad = checkSecretValue(given.value);
      if (bad !== null) return bad;
      const outcome = await sendSealed(deps, sealedFor(tenantId, given), (value) =>
        writer.execute({ verb: 'update-secret', ...baseOf(actor, 'update-secret', tenantId, name), name, value }),
      );
      return viewed(outcome);
    },
    remove: async (actor, tenantId, name) => {
      const found = await known(tenantId, name);
      if (!found.ok) return found;
      return writer.execute({ verb: 'delete-secret', ...baseOf(actor, 'delete-secret', tenantId, name), name });
    },
  };
}
