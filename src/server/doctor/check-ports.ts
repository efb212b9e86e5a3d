import { createServer } from 'node:net';
import { makeOperatorClient } from '../../client/operator-client.ts';
import type { Server } from '../../client/wire.ts';
import type { Send } from '../../client/request.ts';
import type { Config, ListenAddress } from '../config.ts';
import { codeOf } from '../data-folder.ts';
import { originOf } from '../origin.ts';
import { type Finding, findingsOf } from './finding.ts';

/** What a look at the ports needs. `runId` is the run that the data folder remembers, `operatorKey` the key that it keeps. */
export interface PortsRequest {
  readonly config: Pick<Config, 'runtime' | 'admin'>;
  readonly operatorKey: string | null;
  readonly runId: string | null;
  readonly send: Send;
}

/** What was found, and the server that runs on this data folder, where one answers. */
export interface CheckedPorts {
  readonly findings: readonly Finding[];
  readonly server: Server | null;
}

const at = findingsOf('ports');

/** Whether the ports are free, or taken by the server of this very data folder. */
export async function checkPorts(request: PortsRequest): Promise<CheckedPorts> {
  const { config } = request;
  const findings: Finding[] = [];
  let server: Server | null = null;
  // The control plane first: it tells whose server this is.
  for (const [name, address, variable] of [
    ['control plane', config.admin, 'CASTELLAN_ADMIN_PORT'],
    ['data plane', config.runtime, 'CASTELLAN_RUNTIME_PORT'],
  ] as const) {
    const where = `${name} ${address.host}:${address.port}`;
    if (address.port === 0) {
      findings.push(at.ok(`${name}: any free port`));
      continue;
    }
    const code = await tryToListen(address);
    if (code === null) findings.push(at.ok(`${where} is free`));
    else if (code !== 'EADDRINUSE')
      findings.push(at.fail(`${where} cannot be listened on (${code}): set ${variable} or its HOST to what this user may use.`));
    else {
      server ??= name === 'control plane' ? await askServer(address, request) : null;
      const isOurs = server !== null && (name === 'control plane' || (await isUp(address, request.send)));
      findings.push(
        isOurs
          ? at.ok(`${where} is used by the Castellan of this data folder`)
          : at.fail(`${where} is used by another program: stop that one, or set ${variable} to another port.`),
      );
    }
  }
  return { findings, server };
}

/** Listens for a moment; null where that works, else the system's word for why not. */
function tryToListen({ host, port }: ListenAddress): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(codeOf(error)));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

/** The server behind a control plane, where it is that of this data folder. */
async function askServer({ host, port }: ListenAddress, { operatorKey, runId, send }: PortsRequest): Promise<Server | null> {
  if (operatorKey === null) return null;
  try {
    const server = await makeOperatorClient({ baseUrl: originOf(host, port), operatorKey, send }).server();
    return server.run_id === runId ? server : null;
  } catch {
    return null;
  }
}

async function isUp({ host, port }: ListenAddress, send: Send): Promise<boolean> {
  try {
    const answer = await send(`${originOf(host, port)}/health`, { method: 'GET', headers: {} });
    return answer.status === 200 && (await answer.text()) === '{"status":"UP"}';
  } catch {
    return false;
  }
}
