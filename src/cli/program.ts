import { Command, CommanderError, Option } from 'commander';
import { CONTAINERS_API } from '../client/containers-client.ts';
import { ApiError, ServerUnreachable } from '../client/errors.ts';
import { ConfigError } from '../server/config-error.ts';
import { programVersion } from '../server/version.ts';
import { addBackup } from './commands/backup.ts';
import { addCompletion } from './commands/completion.ts';
import { addContainers } from './commands/containers.ts';
import { addDoctor } from './commands/doctor.ts';
import { addKeys } from './commands/keys.ts';
import { addRestart } from './commands/restart.ts';
import { addRestore } from './commands/restore.ts';
import { addRotateMasterKey } from './commands/rotate-master-key.ts';
import { addStart } from './commands/start.ts';
import { addTenants } from './commands/tenants.ts';
import { addUsage } from './commands/usage.ts';
import { addVerify } from './commands/verify.ts';
import { type CliDeps, makeContext } from './context.ts';
import { CommandError, EXIT, type ExitCode } from './exit-codes.ts';
import { shown } from './output/table.ts';
import { makeRun } from './run-command.ts';

/** Runs the command that `args` (without program and script) name; never throws. Returns the code that the process is to end with. */
export async function runCli(args: readonly string[], deps: CliDeps): Promise<ExitCode> {
  let code: ExitCode = EXIT.done;
  const program = makeProgram(deps, (given) => (code = given));
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    const { message, exitCode } = explain(error);
    deps.terminal.err(`castellan: ${message}\n`);
    return exitCode;
  }
}

function makeProgram(deps: CliDeps, endWith: (code: ExitCode) => void): Command {
  const { terminal } = deps;
  const program = new Command('castellan')
    .description('A self-hosted control plane for AI workloads.')
    .version(programVersion(), '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show what the command takes')
    .option('--data-dir <folder>', 'the data folder (CASTELLAN_DATA_DIR; ./data)')
    .option('--config <file>', 'the configuration file (CASTELLAN_CONFIG)')
    .option('--url <address>', 'the control plane (CASTELLAN_URL; else by the listener settings, http://127.0.0.1:7979)')
    .option('--operator-key-file <file>', 'a file with the operator key (else ADMIN_API_KEY, else credentials.json in the data folder)')
    .option(
      '--admin-key-file <file>',
      'a file with the admin key of an organization (else TINFOIL_ADMIN_KEY, else credentials.json in the data folder)',
    )
    .addOption(new Option('-o, --output <form>', 'how results are written').choices(['table', 'json']).default('table'))
    .option('--no-color', 'no colours (NO_COLOR)')
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: (text) => terminal.err(text) })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(--help shows what the command takes)')
    .exitOverride();
  const run = makeRun((command) => makeContext(deps, command, endWith));
  addStart(program, run);
  addRestart(program, run);
  addDoctor(program, run);
  addBackup(program, run);
  addRestore(program, run);
  addVerify(program, run);
  addRotateMasterKey(program, run);
  addTenants(program, run);
  addKeys(program, run, deps.nowMs);
  addUsage(program, run);
  addContainers(program, run);
  addCompletion(program, run);
  return program;
}

/** What went wrong in one line, and the code to end with. What nobody foresaw is shown whole: it is ours to mend. */
function explain(error: unknown): { message: string; exitCode: ExitCode } {
  if (error instanceof CommandError) return { message: error.message, exitCode: error.exitCode };
  if (error instanceof ConfigError) return { message: error.message, exitCode: EXIT.config };
  if (error instanceof ServerUnreachable) {
    const message = `${error.message}: start it with castellan start, or give its control plane's address with --url.`;
    return { message, exitCode: EXIT.unreachable };
  }
  if (error instanceof ApiError) return { message: refusalText(error), exitCode: EXIT.failed };
  // Of layers that this one does not see.
  const { name, message } = error instanceof Error ? error : { name: '', message: String(error) };
  if (name === 'BackupRefusal' || name === 'StoreRefusal') return { message, exitCode: EXIT.failed };
  if (name === 'Fault')
    return { message: `the store cannot be used (${message}): check DATABASE_URL, or the disk of the data folder.`, exitCode: EXIT.failed };
  return { message: error instanceof Error ? (error.stack ?? message) : message, exitCode: EXIT.failed };
}

function refusalText({ status, message, code, requestId, api }: ApiError): string {
  if (status === 401) {
    return api === CONTAINERS_API
      ? 'the server refuses the admin key: give one of the organization with --admin-key-file, TINFOIL_ADMIN_KEY, or the --data-dir that the server runs on.'
      : 'the server refuses the operator key: give its own with --operator-key-file, ADMIN_API_KEY, or the --data-dir that it runs on.';
  }
  return `${shown(message)} (${code}${requestId === null ? '' : `, request ${requestId}`}).`;
}
