import { eventEffects, type Happening } from '../access/access-events.ts';
import { notFound, type Refusal } from '../access/rules.ts';
import type { Effect } from '../effects.ts';
import type { RecordRef } from '../records.ts';
import { rejected } from '../rejection.ts';
import type { CommandBase, State } from '../verb.ts';
import type { Container, ContainerRoster, Deployment, RosterEntry } from './container-records.ts';

/** The rows of one container and of the tenant's others. */
export const containerNeeds = (tenantId: string, containerIds: readonly string[]): RecordRef[] => [
  { kind: 'container-roster', id: tenantId },
  ...containerIds.map((id): RecordRef => ({ kind: 'container', id })),
];

/** The container of that id, where it is the tenant's and not deleted; else a refusal: `not_found`. */
export function openContainer(
  state: State,
  tenantId: string,
  containerId: string,
): { readonly container: Container } | { readonly refusal: Refusal } {
  const container = state.record('container', containerId);
  const isSeen = container !== undefined && container.tenantId === tenantId && container.deletedAtMs === null;
  return isSeen ? { container } : { refusal: notFound(`container ${containerId}`) };
}

/** All containers of a tenant, none where it never had one. */
export const rosterOf = (state: State, tenantId: string): ContainerRoster =>
  state.record('container-roster', tenantId) ?? { id: tenantId, containers: [] };

/** Refuses what the container's state does not allow: `invalid_transition`. `wanted` completes "the container cannot ...". */
export const wrongState = (container: Container, wanted: string, why: string): Refusal =>
  rejected({
    code: 'invalid_transition',
    message: `the container ${container.name} cannot ${wanted}: ${why}`,
    details: { status: container.status },
  });

const union = (lists: readonly (readonly string[])[]): string[] => [...new Set(lists.flat())].sort();

/** What the roster says of a container that is as given; its place and age are kept. */
export function entryOf(
  container: Container,
  before: Pick<RosterEntry, 'groupName' | 'groupOrder' | 'displayOrder' | 'staleSinceMs'>,
): RosterEntry {
  const { current, update } = container;
  const used: readonly Deployment[] = update === null || update.state === 'failed' ? [current] : [current, update];
  const next = used[1]?.debug ?? current.debug;
  return {
    id: container.id,
    name: container.name,
    debug: current.debug,
    nextDebug: next === current.debug ? null : next,
    gpus: Math.max(...used.map(({ gpus }) => gpus)),
    secrets: union(used.map(({ secrets }) => secrets)),
    sshKeys: union(used.map(({ sshKeys }) => sshKeys)),
    customDomains: union(used.map(({ customDomain }) => (customDomain === null ? [] : [customDomain]))),
    staleSinceMs: before.staleSinceMs,
    groupName: before.groupName,
    groupOrder: before.groupOrder,
    displayOrder: before.displayOrder,
    createdAtMs: container.createdAtMs,
  };
}

const putRoster = (roster: ContainerRoster): Effect => ({ type: 'record', kind: 'container-roster', id: roster.id, record: roster });

/** The effect that notes how many SSH keys a tenant has. */
export const countSshKeys = (roster: ContainerRoster, sshKeyCount: number): Effect => putRoster({ ...roster, sshKeyCount });

/** The effect that puts entries of a tenant's roster. */
export function rosterEffect(roster: ContainerRoster, entries: readonly RosterEntry[]): Effect {
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  const kept = roster.containers.map((entry) => byId.get(entry.id) ?? entry);
  const known = new Set(roster.containers.map(({ id }) => id));
  return putRoster({ ...roster, containers: [...kept, ...entries.filter(({ id }) => !known.has(id))] });
}

/** The effect that takes a container off a tenant's roster. */
export const leaveRosterEffect = (roster: ContainerRoster, containerId: string): Effect =>
  putRoster({ ...roster, containers: roster.containers.filter(({ id }) => id !== containerId) });

/** The effect that puts a container. */
export const containerEffect = (container: Container): Effect => ({
  type: 'record',
  kind: 'container',
  id: container.id,
  record: container,
});

/** What events and the audit tell of a container. No variables: they may be private. */
export const toldOf = (container: Container, deployment: Deployment) => ({
  tenant_id: container.tenantId,
  container_id: container.id,
  name: container.name,
  repo: container.repo,
  status: container.status,
  deployment_id: deployment.id,
  tag: deployment.tag,
  host: deployment.hostName,
});

/** The effects of a container that is changed: its row, its entry in the roster, and the events. */
export function changeEffects(
  state: State,
  command: CommandBase,
  nowMs: number,
  next: { readonly container: Container; readonly happenings: readonly Happening[]; readonly isStaleOver?: boolean },
): Effect[] {
  const { container, happenings, isStaleOver = false } = next;
  const roster = rosterOf(state, container.tenantId);
  const entry = roster.containers.find(({ id }) => id === container.id);
  const base = entry ?? { groupName: null, groupOrder: 0, displayOrder: 0, staleSinceMs: null };
  const isFresh = isStaleOver && base.staleSinceMs !== null && base.staleSinceMs <= container.current.createdAtMs;
  const changed = entryOf(container, { ...base, staleSinceMs: isFresh ? null : base.staleSinceMs });
  const isSame = entry !== undefined && JSON.stringify(entry) === JSON.stringify(changed);
  return [containerEffect(container), ...(isSame ? [] : [rosterEffect(roster, [changed])]), ...eventEffects(command, nowMs, happenings)];
}
