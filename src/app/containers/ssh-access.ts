import { unitName } from '../../core/containers/engine-names.ts';
import type { Container } from '../../core/containers/container-records.ts';
import {
  readShellAddress,
  refuseShell,
  shellDeployment,
  shellKeyNames,
  type ShellAddress,
  type ShellGrant,
} from '../../core/containers/ssh-access.ts';
import { sshKeyRecordId } from '../../core/containers/ssh-key-records.ts';
import { EngineFault } from '../../ports/container-engine.ts';
import type { ContainerHosts } from '../../ports/container-hosts.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { ShellCandidate, SshAccess, SshOrigin } from '../../ports/ssh-access.ts';
import { auditedBase } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** Under this name the gateway stands in the audit; which key it was is among what the row tells. */
const GATEWAY = 'ssh-gateway';

/** Makes the {@link SshAccess}. */
export function makeSshAccess(deps: {
  readonly records: Pick<RecordStore, 'record'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly hosts: ContainerHosts;
  readonly log: Log;
}): SshAccess {
  const { records, writer, ids, hosts, log } = deps;

  /** The container that an address leads to: a name is that of a debug container, of which a tenant has one. */
  async function containerAt({ container: at }: ShellAddress): Promise<Container | undefined> {
    if ('id' in at) return records.record('container', at.id);
    const roster = await records.record('container-roster', at.tenantId);
    const named = (roster?.containers ?? []).filter(({ name }) => name === at.name);
    const entry = named.find(({ debug }) => debug) ?? named.find(({ nextDebug }) => nextDebug === true);
    return entry === undefined ? undefined : records.record('container', entry.id);
  }

  async function candidates(user: string): Promise<readonly ShellCandidate[]> {
    const address = readShellAddress(user);
    const container = address === null ? undefined : await containerAt(address);
    const deployment = container === undefined ? null : shellDeployment(container);
    if (address === null || container === undefined || deployment === null) return [];
    const { id: containerId, tenantId } = container;
    const unit = address.unit ?? deployment.config.shim.upstreamUnit;
    const found = await Promise.all(
      shellKeyNames(container).map(async (keyName): Promise<ShellCandidate[]> => {
        const key = await records.record('ssh-key', sshKeyRecordId(tenantId, keyName));
        if (key === undefined) return [];
        const { publicKey, fingerprint, sshKeyId } = key;
        const grant: ShellGrant = { tenantId, containerId, deploymentId: deployment.id, unit, keyName, sshKeyId };
        return [{ grant, publicKey, fingerprint, hostName: deployment.hostName }];
      }),
    );
    const tenant = await records.record('tenant', tenantId);
    return found.flat().filter(({ grant }) => tenant !== undefined && tenant.status === 'ACTIVE' && unitsOf(container).has(grant.unit));
  }

  const baseOf = (name: string, { tenantId }: ShellGrant, sessionId: string, { sourceIp, client }: SshOrigin) => {
    const actor = { kind: 'system', id: GATEWAY, requestId: sessionId, sourceIp, userAgent: client } as const;
    return auditedBase(ids, actor, { name, tenantId, resourceKind: 'ssh-session', resourceId: sessionId });
  };

  return {
    candidates,
    refusal: async (grant) => {
      const [tenant, container, key] = await Promise.all([
        records.record('tenant', grant.tenantId),
        records.record('container', grant.containerId),
        records.record('ssh-key', sshKeyRecordId(grant.tenantId, grant.keyName)),
      ]);
      return refuseShell(grant, { tenant, container, key });
    },
    open: (grant, { kind, hasTerminal, origin }) => {
      const sessionId = ids.next('sshs');
      const base = baseOf('open-ssh-session', grant, sessionId, origin);
      return writer.execute({ verb: 'open-ssh-session', ...base, sessionId, grant, kind, hasTerminal });
    },
    end: async (grant, session, origin, end) => {
      const base = baseOf('end-ssh-session', grant, session.sessionId, origin);
      const outcome = await writer.execute({ verb: 'end-ssh-session', ...base, session, end });
      if (!outcome.ok) log.error({ session: session.sessionId, code: outcome.rejection.code }, 'the end of an SSH session was not noted');
    },
    start: async ({ grant, hostName }, spec) => {
      const host = hosts.find(({ name }) => name === hostName);
      if (host !== undefined) return host.engine.exec(unitName(grant.deploymentId, grant.unit), spec);
      const message = `the host ${hostName} is not declared`;
      throw new EngineFault({ kind: 'gone', message, publicMessage: 'The host of the container is not declared any more.' });
    },
  };
}

const unitsOf = (container: Container): ReadonlySet<string> =>
  new Set(shellDeployment(container)?.config.units.map(({ name }) => name) ?? []);
