import { eventEffects } from '../access/access-events.ts';
import { openTenant } from '../access/decide-tenant.ts';
import { notFound, type Refusal } from '../access/rules.ts';
import type { RecordRef } from '../records.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type Needs, type State, type Verb } from '../verb.ts';
import type { ContainerRoster, RosterEntry } from './container-records.ts';
import { MAX_LISTED } from './container-names.ts';
import { rosterEffect, rosterOf } from './container-state.ts';
import type { CreateSecretCommand, DeleteSecretCommand, UpdateSecretCommand } from './secret-commands.ts';
import { secretRecordId, type Secret, type TenantKey } from './secret-records.ts';
import { checkSecretName, isSecretName } from './secret-rules.ts';
import { sealingKey, tenantKeyEffect } from './tenant-key.ts';

/** Secrets of a tenant, and what they come to as they are kept, in bytes. */
const MAX_SECRETS = 1000;
const MAX_SECRETS_BYTES = 16 * 1024 * 1024;

/** The rows of secrets. Names that are none have no row, and those beyond what a container may list are not looked at: it is refused for them. */
export const secretNeeds = (tenantId: string, names: readonly string[]): RecordRef[] =>
  names
    .slice(0, MAX_LISTED)
    .filter(isSecretName)
    .map((name): RecordRef => ({ kind: 'secret', id: secretRecordId(tenantId, name) }));

/** The secret of that name, where the tenant has it. To be asked for names of {@link secretNeeds} only. */
export const secretOf = (state: State, tenantId: string, name: string): Secret | undefined =>
  isSecretName(name) ? state.record('secret', secretRecordId(tenantId, name)) : undefined;

/** The containers that use a secret, by their deployment or their update. */
const secretUsers = (roster: ContainerRoster, name: string): RosterEntry[] =>
  roster.containers.filter(({ secrets }) => secrets.includes(name));

/** The names of the containers that use a secret: each once, though a debug container may have the name of another one. */
export const secretUserNames = (roster: ContainerRoster, name: string): string[] =>
  [...new Set(secretUsers(roster, name).map((entry) => entry.name))].sort();

const needsOf = ({ tenantId, name }: { readonly tenantId: string; readonly name: string }): Needs => ({
  tenantLock: 'exclusive',
  records: [{ kind: 'tenant-key', id: tenantId }, { kind: 'container-roster', id: tenantId }, ...secretNeeds(tenantId, [name])],
});

/** The tenant's key with the sums as they are after a value takes the place of another; a refusal where that is too much: `forbidden`. */
function withValue(
  key: TenantKey,
  sealed: string,
  before: Secret | undefined,
): { readonly refusal: Refusal } | { readonly key: TenantKey } {
  const secretCount = key.secretCount + (before === undefined ? 1 : 0);
  const secretBytes = key.secretBytes + sealed.length - (before?.valueSealed.length ?? 0);
  if (secretCount > MAX_SECRETS) {
    return { refusal: rejected({ code: 'forbidden', message: `the organization has reached its limit of ${MAX_SECRETS} secrets` }) };
  }
  if (secretBytes > MAX_SECRETS_BYTES) {
    return { refusal: rejected({ code: 'forbidden', message: 'the secrets of the organization are too large in all', field: 'value' }) };
  }
  return { key: { ...key, secretCount, secretBytes } };
}

const toldOf = (tenantId: string, name: string) => ({ tenant_id: tenantId, name });

/**
 * Makes a secret and, with the first one, the tenant's key. The value is the secret.
 *
 * Rejects, in this order: `not_found` (tenant), `tenant_closed`, `invalid_request` (name), `conflict` (there is one of that name), `stale_view` (sealed by
 * another key than the tenant's), `forbidden` (as many as there may be). Source: Tinfoil Admin API, secrets.
 */
export const createSecretVerb: Verb<CreateSecretCommand, Secret> = {
  needs: needsOf,
  decide: (state, command, nowMs) => {
    const { tenantId, name, value, secretId } = command;
    const open = openTenant(state, tenantId);
    if ('rejection' in open) return refuse(rejected(open.rejection));
    const bad = checkSecretName(name);
    if (bad !== null) return refuse(bad);
    if (secretOf(state, tenantId, name) !== undefined) {
      return refuse(rejected({ code: 'conflict', message: `a secret named ${name} exists already`, field: 'name' }));
    }
    const found = sealingKey(state, { tenantId, sealed: value, nowMs });
    if ('refusal' in found) return refuse(found.refusal);
    const summed = withValue(found.key, value.sealed, undefined);
    if ('refusal' in summed) return refuse(summed.refusal);
    const id = secretRecordId(tenantId, name);
    const secret: Secret = { id, secretId, tenantId, name, valueSealed: value.sealed, createdAtMs: nowMs, updatedAtMs: nowMs };
    const data = toldOf(tenantId, name);
    return {
      outcome: accepted(secret),
      effects: [
        tenantKeyEffect(summed.key),
        { type: 'record', kind: 'secret', id, record: secret },
        ...eventEffects(command, nowMs, [{ type: 'secret.created', data }]),
      ],
      auditMetadata: data,
    };
  },
};

/**
 * Gives a secret another value. The value is the secret. Containers that use it are stale from now on: they keep the value that they were started with.
 *
 * Rejects, in this order: `not_found` (tenant), `tenant_closed`, `not_found` (secret), `stale_view`, `forbidden` (too large in all).
 */
export const updateSecretVerb: Verb<UpdateSecretCommand, Secret> = {
  needs: needsOf,
  decide: (state, command, nowMs) => {
    const { tenantId, name, value } = command;
    const open = openTenant(state, tenantId);
    if ('rejection' in open) return refuse(rejected(open.rejection));
    const before = secretOf(state, tenantId, name);
    if (before === undefined) return refuse(notFound(`secret ${name}`));
    const found = sealingKey(state, { tenantId, sealed: value, nowMs });
    if ('refusal' in found) return refuse(found.refusal);
    const summed = withValue(found.key, value.sealed, before);
    if ('refusal' in summed) return refuse(summed.refusal);
    const secret: Secret = { ...before, valueSealed: value.sealed, updatedAtMs: nowMs };
    const roster = rosterOf(state, tenantId);
    const stale = secretUsers(roster, name).map((entry) => ({ ...entry, staleSinceMs: nowMs }));
    const data = { ...toldOf(tenantId, name), used_by: secretUserNames(roster, name) };
    return {
      outcome: accepted(secret),
      effects: [
        tenantKeyEffect(summed.key),
        { type: 'record', kind: 'secret', id: secret.id, record: secret },
        ...(stale.length === 0 ? [] : [rosterEffect(roster, stale)]),
        ...eventEffects(command, nowMs, [{ type: 'secret.updated', data }]),
      ],
      auditMetadata: data,
    };
  },
};

/**
 * Deletes a secret. The value is what it was.
 *
 * Rejects, in this order: `not_found`, `conflict` (containers use it: `details.containers` are their names). Source: Tinfoil Admin API, secrets.
 */
export const deleteSecretVerb: Verb<DeleteSecretCommand, Secret> = {
  needs: needsOf,
  decide: (state, command, nowMs) => {
    const { tenantId, name } = command;
    const secret = secretOf(state, tenantId, name);
    if (secret === undefined) return refuse(notFound(`secret ${name}`));
    const containers = secretUserNames(rosterOf(state, tenantId), name);
    if (containers.length > 0) {
      const message = `secret is in use by: ${containers.join(', ')}`;
      return refuse(rejected({ code: 'conflict', message, details: { containers } }));
    }
    const key = state.record('tenant-key', tenantId);
    const sums = key && {
      ...key,
      secretCount: Math.max(0, key.secretCount - 1),
      secretBytes: Math.max(0, key.secretBytes - secret.valueSealed.length),
    };
    const data = toldOf(tenantId, name);
    return {
      outcome: accepted(secret),
      effects: [
        { type: 'record-removed', kind: 'secret', id: secret.id },
        ...(sums === undefined ? [] : [tenantKeyEffect(sums)]),
        ...eventEffects(command, nowMs, [{ type: 'secret.deleted', data }]),
      ],
      auditMetadata: data,
    };
  },
};
