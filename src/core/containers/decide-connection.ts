import type { Refusal } from '../access/rules.ts';
import type { IdempotencyRef } from '../effects.ts';
import { SYSTEM_TENANT } from '../records.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type Verb } from '../verb.ts';
import type { AppConnection } from './app-connection.ts';
import type { NoteReleaseMarkCommand, SetContainerCommand, TakeReleaseHookCommand } from './commands.ts';
import type { Container } from './container-records.ts';
import { changeEffects, containerNeeds, openContainer, toldOf, wrongState } from './container-state.ts';

const needs = ({ tenantId, containerId }: { readonly tenantId: string; readonly containerId: string }) => ({
  tenantLock: 'exclusive' as const,
  records: containerNeeds(tenantId, [containerId]),
});

/**
 * Refuses to connect a container: `not_found` (no App is declared, or installed for its repository), `forbidden` (the owner is not given to the tenant),
 * `invalid_transition` (the repository is not on GitHub, the installation is suspended); null where nothing is in the way. Source: Tinfoil reference section 1.3.
 */
function refuseConnection(container: Container, connection: AppConnection): Refusal | null {
  const { repo } = container;
  const owner = repo.split('/', 1)[0] ?? '';
  switch (connection) {
    case 'connected':
      return null;
    case 'no_app':
      return rejected({ code: 'not_found', message: `no GitHub App installation for ${owner}: this server has no GitHub App declared` });
    case 'not_installed':
      return rejected({
        code: 'not_found',
        message: `no GitHub App installation for ${owner}: install the App for ${repo}, then try again`,
      });
    case 'not_allowed':
      return rejected({
        code: 'forbidden',
        message: `the repositories of ${owner} are not given to this organization: the operator names it among the owners of the GitHub App`,
      });
    case 'elsewhere':
      return wrongState(container, 'be connected', `${repo} is not on GitHub here`);
    case 'suspended':
      return wrongState(container, 'be connected', `the GitHub App installation for ${owner} is suspended`);
  }
}

/** What served when an App was connected was deployed before: its release is left as it is. */
const markAtConnection = ({ current, markedDeploymentId }: Container, connects: boolean): Pick<Container, 'markedDeploymentId'> => {
  if (connects && current.state === 'serving') return { markedDeploymentId: current.id };
  return markedDeploymentId === undefined ? {} : { markedDeploymentId };
};

/**
 * Changes what is given of a container without deploying it. The value is the container.
 *
 * Rejects, in this order: `not_found`, what connecting may be refused for (`not_found`, `forbidden`, `invalid_transition`), `invalid_transition` (`auto_update`
 * is asked for, and no App is connected, nor is its source asked for new tags). Source: Tinfoil Admin API, auto-update and github-connection: disconnecting
 * turns auto-update off (reference section 4).
 */
export const setContainerVerb: Verb<SetContainerCommand, Container> = {
  needs,
  decide: (state, command, nowMs) => {
    const found = openContainer(state, command.tenantId, command.containerId);
    if ('refusal' in found) return refuse(found.refusal);
    const { container: before } = found;
    const { autoUpdate = before.autoUpdate, githubAppConnected = before.githubAppConnected } = command;
    const connects = githubAppConnected && !before.githubAppConnected;
    const refusal = connects ? refuseConnection(before, command.connection ?? 'no_app') : null;
    if (refusal !== null) return refuse(refusal);
    const isTold = githubAppConnected || command.isPolled;
    // One that only disconnects loses its updates with that; one that asks for them is told why not.
    if (command.autoUpdate === true && !isTold) return refuse(wrongState(before, 'update itself', 'it is not connected to a GitHub App'));
    const container: Container = {
      ...before,
      autoUpdate: autoUpdate && isTold,
      githubAppConnected,
      ...markAtConnection(before, connects),
      updatedAtMs: nowMs,
    };
    const settings = { auto_update: container.autoUpdate, github_app_connected: githubAppConnected };
    const told = { ...toldOf(container, container.update ?? container.current), ...settings };
    return {
      outcome: accepted(container),
      effects: changeEffects(state, command, nowMs, { container, happenings: [{ type: 'container.changed', data: told }] }),
      auditMetadata: told,
    };
  },
};

/**
 * Notes what came of marking the release of a deployment, so that it is done once: somebody may mark another one later. The value is the container.
 *
 * Rejects, in this order: `not_found`, `stale_view` (it serves another deployment). Source: Tinfoil reference section 4, "Staging".
 */
export const noteReleaseMarkVerb: Verb<NoteReleaseMarkCommand, Container> = {
  needs,
  decide: (state, command, nowMs) => {
    const found = openContainer(state, command.tenantId, command.containerId);
    if ('refusal' in found) return refuse(found.refusal);
    const { container: before } = found;
    const { deploymentId, mark } = command;
    if (before.current.id !== deploymentId) return refuse(rejected({ code: 'stale_view', message: 'the container changed meanwhile' }));
    const container: Container = { ...before, markedDeploymentId: deploymentId };
    const told = { ...toldOf(container, container.current), mark };
    const happenings = mark === 'marked' ? [{ type: 'container.release_marked', data: told }] : [];
    return { outcome: accepted(container), effects: changeEffects(state, command, nowMs, { container, happenings }), auditMetadata: told };
  },
};

const hookRef = ({ digest }: TakeReleaseHookCommand): IdempotencyRef => ({
  tenantId: SYSTEM_TENANT,
  operation: 'release-hook',
  target: '',
  key: digest,
});

/** Remembers a webhook. The value tells whether it is new: the same bytes were not taken within the time that they are remembered. Never rejects. */
export const takeReleaseHookVerb: Verb<TakeReleaseHookCommand, { readonly isNew: boolean }> = {
  needs: (command) => ({ tenantLock: 'exclusive', idempotency: [hookRef(command)] }),
  decide: (state, command, nowMs) => {
    const ref = hookRef(command);
    const before = state.idempotency(ref);
    if (before !== undefined && before.expiresAtMs > nowMs) return { outcome: accepted({ isNew: false }), effects: [] };
    const record = { hash: '', answer: true, expiresAtMs: nowMs + command.keepMs };
    return { outcome: accepted({ isNew: true }), effects: [{ type: 'idempotency', ref, record }] };
  },
};
