import type { PseudoTtyInfo, ServerChannel, Session } from 'ssh2';
import type { TerminalSize } from '../ports/container-engine.ts';
import type { ShellSession } from './session.ts';
import type { ShellSpec } from './unit-shell.ts';

const DEFAULT_SIZE: TerminalSize = { columns: 80, rows: 24 };
const MAX_SIDE = 10_000;
const TERM = /^[A-Za-z0-9._+-]{1,64}$/;
/** What a client may say of its environment: in which language and letters its owner reads. */
const LOCALE_NAME = /^(?:LANG|LANGUAGE|LC_[A-Z]{1,32})$/;
const LOCALE_VALUE = /^[A-Za-z0-9._@:-]{1,128}$/;
const MAX_VARIABLES = 16;
/** Source: RFC 4254, section 6.10. */
const SIGNALS = new Set(['ABRT', 'ALRM', 'FPE', 'HUP', 'ILL', 'INT', 'KILL', 'PIPE', 'QUIT', 'SEGV', 'TERM', 'USR1', 'USR2']);
const MAX_COMMAND_LENGTH = 128 * 1024;

const SHELL = ['sh', '-c', 'command -v bash >/dev/null 2>&1 && exec bash; exec sh'];

const side = (given: number, fallback: number): number => (Number.isInteger(given) && given > 0 ? Math.min(given, MAX_SIDE) : fallback);

const sizeOf = ({ cols, rows }: { readonly cols: number; readonly rows: number }): TerminalSize => ({
  columns: side(cols, DEFAULT_SIZE.columns),
  rows: side(rows, DEFAULT_SIZE.rows),
});

/** Requests that want no answer come without the means to give one, whatever the types say. */
const answer = (how: (() => void) | undefined): void => how?.();

/**
 * Answers what a client asks of one channel. `begin` begins the session; null where there may be none. All that is not here is refused: subsystems, X11,
 * agents.
 */
export function serveRequests(
  requests: Session,
  begin: (kind: 'shell' | 'command', open: () => ServerChannel | undefined, spec: ShellSpec) => ShellSession | null,
): void {
  const env: { name: string; value: string }[] = [];
  let terminal: TerminalSize | null = null;
  let session: ShellSession | null = null;

  const start = (kind: 'shell' | 'command', command: readonly string[], accept: () => ServerChannel, reject: () => void): void => {
    session ??= begin(kind, accept, { command, env, terminal });
    if (session === null) answer(reject);
  };
  requests.on('pty', (accept, _reject, info) => {
    terminal = sizeOf(info);
    const { term } = info as PseudoTtyInfo & { readonly term?: string };
    if (term !== undefined && TERM.test(term)) env.push({ name: 'TERM', value: term });
    answer(accept);
  });
  requests.on('window-change', (accept, _reject, info) => {
    terminal = terminal === null ? null : sizeOf(info);
    if (terminal !== null) session?.resize(terminal);
    answer(accept);
  });
  requests.on('env', (accept, reject, { key: name, val: value }) => {
    const isTaken = session === null && env.length < MAX_VARIABLES && LOCALE_NAME.test(name) && LOCALE_VALUE.test(value);
    if (isTaken) env.push({ name, value });
    answer(isTaken ? accept : reject);
  });
  requests.on('signal', (accept, reject, info) => {
    const name = info.name.replace(/^SIG/, '');
    const isKnown = SIGNALS.has(name);
    if (isKnown) session?.signal(name);
    answer(isKnown ? accept : reject);
  });
  requests.on('shell', (accept, reject) => start('shell', SHELL, accept, reject));
  requests.on('exec', (accept, reject, { command }) => {
    if (command.length > MAX_COMMAND_LENGTH || command.includes('\u0000')) return answer(reject);
    start('command', ['sh', '-c', command], accept, reject);
  });
}
