import { spawn } from 'node:child_process';
import { EngineFault } from '../../ports/container-engine.ts';
import {
  FORWARD_CHAIN,
  hasChain,
  INPUT_CHAIN,
  ourPart,
  restoreInput,
  RULES_V6,
  rulesV4,
  type FirewallExceptions,
  type Hook,
} from './firewall-rules.ts';

/** The host's packet filter, as far as it keeps containers in. */
export interface Firewall {
  /**
   * Puts the rules in place where they are not, also after someone else changed them. Throws `EngineFault` of kind `firewall` where that
   * cannot be done.
   */
  ensure(): Promise<void>;
}

export interface FirewallOptions {
  /** Names the engine in messages for logs. */
  readonly host: string;
  /** Put before each command, to run it where the engine's networks are, such as `['nsenter', '--net=/run/netns/x', '--']`. */
  readonly via: readonly string[];
  readonly exceptions: FirewallExceptions;
  /** For each command. */
  readonly commandMs: number;
}

interface Family {
  readonly save: string;
  readonly restore: string;
  readonly rules: { readonly forward: readonly string[]; readonly input: readonly string[] };
}

/** The engine calls this chain before its own rules, and never changes it. Without it (IPv6, or an engine that manages none) ours is called first. */
const ENGINE_HOOK = 'DOCKER-USER';
const LOCK_WAIT_S = '5';
const MAX_OUTPUT = 8 * 1024 * 1024;
/** Where Debian keeps them: not on the path of every service, nor on that of every login by SSH. */
const PROGRAM_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Makes the firewall of one host. Nothing is touched before `ensure`. */
export function makeFirewall({ host, via, exceptions, commandMs }: FirewallOptions): Firewall {
  const v4: Family = { save: 'iptables-save', restore: 'iptables-restore', rules: rulesV4(exceptions) };
  const v6: Family = { save: 'ip6tables-save', restore: 'ip6tables-restore', rules: RULES_V6 };
  /** Per family, what its table had of ours after we put it there. */
  const placed = new Map<Family, string>();
  let running: Promise<void> = Promise.resolve();

  const run = (command: readonly string[], input: string | null): Promise<string> =>
    runCommand([...via, 'env', PROGRAM_PATH, ...command], { input, timeoutMs: commandMs }).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      throw new EngineFault({
        kind: 'firewall',
        message: `${host}: the firewall: ${why}`,
        publicMessage: 'The host cannot keep the traffic of containers in, so it runs none that may reach the network.',
        cause: error,
      });
    });

  const hasIpv6 = (): Promise<boolean> =>
    run(['test', '-e', '/proc/net/if_inet6'], null).then(
      () => true,
      () => false,
    );

  const ensureFamily = async (family: Family): Promise<void> => {
    const before = await run([family.save, '-t', 'filter'], null);
    const hooks: readonly Hook[] = [
      { from: hasChain(before, ENGINE_HOOK) ? ENGINE_HOOK : 'FORWARD', to: FORWARD_CHAIN },
      { from: 'INPUT', to: INPUT_CHAIN },
    ];
    if (placed.get(family) === ourPart(before, hooks)) return;
    await run([family.restore, '--noflush', '-w', LOCK_WAIT_S], restoreInput(before, family.rules, hooks));
    placed.set(family, ourPart(await run([family.save, '-t', 'filter'], null), hooks));
  };

  return {
    ensure: () => {
      // One after another: two at once would each put the hook in.
      const next = running.then(async () => {
        await ensureFamily(v4);
        try {
          await ensureFamily(v6);
        } catch (error) {
          // A machine without IPv6 has nothing to keep in, and its kernel no table for it.
          if (await hasIpv6()) throw error;
        }
      });
      running = next.catch(() => undefined);
      return next;
    },
  };
}

function runCommand(command: readonly string[], options: { input: string | null; timeoutMs: number }): Promise<string> {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeoutMs,
    });
    const out: Buffer[] = [];
    let bytes = 0;
    let complaint = '';
    child.stdout.on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > MAX_OUTPUT) child.kill('SIGKILL');
      else out.push(piece);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-1000);
    });
    child.on('error', (error) => reject(new Error(`${command.join(' ')}: ${error.message}`)));
    child.on('close', (code, killedBy) => {
      if (code === 0) resolve(Buffer.concat(out).toString('utf8'));
      else reject(new Error(`${command.join(' ')} ended with ${killedBy ?? `status ${code}`}: ${complaint.trim()}`));
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
  });
}
