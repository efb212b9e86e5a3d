import type { Command } from 'commander';
import type { LogLine } from '../../client/container-wire.ts';
import { ServerUnreachable } from '../../client/errors.ts';
import type { Context } from '../context.ts';
import { CommandError, type ExitCode } from '../exit-codes.ts';
import { limitOption } from '../options.ts';
import { shown } from '../output/table.ts';
import type { Run } from '../run-command.ts';
import { RefusedLines } from '../surroundings.ts';
import { findContainer } from './follow-deployment.ts';

interface LogOptions {
  readonly follow?: boolean;
  readonly tail?: number;
  readonly unit?: string;
}

/** Adds the commands that look into a container. */
export function addContainerSessions(containers: Command, run: Run): void {
  containers
    .command('logs')
    .description('what one writes; with -o json a JSON text a line')
    .argument('<name>', 'its name or id')
    .option('-f, --follow', 'go on with what follows')
    .option('--tail <lines>', 'the last so many of each unit', limitOption)
    .option('--unit <name>', 'of one unit only')
    .action(run(logs));
  containers
    .command('shell')
    .description('a shell in a debug container, or a command there, by the ssh of this machine')
    .argument('<name>', 'its name or id')
    .argument('[command...]', 'after --; a shell where it is left out')
    .option('--unit <name>', 'another unit than the one that serves')
    .option('--host <address>', 'where the SSH gateway is; the address of the control plane where it is left out')
    .option('-i, --identity <file>', 'the private key')
    .action(run(shell));
}

/** One line for people: its time of day, its unit where there are several, and the text, which may move no cursor. */
const lineText = ({ time, container, line }: LogLine, isOfOne: boolean): string =>
  `${time.slice(11, 23)} ${isOfOne ? '' : `${container} `}${shown(line)}\n`;

async function logs(context: Context, name: string, { follow = false, tail, unit }: LogOptions): Promise<void> {
  const { id } = await findContainer(context, name);
  const { baseUrl, adminKey } = context.containers();
  const query = new URLSearchParams({
    ...(follow ? { follow: 'true' } : {}),
    ...(tail === undefined ? {} : { tail: String(tail) }),
    ...(unit === undefined ? {} : { container: unit }),
  });
  const isJson = context.options.output === 'json';
  try {
    for await (const text of context.around.lines(`${baseUrl}/api/containers/${id}/logs?${query.toString()}`, {
      authorization: `Bearer ${adminKey}`,
    })) {
      context.terminal.out(isJson ? `${text}\n` : lineText(JSON.parse(text) as LogLine, unit !== undefined));
    }
  } catch (err) {
    if (err instanceof RefusedLines) throw new CommandError(reasonIn(err.message));
    if (err instanceof CommandError) throw err;
    throw new ServerUnreachable({ baseUrl, reason: err instanceof Error ? err.message : String(err), cause: err });
  }
}

/** The sentence of a refusal. */
function reasonIn(text: string): string {
  try {
    const { error } = JSON.parse(text) as { readonly error?: unknown };
    return typeof error === 'string' ? shown(error) : text;
  } catch {
    return shown(text);
  }
}

interface ShellOptions {
  readonly unit?: string;
  readonly host?: string;
  readonly identity?: string;
}

async function shell(context: Context, name: string, command: readonly string[], options: ShellOptions): Promise<void> {
  const found = await findContainer(context, name);
  const { ssh_port: port, ssh_user: user } = found;
  if (!found.debug) {
    throw new CommandError(
      `${found.name} is not in debug mode: castellan containers relaunch ${found.name} --debug --ssh-key NAME gives it a shell.`,
    );
  }
  if (port === null || user === null) {
    throw new CommandError('The server has no SSH gateway: its operator declares the section ssh, or sets CASTELLAN_SSH_PORT.');
  }
  const host = options.host ?? new URL(context.containers().baseUrl).hostname.replace(/^\[|\]$/g, '');
  const to = `${user}${options.unit === undefined ? '' : `+${options.unit}`}@${host}`;
  const identity = options.identity === undefined ? [] : ['-i', options.identity];
  const code = await context.around.hand('ssh', ['-p', String(port), ...identity, '--', to, ...command]);
  if (code === null) throw new CommandError('There is no program ssh on this machine: install the OpenSSH client.');
  // The code of what ran there, as ssh itself gives it.
  context.endWith(code as ExitCode);
}
