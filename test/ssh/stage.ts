import { spawn } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import type { refuseShell, ShellGrant } from '../../src/core/containers/ssh-access.ts';
import type { OpenedSshSession, SshSessionEnd } from '../../src/core/containers/ssh-commands.ts';
import { accepted, rejected } from '../../src/core/rejection.ts';
import type { ExecOutput, ExecSpec, UnitExec } from '../../src/ports/container-engine.ts';
import type { ShellCandidate, SshAccess } from '../../src/ports/ssh-access.ts';
import { makeSshGateway, type SshGateway, type SshLimits } from '../../src/ssh/gateway.ts';
import { makeHostKey, readHostKey, type HostKey } from '../../src/ssh/host-key.ts';
import { makeMemoryLog, type MemoryLog } from '../support/fakes.ts';

/** A process of this machine in the place of one in a unit. */
export function startLocally({ command, env, hasTerminal }: ExecSpec): UnitExec {
  if (hasTerminal) throw new Error('there is no terminal here');
  const [program = '', ...args] = command;
  const given = Object.fromEntries(env.map(({ name, value }) => [name, value]));
  const child = spawn(program, args, { detached: true, stdio: ['pipe', 'pipe', 'pipe'], env: { PATH: process.env['PATH'], ...given } });
  child.stdin.on('error', () => undefined);
  let exitCode: number | null = null;
  child.once('exit', (code) => (exitCode = code ?? 128));
  async function* output(): AsyncGenerator<ExecOutput, void, undefined> {
    const pieces: ExecOutput[] = [];
    let wake: () => void = () => undefined;
    let open = 2;
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].on('data', (bytes: Buffer) => {
        pieces.push({ stream, bytes });
        child[stream].pause();
        wake();
      });
      child[stream].once('close', () => {
        open -= 1;
        wake();
      });
    }
    while (open > 0 || pieces.length > 0) {
      const piece = pieces.shift();
      if (piece === undefined) {
        child.stdout.resume();
        child.stderr.resume();
        await new Promise<void>((resolve) => (wake = resolve));
      } else yield piece;
    }
  }
  return {
    output: output(),
    write: (bytes) => new Promise((resolve) => void child.stdin.write(bytes, () => resolve())),
    endInput: () => void child.stdin.end(),
    resize: () => Promise.resolve(),
    exitCode: () => Promise.resolve(exitCode),
    close: () => {
      child.stdin.destroy();
      child.stdout.destroy();
      child.stderr.destroy();
    },
  };
}

/** A gateway whose containers are this machine. */
export interface GatewayStage {
  readonly port: number;
  readonly hostKey: HostKey;
  readonly gateway: SshGateway;
  /** Which keys open which user, by the line of the key. */
  readonly users: Map<string, string[]>;
  /** What is against every grant from now on; null: nothing. */
  against: ReturnType<typeof refuseShell>;
  readonly opened: OpenedSshSession[];
  readonly ended: SshSessionEnd[];
  readonly refused: string[];
  readonly log: MemoryLog;
  /** How processes are started; {@link startLocally} at first. */
  start: (spec: ExecSpec) => UnitExec;
  stop(): Promise<void>;
}

const LIMITS: SshLimits = { authMs: 60_000, idleMs: 60_000, maxConnections: 50, maxPerSource: 50, maxSessions: 5, maxTries: 6 };

/** Starts a {@link GatewayStage}. */
export async function startGateway(
  options: { readonly isForwarding?: boolean; readonly limits?: Partial<SshLimits> } = {},
): Promise<GatewayStage> {
  const hostKey = await readHostKey(makeHostKey());
  const users = new Map<string, string[]>();
  const log = makeMemoryLog();
  const stage = { against: null as GatewayStage['against'], start: startLocally };
  const opened: OpenedSshSession[] = [];
  const ended: SshSessionEnd[] = [];
  const refused: string[] = [];
  const access: SshAccess = {
    candidates: (user) => {
      const grant: ShellGrant = { tenantId: 'acme', containerId: user, deploymentId: 'd', unit: 'web', keyName: 'k', sshKeyId: 'k' };
      const lines = users.get(user) ?? [];
      return Promise.resolve(
        lines.map((line): ShellCandidate => {
          const publicKey = line.split(' ').slice(0, 2).join(' ').trim();
          return { grant, publicKey, fingerprint: '', hostName: 'here' };
        }),
      );
    },
    refusal: () => Promise.resolve(stage.against),
    open: ({ containerId }, { kind, hasTerminal }) => {
      if (stage.against !== null) return Promise.resolve(rejected({ code: 'forbidden', message: 'not any more' }));
      const names = { containerId, container: containerId, unit: 'web', keyName: 'k', fingerprint: '' };
      const session = { sessionId: `s${opened.length}`, ...names, kind, hasTerminal, startedAtMs: 0 };
      opened.push(session);
      return Promise.resolve(accepted(session));
    },
    end: (_grant, _session, _origin, end) => {
      ended.push(end);
      return Promise.resolve();
    },
    start: (_candidate, spec) => Promise.resolve(stage.start(spec)),
  };
  const gateway = await makeSshGateway({
    hostKey,
    access,
    limits: { ...LIMITS, ...options.limits },
    isForwarding: options.isForwarding ?? false,
    nowMs: () => performance.now(),
    onRefused: (why) => void refused.push(why),
    onSession: () => undefined,
    log,
  });
  const server = createServer((socket) => gateway.accept(socket));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return Object.assign(stage, {
    port: (server.address() as AddressInfo).port,
    hostKey,
    gateway,
    users,
    opened,
    ended,
    refused,
    log,
    stop: async () => {
      gateway.endAll();
      await gateway.ended();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  });
}
