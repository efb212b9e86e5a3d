import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A real Docker engine. */
export interface TestEngine {
  /** `unix://` and the path of its socket. */
  readonly docker: string;
  readonly socket: string;
  /** Where ports that it publishes are reached from the test. */
  readonly address: string;
  /** Where the engine reaches what the test itself listens on. */
  readonly testAddress: string;
  /** Put before a command to run it where the engine's networks are; empty where that is here. */
  readonly via: readonly string[];
  /** Runs a command where the engine's networks are, and returns what it printed. Throws what it complained of. */
  run(...command: readonly string[]): string;
  /** Addresses of a container on its networks, and those of the host on a network. */
  addressesOf(container: string): string[];
  gateways(network: string): string[];
  /** Kills the engine as a fault would; its containers' processes may live on. Only an engine of the test's own. */
  kill(): Promise<void>;
  /** Starts it again after `kill`. */
  start(): Promise<void>;
  /** What it logged so far. */
  log(): string;
  /** Ends it and removes everything of it. An engine that is shared with other tests stays. */
  stop(): Promise<void>;
}

/** Blocks that pairs of namespaces take their addresses from; registries there may be spoken to without TLS. */
export const TEST_ADDRESSES = '10.200.0.0/13';

const READY_MS = 30_000;

/**
 * Ends the engine and everything below its folder when the input ends, so that nothing stays when the test's process is killed. For a line
 * `start` the engine is started, for `kill` it is killed.
 */
const SUPERVISOR = `
folder=$1; ns=$2; shift 2
# Only what the shell does itself: a program that searches would find itself, since it is told what to search.
own() {
  found=()
  for p in /proc/[0-9]*; do
    [ "$p" = "/proc/$$" ] && continue
    words=()
    mapfile -d '' words <"$p/cmdline"
    case "\${words[*]}" in *"$folder/"*) found+=("\${p#/proc/}") ;; esac
  done 2>/dev/null
}
pid=
while read -r order; do
  case $order in
    start) nsenter --net=/run/netns/$ns -- "$@" </dev/null & pid=$! ;;
    # Its own child ends with it, and the pid file of that one would be taken for a running process until someone has reaped it.
    kill) kill -KILL $pid; wait $pid 2>/dev/null; rm -f "$folder/exec/containerd/containerd.pid"; echo "killed $pid" ;;
  esac
done
[ -n "$pid" ] && kill -TERM $pid 2>/dev/null && wait $pid 2>/dev/null
own
while [ \${#found[@]} -gt 0 ]; do
  kill -KILL "\${found[@]}" 2>/dev/null
  sleep 0.05
  own
done
grep -o "$folder/[^ ]*" /proc/self/mounts | sort -r | while read -r mount; do umount -l "$mount" 2>/dev/null; done
ip netns del $ns 2>/dev/null
rm -rf "$folder"
exit 0
`;

function must(command: readonly string[]): string {
  const [program = '', ...args] = command;
  const run = spawnSync(program, args, { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`${command.join(' ')}: ${run.error?.message ?? run.stderr.trim()}`);
  return run.stdout;
}

/** Waits until an engine answers; throws what it logged where it does not. */
async function ready(socket: string, log: () => string): Promise<void> {
  const deadlineMs = Date.now() + READY_MS;
  while (!(await answers(socket))) {
    if (Date.now() > deadlineMs) throw new Error(`the Docker engine did not start:\n${log()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const answers = (socketPath: string): Promise<boolean> =>
  new Promise((resolve) => {
    const asked = request({ socketPath, path: '/_ping', timeout: 2000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    asked.on('error', () => resolve(false));
    asked.on('timeout', () => asked.destroy());
    asked.end();
  });

/** An engine whose machine is a namespace of the test's own. */
export interface OwnEngine extends TestEngine {
  /** Gives the test further addresses, where the engine's machine finds them. They go with the engine. */
  giveAddresses(addresses: readonly string[]): void;
}

const lookUp = (docker: string): Pick<TestEngine, 'addressesOf' | 'gateways'> => {
  const inspect = (what: string, format: string, name: string): string[] =>
    must(['docker', '--host', docker, what, 'inspect', '--format', format, name]).trim().split(' ');
  return {
    addressesOf: (container) => inspect('container', '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}', container),
    gateways: (network) => inspect('network', '{{range .IPAM.Config}}{{.Gateway}} {{end}}', network),
  };
};

/** The engine that is there for the whole run, or one of the test's own. */
export function startDockerEngine(): Promise<TestEngine> {
  const shared = process.env['DOCKER_HOST'];
  if (shared === undefined || !shared.startsWith('unix://')) return startSecondEngine();
  const socket = shared.slice('unix://'.length);
  const none = (): never => {
    throw new Error('this engine is shared with other tests');
  };
  return Promise.resolve({
    docker: shared,
    socket,
    address: '127.0.0.1',
    testAddress: '127.0.0.1',
    via: [],
    run: (...command) => must(command),
    ...lookUp(shared),
    kill: none,
    start: none,
    log: () => '',
    stop: () => Promise.resolve(),
  });
}

/** Numbers of pairs that this process made. */
const made = { count: 0 };

/** A pair of addresses that nobody on this machine uses: one for the test, one for the engine. */
function freePair(): { readonly test: string; readonly engine: string } {
  for (;;) {
    const index = (process.pid * 16 + made.count) % 131_072;
    made.count += 1;
    const base = 10 * 2 ** 24 + 200 * 2 ** 16 + index * 4;
    const dotted = (n: number): string => [24, 16, 8, 0].map((shift) => Math.floor(n / 2 ** shift) % 256).join('.');
    if (must(['ip', 'route', 'show', `${dotted(base)}/30`]) === '') return { test: dotted(base + 1), engine: dotted(base + 2) };
  }
}

/**
 * An engine in a network namespace of its own, joined to the test's by a pair of virtual interfaces, with a folder and a socket of its own.
 * Takes about two seconds, and needs root.
 */
export async function startSecondEngine(): Promise<OwnEngine> {
  const folder = mkdtempSync(join(tmpdir(), 'castellan-docker-'));
  const socket = join(folder, 'docker.sock');
  const name = `cst${process.pid.toString(36)}${made.count.toString(36)}`;
  const pair = freePair();
  const via = ['nsenter', `--net=/run/netns/${name}`, '--'];
  must(['ip', 'netns', 'add', name]);
  must(['ip', 'link', 'add', `${name}a`, 'type', 'veth', 'peer', 'name', `${name}b`, 'netns', name]);
  must(['ip', 'addr', 'add', `${pair.test}/30`, 'dev', `${name}a`]);
  must(['ip', 'link', 'set', `${name}a`, 'up']);
  must([...via, 'ip', 'addr', 'add', `${pair.engine}/30`, 'dev', `${name}b`]);
  for (const device of ['lo', `${name}b`]) must([...via, 'ip', 'link', 'set', device, 'up']);
  must([...via, 'ip', 'route', 'add', 'default', 'via', pair.test]);

  const logFile = join(folder, 'dockerd.log');
  const log = (): string => (existsSync(logFile) ? readFileSync(logFile, 'utf8') : '');
  const logFd = openSync(logFile, 'a');
  const child = spawn('/bin/bash', ['-c', SUPERVISOR, 'castellan-docker', folder, name, ...dockerdCommand(folder)], {
    cwd: '/',
    stdio: ['pipe', logFd, logFd],
    detached: true,
  });
  closeSync(logFd);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const order = (line: string): void => void child.stdin?.write(`${line}\n`);
  const start = async (): Promise<void> => {
    order('start');
    await ready(socket, log);
  };
  const stop = async (): Promise<void> => {
    child.stdin?.end();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    docker: `unix://${socket}`,
    socket,
    address: pair.engine,
    testAddress: pair.test,
    via,
    run: (...command) => must([...via, ...command]),
    ...lookUp(`unix://${socket}`),
    giveAddresses: (addresses) => {
      for (const address of addresses) must(['ip', 'addr', 'add', `${address}/32`, 'dev', `${name}a`]);
    },
    kill: async () => {
      const kills = log().split('killed ').length;
      order('kill');
      while (log().split('killed ').length === kills) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    start,
    log,
    stop,
  };
}

/** How an engine is started for tests: everything of it below one folder, addresses of its own, no swap for logs of its own. */
export const dockerdCommand = (folder: string): string[] => [
  'dockerd',
  '--host',
  `unix://${join(folder, 'docker.sock')}`,
  '--data-root',
  join(folder, 'data'),
  '--exec-root',
  join(folder, 'exec'),
  '--pidfile',
  join(folder, 'dockerd.pid'),
  '--bridge',
  'none',
  '--default-address-pool',
  'base=172.31.0.0/16,size=28',
  '--insecure-registry',
  TEST_ADDRESSES,
  '--shutdown-timeout',
  '1',
];
