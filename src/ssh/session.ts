import type { ServerChannel } from 'ssh2';
import type { SshSessionKind } from '../core/containers/ssh-commands.ts';
import { EngineFault, type TerminalSize } from '../ports/container-engine.ts';
import type { Log } from '../ports/log.ts';
import type { ShellCandidate, SshAccess, SshOrigin } from '../ports/ssh-access.ts';
import { ShellError, startShell, type ShellSpec, type UnitShell } from './unit-shell.ts';

/** One session of a connection: a process in a unit whose streams are those of a channel. */
export interface ShellSession {
  /** Serves it until the process or the channel has ended; its end is noted when this resolves. Never rejects. */
  run(): Promise<void>;
  resize(size: TerminalSize): void;
  signal(name: string): void;
  /** Ends it. `told` is written to its standard error. */
  end(reason: string, told: string): void;
}

/** What a session is made of. */
export interface SessionOptions {
  readonly access: Pick<SshAccess, 'open' | 'end' | 'start'>;
  readonly candidate: ShellCandidate;
  readonly origin: SshOrigin;
  readonly kind: SshSessionKind;
  readonly spec: ShellSpec;
  readonly channel: ServerChannel;
  /** Called for whatever goes through. */
  readonly onTraffic: () => void;
  readonly log: Log;
}

/** The statuses with which shells tell that a command cannot be run, and OpenSSH that a session could not be had. */
const NO_COMMAND = 127;
const NO_SESSION = 255;

/** The end of a session: the first reason that it has. */
interface Ending {
  readonly signal: AbortSignal;
  readonly done: Promise<void>;
  reason(): string;
  end(why: string): void;
}

function makeEnding(): Ending {
  const controller = new AbortController();
  let reason = 'exit';
  const done = new Promise<void>((resolve) => {
    controller.signal.addEventListener('abort', () => resolve());
  });
  return {
    signal: controller.signal,
    done,
    reason: () => reason,
    end: (why) => {
      if (controller.signal.aborted) return;
      reason = why;
      controller.abort();
    },
  };
}

/** A channel as the output of a session. */
interface Outlet {
  put(stream: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void>;
  /** Says what is wrong, and ends with that status. */
  complain(text: string, status: number): Promise<void>;
}

function makeOutlet(channel: ServerChannel, ending: Ending): Outlet {
  // One after the other, and never two: the connection layer forgets a second stream of a channel that waits for room.
  const put: Outlet['put'] = (stream, bytes) => {
    const written = new Promise<void>((resolve) => void (stream === 'stdout' ? channel : channel.stderr).write(bytes, () => resolve()));
    return Promise.race([written, ending.done]);
  };
  return {
    put,
    complain: async (text, status) => {
      await put('stderr', Buffer.from(`castellan: ${text}\r\n`));
      channel.exit(status);
    },
  };
}

/** Passes on what comes in; no more is asked for until the process has taken it. */
function takeInput(channel: ServerChannel, shell: UnitShell, onBytes: (count: number) => void): void {
  channel.on('data', (bytes: Buffer) => {
    channel.pause();
    onBytes(bytes.length);
    void shell.write(bytes).then(() => channel.resume());
  });
  channel.once('end', () => void shell.endInput().catch(() => undefined));
  channel.resume();
}

/** Sizes and signals in their order, one at a time. What the engine makes of them is no reason to end anything. */
function makeActs(log: Log): { act(what: (shell: UnitShell) => Promise<void>): void; begin(shell: UnitShell): void } {
  let begin: (shell: UnitShell) => void = () => undefined;
  const begun = new Promise<UnitShell>((resolve) => (begin = resolve));
  let last: Promise<unknown> = begun;
  return {
    begin: (shell) => begin(shell),
    act: (what) => {
      last = last
        .then(() => begun)
        .then(what)
        .catch((err: unknown) => log.debug({ err }, 'a size or signal of an SSH session did not reach its process'));
    },
  };
}

/** Makes a {@link ShellSession}. */
export function makeShellSession({ access, candidate, origin, kind, spec, channel, onTraffic, log }: SessionOptions): ShellSession {
  const { grant } = candidate;
  const ending = makeEnding();
  const outlet = makeOutlet(channel, ending);
  const acts = makeActs(log);
  const counts = { bytesIn: 0, bytesOut: 0 };
  channel.once('close', () => ending.end('disconnected'));
  // A channel that breaks is closed; there is nobody to tell.
  channel.on('error', () => ending.end('disconnected'));

  /** Passes on what comes out, until it ends or the session does; the value is what the process ended with. */
  async function serve(shell: UnitShell): Promise<number | null> {
    acts.begin(shell);
    takeInput(channel, shell, (count) => {
      counts.bytesIn += count;
      onTraffic();
    });
    const pieces = shell.output[Symbol.asyncIterator]();
    for (;;) {
      const next = await Promise.race([pieces.next(), ending.done]);
      if (next === undefined || ending.signal.aborted) return null;
      if (next.done === true) return shell.exitCode();
      counts.bytesOut += next.value.bytes.length;
      onTraffic();
      await outlet.put(next.value.stream, next.value.bytes);
    }
  }

  async function serveTold(): Promise<number | null> {
    let shell: UnitShell | null = null;
    try {
      shell = await startShell((exec) => access.start(candidate, exec), spec);
      const exitCode = await serve(shell);
      if (exitCode !== null) channel.exit(exitCode);
      return exitCode;
    } catch (err) {
      if (ending.signal.aborted) return null;
      log.warn({ err, container: grant.containerId, unit: grant.unit }, 'an SSH session could not be served');
      if (err instanceof ShellError) await outlet.complain(err.message, NO_COMMAND);
      else await outlet.complain(err instanceof EngineFault ? err.publicMessage : 'the session failed', NO_SESSION);
      ending.end('failed');
      return null;
    } finally {
      await shell?.end().catch((err: unknown) => log.warn({ err }, 'a process of an SSH session may still run'));
    }
  }

  async function run(): Promise<void> {
    const opened = await access.open(grant, { kind, hasTerminal: spec.terminal !== null, origin });
    if (!opened.ok) return outlet.complain(opened.rejection.message, NO_SESSION);
    const exitCode = ending.signal.aborted ? null : await serveTold();
    await access.end(grant, opened.value, origin, { reason: ending.reason(), exitCode, ...counts });
  }

  return {
    run: async () => {
      try {
        await run();
      } catch (err) {
        log.error({ err }, 'an SSH session was not opened, or its end not noted');
      } finally {
        channel.end();
      }
    },
    resize: (size) => acts.act((shell) => shell.resize(size)),
    signal: (name) => acts.act((shell) => shell.signal(name)),
    end: (why, told) => {
      if (ending.signal.aborted) return;
      if (channel.writable) channel.stderr.write(`\r\ncastellan: ${told}\r\n`);
      ending.end(why);
    },
  };
}
