import type { PlainJson } from '../json/plain-json.ts';
import { formatRfc3339 } from '../rfc3339.ts';
import { accepted, rejected } from '../rejection.ts';
import { SYSTEM_TENANT } from '../records.ts';
import { refuse, type State, type Verb } from '../verb.ts';
import { refuseShell, type ShellGrant, type ShellRecords } from './ssh-access.ts';
import type { EndSshSessionCommand, OpenedSshSession, OpenSshSessionCommand } from './ssh-commands.ts';
import { sshKeyRecordId } from './ssh-key-records.ts';

const WHY = {
  tenant: 'the organization is not active',
  container: 'the container runs no such deployment in debug mode',
  key: 'the container does not name the key',
} as const;

const recordsOf = (state: State, { tenantId, containerId, keyName }: ShellGrant): ShellRecords => ({
  tenant: state.record('tenant', tenantId),
  container: state.record('container', containerId),
  key: state.record('ssh-key', sshKeyRecordId(tenantId, keyName)),
});

const toldOf = (session: OpenedSshSession): { readonly [name: string]: PlainJson } => ({
  container_id: session.containerId,
  container: session.container,
  unit: session.unit,
  key_name: session.keyName,
  fingerprint: session.fingerprint,
  kind: session.kind,
  terminal: session.hasTerminal,
  started_at: formatRfc3339(session.startedAtMs),
});

/**
 * Opens a session: its row is durable before anything of it runs. The value is what its end is to be noted with.
 *
 * Rejects: `forbidden` (the grant does not hold any more: `details.refusal` says what is against it).
 */
export const openSshSessionVerb: Verb<OpenSshSessionCommand, OpenedSshSession> = {
  needs: ({ grant: { tenantId, containerId, keyName } }) => ({
    tenantLock: 'shared',
    records: [
      { kind: 'container', id: containerId },
      { kind: 'ssh-key', id: sshKeyRecordId(tenantId, keyName) },
    ],
  }),
  decide: (state, { tenantId, sessionId, grant, kind, hasTerminal }, nowMs) => {
    const records = recordsOf(state, grant);
    const { container, key } = records;
    const refusal = tenantId === grant.tenantId && tenantId !== SYSTEM_TENANT ? refuseShell(grant, records) : 'tenant';
    if (refusal !== null || container === undefined || key === undefined) {
      const why = refusal ?? 'key';
      return refuse(rejected({ code: 'forbidden', message: WHY[why], details: { refusal: why } }));
    }
    const { containerId, unit, keyName } = grant;
    const { fingerprint } = key;
    const names = { containerId, container: container.name, unit, keyName, fingerprint };
    const session: OpenedSshSession = { sessionId, ...names, kind, hasTerminal, startedAtMs: nowMs };
    return { outcome: accepted(session), effects: [], auditMetadata: toldOf(session) };
  },
};

/** Notes the end of a session: its row tells from when to when it was, and how it ended. Never refuses. */
export const endSshSessionVerb: Verb<EndSshSessionCommand, null> = {
  needs: () => ({ tenantLock: 'shared' }),
  decide: (_state, { session, end }, nowMs) => ({
    outcome: accepted(null),
    effects: [],
    auditMetadata: {
      ...toldOf(session),
      ended_at: formatRfc3339(Math.max(nowMs, session.startedAtMs)),
      reason: end.reason,
      exit_code: end.exitCode,
      bytes_in: end.bytesIn,
      bytes_out: end.bytesOut,
    },
  }),
};
