import { invalid, notFound, type Refusal } from '../access/rules.ts';
import { eventEffects } from '../access/access-events.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type Verb } from '../verb.ts';
import { checkGroupName, checkOrder, checkPlace } from './container-names.ts';
import type { OrganizeChange, OrganizeContainersCommand } from './commands.ts';
import type { ContainerRoster, RosterEntry } from './container-records.ts';
import { rosterEffect, rosterOf } from './container-state.ts';

/** Entries as they are after a change, or why it is refused. */
type Organized = { readonly refusal: Refusal } | { readonly entries: readonly RosterEntry[] };

const missing = (roster: ContainerRoster, ids: readonly string[]): string | undefined => {
  const known = new Set(roster.containers.map(({ id }) => id));
  return ids.find((id) => !known.has(id));
};

const members = (roster: ContainerRoster, name: string): readonly RosterEntry[] =>
  roster.containers.filter(({ groupName }) => groupName === name);

const notFoundGroup = (name: string): Organized => ({ refusal: notFound(`group ${name}`) });

function place(roster: ContainerRoster, change: Extract<OrganizeChange, { type: 'place' }>): Organized {
  if (missing(roster, [change.containerId]) !== undefined) return { refusal: notFound(`container ${change.containerId}`) };
  const refusal = checkPlace(change.place);
  if (refusal !== null) return { refusal };
  const { groupName, groupOrder } = change.place;
  const entries = roster.containers.map((entry) => {
    if (entry.id === change.containerId) return { ...entry, ...change.place };
    // The order is the group's: whoever writes it for one of its members writes it for all.
    return groupName !== null && entry.groupName === groupName ? { ...entry, groupOrder } : entry;
  });
  return { entries };
}

function reorder(roster: ContainerRoster, change: Extract<OrganizeChange, { type: 'reorder' }>): Organized {
  const ids = change.orders.map(({ containerId }) => containerId);
  if (new Set(ids).size !== ids.length) return { refusal: invalid('containers', 'name each container once') };
  const foreign = missing(roster, ids);
  if (foreign !== undefined) return { refusal: notFound(`container ${foreign}`) };
  const refusal = change.orders.map(({ displayOrder }) => checkOrder('display_order', displayOrder)).find((check) => check !== null);
  if (refusal !== undefined && refusal !== null) return { refusal };
  const byId = new Map(change.orders.map(({ containerId, displayOrder }) => [containerId, displayOrder]));
  return { entries: roster.containers.map((entry) => ({ ...entry, displayOrder: byId.get(entry.id) ?? entry.displayOrder })) };
}

function renameGroup(roster: ContainerRoster, { from, to }: Extract<OrganizeChange, { type: 'rename-group' }>): Organized {
  const refusal = checkGroupName(to, 'new_name');
  if (refusal !== null) return { refusal };
  if (members(roster, from).length === 0) return notFoundGroup(from);
  if (from !== to && members(roster, to).length > 0) {
    return { refusal: rejected({ code: 'conflict', message: `a group named ${to} exists already`, field: 'new_name' }) };
  }
  return { entries: roster.containers.map((entry) => (entry.groupName === from ? { ...entry, groupName: to } : entry)) };
}

function reorderGroups(roster: ContainerRoster, { groups }: Extract<OrganizeChange, { type: 'reorder-groups' }>): Organized {
  if (new Set(groups.map(({ name }) => name)).size !== groups.length) return { refusal: invalid('groups', 'name each group once') };
  const foreign = groups.find(({ name }) => members(roster, name).length === 0);
  if (foreign !== undefined) return notFoundGroup(foreign.name);
  const refusal = groups.map(({ groupOrder }) => checkOrder('group_order', groupOrder)).find((check) => check !== null);
  if (refusal !== undefined && refusal !== null) return { refusal };
  const byName = new Map(groups.map(({ name, groupOrder }) => [name, groupOrder]));
  const orderOf = ({ groupName, groupOrder }: RosterEntry): number =>
    groupName === null ? groupOrder : (byName.get(groupName) ?? groupOrder);
  return { entries: roster.containers.map((entry) => ({ ...entry, groupOrder: orderOf(entry) })) };
}

function deleteGroup(roster: ContainerRoster, { name }: Extract<OrganizeChange, { type: 'delete-group' }>): Organized {
  if (members(roster, name).length === 0) return notFoundGroup(name);
  return { entries: roster.containers.map((entry) => (entry.groupName === name ? { ...entry, groupName: null, groupOrder: 0 } : entry)) };
}

function organize(roster: ContainerRoster, change: OrganizeChange): Organized {
  switch (change.type) {
    case 'place':
      return place(roster, change);
    case 'reorder':
      return reorder(roster, change);
    case 'rename-group':
      return renameGroup(roster, change);
    case 'reorder-groups':
      return reorderGroups(roster, change);
    case 'delete-group':
      return deleteGroup(roster, change);
  }
}

/**
 * Orders a tenant's containers and groups: in all or not at all. The value is the roster.
 *
 * Rejects: `invalid_request` (a place, order or name that breaks a rule, one that is named twice), `not_found` (a container or group of that name),
 * `conflict` (a group of the new name). Source: Tinfoil Admin API, organization; what the bodies hold: reference section 1.3.
 */
export const organizeContainersVerb: Verb<OrganizeContainersCommand, ContainerRoster> = {
  needs: ({ tenantId }) => ({ tenantLock: 'exclusive', records: [{ kind: 'container-roster', id: tenantId }] }),
  decide: (state, command, nowMs) => {
    const roster = rosterOf(state, command.tenantId);
    const organized = organize(roster, command.change);
    if ('refusal' in organized) return refuse(organized.refusal);
    const effect = rosterEffect(roster, organized.entries);
    const data = { tenant_id: command.tenantId, change: command.change.type };
    return {
      outcome: accepted({ ...roster, containers: organized.entries }),
      effects: [effect, ...eventEffects(command, nowMs, [{ type: 'container.organized', data }])],
      auditMetadata: data,
    };
  },
};

/** Orders entries as lists show them: by the order of groups, then their own, then age; containers without a group count as a group of their own order. */
export const listOrder = (a: RosterEntry, b: RosterEntry): number =>
  a.groupOrder - b.groupOrder ||
  (a.groupName ?? '').localeCompare(b.groupName ?? '', 'en') ||
  a.displayOrder - b.displayOrder ||
  a.createdAtMs - b.createdAtMs ||
  (a.id < b.id ? -1 : 1);
