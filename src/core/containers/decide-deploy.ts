import { checkPlace } from './container-names.ts';
import type { Refusal } from '../access/rules.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type State, type Verb } from '../verb.ts';
import type { CreateContainerCommand, DeployContainerCommand, PlannedDeployment } from './commands.ts';
import { retire, withoutUpdate } from './transitions.ts';
import type { Container, Deployment } from './container-records.ts';
import {
  changeEffects,
  containerEffect,
  containerNeeds,
  entryOf,
  openContainer,
  rosterEffect,
  rosterOf,
  toldOf,
  wrongState,
} from './container-state.ts';
import { secretNeeds } from './decide-secret.ts';
import { domainNeeds } from './decide-domain.ts';
import { sshKeyNeeds } from './decide-ssh-key.ts';
import { refuseCount, refuseDeployment, refuseTenant, strategyOf } from './deploy-rules.ts';
import { eventEffects } from '../access/access-events.ts';

/** A deployment that was asked for just now. */
function newDeployment(planned: PlannedDeployment, nowMs: number, hold: boolean): Deployment {
  return {
    ...planned.spec,
    id: planned.deploymentId,
    state: 'pending',
    strategy: strategyOf(planned),
    hold,
    endpoint: null,
    errorMessage: null,
    drainUntilMs: null,
    createdAtMs: nowMs,
    servingAtMs: null,
  };
}

/** The container that a new one takes the place of; a refusal where it is not there; null where there is none. */
function replacedOf(
  state: State,
  { tenantId, replaces }: CreateContainerCommand,
): { readonly refusal: Refusal } | { readonly container: Container | null } {
  return replaces === null ? { container: null } : openContainer(state, tenantId, replaces);
}

/** Refuses to replace a container that is being updated: `invalid_transition`, or null. */
const refuseBusy = (replaced: Container | null): Refusal | null =>
  replaced === null || replaced.update === null || replaced.update.state === 'failed'
    ? null
    : wrongState(replaced, 'be replaced', 'an update is in progress');

/**
 * Makes a container and its first deployment. The value is the container.
 *
 * Rejects, in this order: `not_found` (tenant), `tenant_closed`, `tenant_suspended`, `payment_required`, `not_found` (the container to replace),
 * `invalid_transition` (it is being updated), `forbidden` (as many containers as there may be), what a deployment may be refused for, `invalid_request`
 * (group_name, group_order, display_order), `conflict` (the id). Source: Tinfoil Admin API, create container.
 */
export const createContainerVerb: Verb<CreateContainerCommand, Container> = {
  needs: (command) => ({
    tenantLock: 'exclusive',
    records: [
      ...containerNeeds(command.tenantId, [command.containerId, ...(command.replaces === null ? [] : [command.replaces])]),
      ...secretNeeds(command.tenantId, command.spec.secrets),
      ...sshKeyNeeds(command.tenantId, command.spec.sshKeys),
      ...domainNeeds(command.tenantId, command.spec.customDomain),
    ],
  }),
  decide: (state, command, nowMs) => {
    const open = refuseTenant(state, command.tenantId);
    if ('ok' in open) return refuse(open);
    const { tenant } = open;
    const replaced = replacedOf(state, command);
    if ('refusal' in replaced) return refuse(replaced.refusal);
    const roster = rosterOf(state, tenant.id);
    const { name, asksHost, replaces } = command;
    const exceptIds = replaces === null ? [] : [replaces];
    const refusal =
      refuseBusy(replaced.container) ??
      refuseCount(tenant, roster, replaces) ??
      refuseDeployment(command, { state, tenant, roster, name, asksHost, exceptIds }) ??
      checkPlace(command.place);
    if (refusal !== null) return refuse(refusal);
    if (state.record('container', command.containerId) !== undefined) {
      return refuse(rejected({ code: 'conflict', message: `the container ${command.containerId} exists already` }));
    }
    const container: Container = {
      id: command.containerId,
      tenantId: tenant.id,
      name,
      repo: command.repo,
      status: 'deploying',
      current: newDeployment(command, nowMs, false),
      update: null,
      retired: [],
      staging: command.staging,
      autoUpdate: false,
      githubAppConnected: false,
      replaces,
      createdBy: command.createdBy,
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
      deletedAtMs: null,
    };
    const entry = entryOf(container, { ...command.place, staleSinceMs: null });
    const told = { ...toldOf(container, container.current), ...(replaces === null ? {} : { replaces }) };
    return {
      outcome: accepted(container),
      effects: [
        containerEffect(container),
        rosterEffect(roster, [entry]),
        ...eventEffects(command, nowMs, [{ type: 'container.created', data: told }]),
      ],
      auditMetadata: told,
    };
  },
};

/** Refuses what the container's state does not allow: `invalid_transition`, or `stale_view` where it is not the one that was looked at. */
function refuseState(container: Container, command: DeployContainerCommand): Refusal | null {
  const { status, update } = container;
  if (command.start) return status === 'stopped' ? null : wrongState(container, 'start', `it is ${status}, not stopped`);
  if (status !== 'ready' && status !== 'failed') {
    return wrongState(container, 'be relaunched', `it is ${status}, neither ready nor failed`);
  }
  if (update !== null && update.state !== 'failed') return wrongState(container, 'be relaunched', 'an update is in progress');
  return null;
}

/** The container with its new deployment: beside the one that serves, or in place of one that does not. */
function withDeployment(before: Container, deployment: Deployment, nowMs: number): Container {
  const container = withoutUpdate(before, nowMs);
  if (container.status === 'ready') return { ...container, update: deployment };
  const retired = [...container.retired, ...retire(container.current, nowMs)];
  return { ...container, status: 'deploying', current: { ...deployment, hold: false }, retired };
}

/**
 * Deploys a container anew. The value is the container: one that serves is as it was, but for its update.
 *
 * Rejects, in this order: `not_found` (container), `not_found` (tenant), `tenant_closed`, `tenant_suspended`, `payment_required`, `invalid_transition`,
 * `stale_view` (it changed since it was looked at), what a deployment may be refused for. Source: Tinfoil Admin API, relaunch and start; reference section 4.
 */
export const deployContainerVerb: Verb<DeployContainerCommand, Container> = {
  needs: (command) => ({
    tenantLock: 'exclusive',
    records: [
      ...containerNeeds(command.tenantId, [command.containerId]),
      ...secretNeeds(command.tenantId, command.spec.secrets),
      ...sshKeyNeeds(command.tenantId, command.spec.sshKeys),
      ...domainNeeds(command.tenantId, command.spec.customDomain),
    ],
  }),
  decide: (state, command, nowMs) => {
    const found = openContainer(state, command.tenantId, command.containerId);
    if ('refusal' in found) return refuse(found.refusal);
    const { container: before } = found;
    const open = refuseTenant(state, command.tenantId);
    if ('ok' in open) return refuse(open);
    const wrong = refuseState(before, command);
    if (wrong !== null) return refuse(wrong);
    if (before.current.id !== command.seenDeploymentId) {
      return refuse(rejected({ code: 'stale_view', message: 'the container changed meanwhile; ask again' }));
    }
    const { tenant } = open;
    const roster = rosterOf(state, tenant.id);
    const at = { state, tenant, roster, name: before.name, asksHost: command.asksHost, exceptIds: [before.id] };
    const refusal = refuseDeployment(command, at);
    if (refusal !== null) return refuse(refusal);
    const deployment = newDeployment(command, nowMs, command.hold ?? before.staging);
    const container: Container = { ...withDeployment(before, deployment, nowMs), updatedAtMs: nowMs };
    const type = container.update === null ? 'container.deploying' : 'container.update_started';
    const told = toldOf(container, deployment);
    return {
      outcome: accepted(container),
      effects: changeEffects(state, command, nowMs, { container, happenings: [{ type, data: told }] }),
      auditMetadata: told,
    };
  },
};
