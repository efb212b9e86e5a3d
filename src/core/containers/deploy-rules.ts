import { openTenant } from '../access/decide-tenant.ts';
import { firstOf, invalid, notFound, type Refusal } from '../access/rules.ts';
import type { Tenant } from '../records.ts';
import { rejected } from '../rejection.ts';
import type { State } from '../verb.ts';
import { checkContainerName, checkNames, checkVariables } from './container-names.ts';
import type { PlannedDeployment } from './commands.ts';
import { domainOf } from './decide-domain.ts';
import { secretOf } from './decide-secret.ts';
import { sshKeyOf } from './decide-ssh-key.ts';
import type { ContainerRoster, DeploymentSpec, DeploymentStrategy, RosterEntry } from './container-records.ts';

/** Largest number of GPUs of a container. Source: Tinfoil reference section 3, `gpus`. */
const MAX_GPUS = 8;
/** Characters of an unknown name that a refusal shows. */
const MAX_SHOWN = 256;

/** Refuses a tenant that may start nothing: `not_found`, `tenant_closed`, `tenant_suspended`, `payment_required`. */
export function refuseTenant(state: State, tenantId: string): Refusal | { readonly tenant: Tenant } {
  const open = openTenant(state, tenantId);
  if ('rejection' in open) return rejected(open.rejection);
  return refuseUnpaid(open.tenant) ?? open;
}

/** Refuses a tenant that is suspended or has no subscription for containers: `tenant_suspended`, `payment_required`; null where it may. */
export function refuseUnpaid(tenant: Tenant): Refusal | null {
  if (tenant.status === 'SUSPENDED') return rejected({ code: 'tenant_suspended', message: `the tenant ${tenant.id} is suspended` });
  if (tenant.entitlements.containerSubscription) return null;
  return rejected({ code: 'payment_required', message: 'an active container subscription is required' });
}

/** Whether a name is free for a container: no other one has it in the same mode. */
export const isNameFree = (
  roster: ContainerRoster,
  wanted: { readonly name: string; readonly debug: boolean; readonly exceptIds: readonly string[] },
): boolean =>
  !roster.containers.some(
    (entry) =>
      entry.name === wanted.name &&
      (entry.debug === wanted.debug || entry.nextDebug === wanted.debug) &&
      !wanted.exceptIds.includes(entry.id),
  );

/** Refuses a name that another container has in the same mode: `conflict`. */
const nameTaken = (name: string, debug: boolean): Refusal =>
  rejected({ code: 'conflict', message: `a ${debug ? 'debug ' : ''}container named ${name} exists already`, field: 'name' });

/** Refuses more containers than the tenant may have: `forbidden`. `exceptId` is one that goes in return. */
export function refuseCount(tenant: Tenant, roster: ContainerRoster, exceptId: string | null): Refusal | null {
  const { maxContainers } = tenant.entitlements;
  const count = roster.containers.filter(({ id }) => id !== exceptId).length;
  if (count < maxContainers) return null;
  return rejected({ code: 'forbidden', message: `the organization has reached its limit of ${maxContainers} containers` });
}

/** Refuses GPUs that the tenant may not have: `invalid_request`, `forbidden`; null where it may. `others` are its other containers. */
export function refuseGpus(tenant: Tenant, gpus: number, others: readonly RosterEntry[]): Refusal | null {
  if (!Number.isInteger(gpus) || gpus < 0 || gpus > MAX_GPUS) return invalid('gpus', `be a whole number from 0 to ${MAX_GPUS}`);
  if (gpus === 0) return null;
  const { gpuAccess, maxGpus } = tenant.entitlements;
  if (!gpuAccess) return rejected({ code: 'forbidden', message: 'GPU access is not enabled for this organization', field: 'gpus' });
  const taken = others.reduce((sum, entry) => sum + entry.gpus, 0);
  if (taken + gpus <= maxGpus) return null;
  const rest = Math.max(0, maxGpus - taken);
  return rejected({ code: 'forbidden', message: `the organization may use ${maxGpus} GPUs, and ${rest} of them are free`, field: 'gpus' });
}

/** Refuses a host that the caller chose and may not choose: `forbidden`. */
export const refuseHostChoice = (tenant: Tenant, asksHost: boolean): Refusal | null =>
  asksHost && !tenant.entitlements.hostChoice
    ? rejected({ code: 'forbidden', message: 'target host selection is not enabled for this organization', field: 'host_name' })
    : null;

/** Refuses names of what does not exist: `not_found`. */
function refuseUsed(state: State, tenantId: string, { secrets, sshKeys }: DeploymentSpec): Refusal | null {
  const unknown = secrets.find((name) => secretOf(state, tenantId, name) === undefined);
  if (unknown !== undefined) return notFound(`secret ${unknown.slice(0, MAX_SHOWN)}`);
  const unknownKey = sshKeys.find((name) => sshKeyOf(state, tenantId, name) === undefined);
  return unknownKey === undefined ? null : notFound(`SSH key ${unknownKey.slice(0, MAX_SHOWN)}`);
}

/** Checks what of a deployment's spec is somebody's input. */
const checkSpec = ({ variables, secrets, sshKeys, debug }: DeploymentSpec): Refusal | null =>
  firstOf(
    checkVariables(variables),
    checkNames('secrets', secrets),
    checkNames('ssh_keys', sshKeys),
    sshKeys.length > 0 && !debug ? invalid('ssh_keys', 'be empty unless the container is in debug mode') : null,
  );

/** Refuses a domain that a container may not have: `invalid_request` (none that the tenant has verified). */
function refuseDomain(state: State, tenantId: string, customDomain: string | null): Refusal | null {
  if (customDomain === null) return null;
  const isVerified = (domainOf(state, tenantId, customDomain)?.verifiedAtMs ?? null) !== null;
  return isVerified ? null : invalid('custom_domain', 'be a verified domain of the organization');
}

/** Refuses a domain that another container has: `conflict`. */
export function refuseTakenDomain(others: readonly RosterEntry[], customDomain: string | null): Refusal | null {
  const user = customDomain === null ? undefined : others.find(({ customDomains }) => customDomains.includes(customDomain));
  if (user === undefined) return null;
  const message = `the domain ${customDomain} is in use by: ${user.name}`;
  return rejected({ code: 'conflict', message, field: 'custom_domain', details: { containers: [user.name] } });
}

/** What a deployment is checked against. `exceptIds`: containers whose name and GPUs do not count. */
interface DeployAt {
  readonly state: State;
  readonly tenant: Tenant;
  readonly roster: ContainerRoster;
  readonly name: string;
  readonly asksHost: boolean;
  readonly exceptIds: readonly string[];
}

/**
 * Refuses a deployment that breaks a rule, in this order: `invalid_request` (name, variables, secrets, ssh_keys, custom_domain), `invalid_request` or
 * `forbidden` (gpus), `forbidden` (host_name), `not_found` (secrets, ssh_keys), `conflict` (name, custom_domain).
 */
export function refuseDeployment({ spec }: PlannedDeployment, at: DeployAt): Refusal | null {
  const { tenant, roster, name, exceptIds } = at;
  const others = roster.containers.filter(({ id }) => !exceptIds.includes(id));
  return (
    firstOf(
      checkContainerName(name),
      checkSpec(spec),
      refuseDomain(at.state, tenant.id, spec.customDomain),
      refuseGpus(tenant, spec.gpus, others),
      refuseHostChoice(tenant, at.asksHost),
    ) ??
    refuseUsed(at.state, tenant.id, spec) ??
    (isNameFree(roster, { name, debug: spec.debug, exceptIds }) ? null : nameTaken(name, spec.debug)) ??
    refuseTakenDomain(others, spec.customDomain)
  );
}

/** How a deployment takes the place of another one. Source: Tinfoil reference section 4: more than one GPU is not there twice. */
export const strategyOf = ({ spec, runsTwice }: PlannedDeployment): DeploymentStrategy =>
  spec.gpus > 1 || !runsTwice ? 'stop-first' : 'blue-green';
