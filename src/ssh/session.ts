import type { ServerChannel } from 'ssh2';
import type { OpenedSshSession, SshSessionKind } from '../core/containers/ssh-commands.ts';
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

/** Makes a {@link ShellSession}. */
export function makeShellSession({ access, candidate, origin, kind, spec, channel, onTraffic, log }: SessionOptions): ShellSession {
  const { grant } = candidate;
  const ended = new AbortController();
  const counts = { bytesIn: 0, bytesOut: 0 };
  let shell: UnitShell | null = null;
  let reason = 'exit';
  let size: TerminalSize | null = null;
  let acting = Promise.resolve();

  const stop = (why: string): void => {
    if (ended.signal.aborted) return;
    reason = why;
    ended.abort();
  };
  const whenEnded = new Promise<void>((resolve) => void ended.signal.addEventListener('abort', () => resolve()));
  channel.once('close', () => stop('disconnected'));
  // A channel that breaks is closed; there is nobody to tell.
  channel.on('error', () => stop('disconnected'));

  /** One after the other, and never two: the connection layer forgets a second stream of a channel that waits for room. */
  const put = (stream: 'stdout' | 'stderr', bytes: Uint8Array): Promise<unknown> => {
    const written = new Promise<void>((resolve) => void (stream === 'stdout' ? channel : channel.stderr).write(bytes, () => resolve()));
    return Promise.race([written, whenEnded]);
  };

  const complain = async (text: string, status: number): Promise<void> => {
    await put('stderr', Buffer.from(`castellan: ${text}\r\n`));
    channel.exit(status);
  };

  /** Sizes and signals in their order, one at a time; what the engine makes of them is no reason to end anything. */
  const act = (what: (running: UnitShell) => Promise<void>): void => {
    acting = acting
      .then(async () => (shell === null || ended.signal.aborted ? undefined : what(shell)))
      .catch((err: unknown) => log.debug({ err }, 'a size or signal of an SSH session did not reach its process'));
  };

  /** Passes on what comes in; no more is asked for until the process has taken it. */
  function takeInput(running: UnitShell): void {
    channel.on('data', (bytes: Buffer) => {
      channel.pause();
      counts.bytesIn += bytes.length;
      onTraffic();
      void running.write(bytes).then(() => channel.resume());
    });
    channel.once('end', () => void running.endInput().catch(() => undefined));
    channel.resume();
  }

  async function serve(): Promise<number | null> {
    const running = await startShell((exec) => access.start(candidate, exec), spec);
    shell = running;
    if (size !== null) act((to) => to.resize(size ?? { columns: 0, rows: 0 }));
    const aborted = whenEnded.then(() => 'ended' as const);
    takeInput(running);
    const pieces = running.output[Symbol.asyncIterator]();
    while (!ended.signal.aborted) {
      const next = await Promise.race([pieces.next(), aborted]);
      if (next === 'ended') return null;
      if (next.done === true) return running.exitCode();
      const { stream, bytes } = next.value;
      counts.bytesOut += bytes.length;
      onTraffic();
      await put(stream, bytes);
    }
    return null;
  }

  /** Serves the process, and tells what it ended with. */
  async function serveTold(): Promise<number | null> {
    try {
      const exitCode = await serve();
      if (exitCode !== null) channel.exit(exitCode);
      return exitCode;
    } catch (err) {
      if (ended.signal.aborted) return null;
      reason = 'failed';
      log.warn({ err, container: grant.containerId, unit: grant.unit }, 'an SSH session could not be served');
      if (err instanceof ShellError) await complain(err.message, NO_COMMAND);
      else await complain(err instanceof EngineFault ? err.publicMessage : 'the session failed', NO_SESSION);
      return null;
    }
  }

  async function note(session: OpenedSshSession, exitCode: number | null): Promise<void> {
    try {
      await access.end(grant, session, origin, { reason, exitCode, ...counts });
    } catch (err) {
      log.error({ err, session: session.sessionId }, 'the end of an SSH session was not noted');
    }
  }

  async function run(): Promise<void> {
    const opened = await access.open(grant, { kind, hasTerminal: spec.terminal !== null, origin });
    if (!opened.ok) return complain(opened.rejection.message, NO_SESSION);
    const exitCode = ended.signal.aborted ? null : await serveTold();
    await (shell as UnitShell | null)?.end().catch((err: unknown) => log.warn({ err }, 'a process of an SSH session may still run'));
    await note(opened.value, exitCode);
  }

  return {
    run: async () => {
      try {
        await run();
      } catch (err) {
        log.error({ err }, 'an SSH session was not opened');
      } finally {
        channel.end();
      }
    },
    resize: (wanted) => {
      size = wanted;
      act((running) => running.resize(wanted));
    },
    signal: (name) => act((running) => running.signal(name)),
    end: (why, told) => {
      if (ended.signal.aborted) return;
      if (channel.writable) channel.stderr.write(`\r\ncastellan: ${told}\r\n`);
      stop(why);
    },
  };
}
