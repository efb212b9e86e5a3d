import { eventEffects } from '../access/access-events.ts';
import type { ContainerEventType } from './event-types.ts';
import { accepted } from '../rejection.ts';
import { refuse, type CommandBase, type Decision, type State, type Verb } from '../verb.ts';
import type { AcceptUpdateCommand, CancelUpdateCommand, DeleteContainerCommand, StopContainerCommand } from './commands.ts';
import type { Container } from './container-records.ts';
import {
  changeEffects,
  containerEffect,
  containerNeeds,
  leaveRosterEffect,
  openContainer,
  rosterOf,
  toldOf,
  wrongState,
} from './container-state.ts';
import { emptied, promoted, withoutUpdate } from './transitions.ts';
import type { Effect } from '../effects.ts';

const needs = ({ tenantId, containerId }: { readonly tenantId: string; readonly containerId: string }) => ({
  tenantLock: 'exclusive' as const,
  records: containerNeeds(tenantId, [containerId]),
});

/** A container that is changed, with an event of that type. */
function changed(
  state: State,
  command: CommandBase,
  nowMs: number,
  next: { readonly container: Container; readonly type: ContainerEventType },
): Decision<Container> {
  const { container, type } = next;
  const told = toldOf(container, container.update ?? container.current);
  return {
    outcome: accepted(container),
    effects: changeEffects(state, command, nowMs, { container, happenings: [{ type, data: told }] }),
    auditMetadata: told,
  };
}

/**
 * Stops a container that runs or is being deployed; an update is dropped first. The value is the container, `stopping`.
 *
 * Rejects, in this order: `not_found`, `invalid_transition` (neither ready nor deploying). Source: Tinfoil reference section 4, stop.
 */
export const stopContainerVerb: Verb<StopContainerCommand, Container> = {
  needs,
  decide: (state, command, nowMs) => {
    const found = openContainer(state, command.tenantId, command.containerId);
    if ('refusal' in found) return refuse(found.refusal);
    const { container } = found;
    if (container.status !== 'ready' && container.status !== 'deploying') {
      return refuse(wrongState(container, 'be stopped', `it is ${container.status}, not running`));
    }
    // During an update that comes after what it replaces, what is to stop is the update.
    const { update } = container;
    const isBetween = update !== null && container.status === 'deploying';
    const running: Container = isBetween
      ? {
          ...container,
          current: update,
          update: null,
          retired: [...container.retired, container.current].filter(({ state: at }) => at === 'draining'),
        }
      : container;
    const untilMs = nowMs + (container.status === 'ready' ? command.drainMs : 0);
    const stopped = emptied(running, { status: 'stopping', untilMs, nowMs, update: null });
    return changed(state, command, nowMs, { container: stopped, type: 'container.stopping' });
  },
};

/** The effects of deleting a container: it leaves the roster at once, and its row once nothing of it runs. */
export function deleteEffects(
  state: State,
  command: CommandBase,
  at: { readonly container: Container; readonly nowMs: number; readonly untilMs: number },
): { readonly container: Container; readonly effects: Effect[] } {
  const { container: before, nowMs, untilMs } = at;
  const container: Container = { ...emptied(before, { status: 'stopping', untilMs, nowMs, update: null }), deletedAtMs: nowMs };
  const events = eventEffects(command, nowMs, [{ type: 'container.deleted', data: toldOf(container, container.current) }]);
  return {
    container,
    effects: [containerEffect(container), leaveRosterEffect(rosterOf(state, container.tenantId), container.id), ...events],
  };
}

/**
 * Deletes a container, whatever it does. From now on nobody sees it; what runs of it is removed after. The value is the container.
 *
 * Rejects: `not_found`. Source: Tinfoil Admin API, delete container.
 */
export const deleteContainerVerb: Verb<DeleteContainerCommand, Container> = {
  needs,
  decide: (state, command, nowMs) => {
    const found = openContainer(state, command.tenantId, command.containerId);
    if ('refusal' in found) return refuse(found.refusal);
    const { container, effects } = deleteEffects(state, command, { container: found.container, nowMs, untilMs: nowMs });
    return { outcome: accepted(container), effects, auditMetadata: toldOf(container, container.current) };
  },
};

/**
 * Lets an update that waits take the traffic. The value is the container.
 *
 * Rejects, in this order: `not_found`, `invalid_transition` (no update is ready). Source: Tinfoil reference section 1.3, accept.
 */
export const acceptUpdateVerb: Verb<AcceptUpdateCommand, Container> = {
  needs,
  decide: (state, command, nowMs) => {
    const found = openContainer(state, command.tenantId, command.containerId);
    if ('refusal' in found) return refuse(found.refusal);
    const { update } = found.container;
    if (update === null || update.state !== 'ready' || update.endpoint === null) {
      const why = update === null ? 'no update is in progress' : `its update is ${update.state}, not ready`;
      return refuse(wrongState(found.container, 'take over its update', why));
    }
    const container = promoted(found.container, update.endpoint, { nowMs, drainMs: command.drainMs });
    const happenings = [{ type: 'container.updated', data: toldOf(container, container.current) }];
    return {
      outcome: accepted(container),
      effects: changeEffects(state, command, nowMs, { container, happenings, isStaleOver: true }),
      auditMetadata: toldOf(container, container.current),
    };
  },
};

/**
 * Drops an update; the one that serves goes on. A failed one is forgotten likewise. The value is the container.
 *
 * Rejects, in this order: `not_found`, `invalid_transition` (no update; one for which what served was stopped already). Source: Tinfoil Admin API, cancel update.
 */
export const cancelUpdateVerb: Verb<CancelUpdateCommand, Container> = {
  needs,
  decide: (state, command, nowMs) => {
    const found = openContainer(state, command.tenantId, command.containerId);
    if ('refusal' in found) return refuse(found.refusal);
    const { container: before } = found;
    const { update } = before;
    if (update === null) return refuse(wrongState(before, 'cancel its update', 'no update is in progress'));
    if (before.current.state !== 'serving') return refuse(wrongState(before, 'cancel its update', 'what it replaces was stopped already'));
    const container: Container = { ...withoutUpdate(before, nowMs), updatedAtMs: nowMs };
    const told = toldOf(container, update);
    return {
      outcome: accepted(container),
      effects: changeEffects(state, command, nowMs, { container, happenings: [{ type: 'container.update_canceled', data: told }] }),
      auditMetadata: told,
    };
  },
};
