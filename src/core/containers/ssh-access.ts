import type { Tenant } from '../records.ts';
import { isUuid } from './uuid.ts';
import type { Container, Deployment } from './container-records.ts';
import type { SshKey } from './ssh-key-records.ts';

/** What a user name of the gateway leads to: a container by its id or by its name in a tenant, and one of its units; null: the one that serves. */
export interface ShellAddress {
  readonly container: { readonly id: string } | { readonly name: string; readonly tenantId: string };
  readonly unit: string | null;
}

const NAME = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;
const UNIT = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;
const MAX_USER_LENGTH = 255;

/** Reads the user name of a connection: `<name>.<tenant>` or a container's id, each perhaps with `+<unit>`. Null for anything else. */
export function readShellAddress(user: string): ShellAddress | null {
  if (user.length > MAX_USER_LENGTH) return null;
  const plus = user.indexOf('+');
  const [address, unit] = plus === -1 ? [user, null] : [user.slice(0, plus), user.slice(plus + 1)];
  if (unit !== null && !UNIT.test(unit)) return null;
  if (isUuid(address)) return { container: { id: address }, unit };
  const [name = '', tenantId = '', ...more] = address.split('.');
  return more.length === 0 && NAME.test(name) && NAME.test(tenantId) ? { container: { name, tenantId }, unit } : null;
}

/** The user name that leads to a debug container. */
export const shellUser = ({ name, tenantId }: Pick<Container, 'name' | 'tenantId'>): string => `${name}.${tenantId}`;

const RUNNING: readonly Deployment['state'][] = ['started', 'ready', 'serving'];

/** The deployment of a container that a shell is opened in: what serves or is on its way to, else an update on its way; null where nothing runs. */
export const shellDeployment = ({ current, update }: Pick<Container, 'current' | 'update'>): Deployment | null =>
  [current, update].find((deployment) => deployment !== null && RUNNING.includes(deployment.state)) ?? null;

/** The names of the keys that open a container: an update that leaves one out takes it at once, and gives none before it serves. */
export function shellKeyNames(container: Container): readonly string[] {
  const deployment = shellDeployment(container);
  if (container.deletedAtMs !== null || deployment === null || !deployment.debug) return [];
  const { update } = container;
  if (update === null || update === deployment || update.state === 'failed' || update.state === 'stopped') return deployment.sshKeys;
  return update.debug ? deployment.sshKeys.filter((name) => update.sshKeys.includes(name)) : [];
}

/** A key, and what it was let in to. */
export interface ShellGrant {
  readonly tenantId: string;
  readonly containerId: string;
  readonly deploymentId: string;
  /** Of the configuration of that deployment. */
  readonly unit: string;
  readonly keyName: string;
  /** Tells a key from a later one of the same name. */
  readonly sshKeyId: string;
}

/** What a grant is looked at against: the records as they are. */
export interface ShellRecords {
  readonly tenant: Tenant | undefined;
  readonly container: Container | undefined;
  readonly key: SshKey | undefined;
}

/** Why a shell ends, or is not opened. */
export type ShellRefusal = 'tenant' | 'container' | 'key';

/**
 * Whether a grant holds: the tenant works, the container is its own, runs that very deployment in debug mode and names the key, and the key is the one
 * that was let in. Null where it does; else what is against it, in this order.
 */
export function refuseShell(grant: ShellGrant, { tenant, container, key }: ShellRecords): ShellRefusal | null {
  if (tenant === undefined || tenant.id !== grant.tenantId || tenant.status !== 'ACTIVE') return 'tenant';
  if (container === undefined || container.tenantId !== grant.tenantId || container.id !== grant.containerId) return 'container';
  const deployment = shellDeployment(container);
  const isSame = container.deletedAtMs === null && deployment?.id === grant.deploymentId && deployment.debug;
  if (!isSame || !deployment.config.units.some(({ name }) => name === grant.unit)) return 'container';
  const isNamed = shellKeyNames(container).includes(grant.keyName);
  return isNamed && key?.tenantId === grant.tenantId && key.sshKeyId === grant.sshKeyId ? null : 'key';
}
