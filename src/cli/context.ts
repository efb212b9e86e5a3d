import type { Command } from 'commander';
import { makeContainersClient, type ContainersClient } from '../client/containers-client.ts';
import { makeOperatorClient, type OperatorClient } from '../client/operator-client.ts';
import { stringifyAmounts } from '../client/exact-json.ts';
import type { Send } from '../client/request.ts';
import { readClientConfig, type ClientConfig } from '../server/config.ts';
import { credentialsPath, readCredentials } from '../server/credentials.ts';
import { readTextFile } from '../server/data-folder.ts';
import { originOf } from '../server/origin.ts';
import { CommandError, EXIT, type ExitCode } from './exit-codes.ts';
import type { Surroundings } from './surroundings.ts';
import type { Terminal } from './terminal.ts';

/** The options that every command takes. */
export interface GlobalOptions {
  readonly dataDir?: string;
  readonly config?: string;
  readonly url?: string;
  readonly operatorKeyFile?: string;
  readonly adminKeyFile?: string;
  readonly output: 'table' | 'json';
  readonly color: boolean;
}

/** What commands are made of; a test gives stand-ins. */
export interface CliDeps {
  readonly env: NodeJS.ProcessEnv;
  readonly terminal: Terminal;
  readonly send: Send;
  readonly around: Surroundings;
  readonly nowMs: () => number;
}

/** A running command: where it writes, what its options say, and how it ends. */
export interface Context extends CliDeps {
  readonly options: GlobalOptions;
  readonly isColoured: boolean;
  /** The options that stand for variables, by these. */
  readonly overlay: Readonly<Record<string, string>>;
  /** The environment with them laid over it. */
  readonly settings: NodeJS.ProcessEnv;
  /** The client of the server that options, environment and data folder lead to. */
  client(): OperatorClient;
  /** The client of its containers, for the organization of the admin key that options, environment and data folder lead to. */
  containers(): ContainersClient & { readonly baseUrl: string; readonly adminKey: string };
  /** Writes a result: as `table` makes text of it, or the value itself as JSON. */
  print<T>(value: T, table: (value: T) => string): void;
  /** Ends the command with this code when it returns. */
  endWith(code: ExitCode): void;
}

/** Makes the context of `command`, whose global options may stand before or after its name. */
export function makeContext(deps: CliDeps, command: Command, endWith: (code: ExitCode) => void): Context {
  const options = command.optsWithGlobals<GlobalOptions>();
  const overlay: Record<string, string> = {
    ...(options.dataDir === undefined ? {} : { CASTELLAN_DATA_DIR: options.dataDir }),
    ...(options.config === undefined ? {} : { CASTELLAN_CONFIG: options.config }),
    ...(options.url === undefined ? {} : { CASTELLAN_URL: options.url }),
  };
  const settings = { ...deps.env, ...overlay };
  return {
    ...deps,
    options,
    overlay,
    settings,
    isColoured: options.color && deps.terminal.isColoured,
    client: () => makeClient(deps.send, settings, options),
    containers: () => makeContainers(deps.send, settings, options),
    print: (value, table) => deps.terminal.out(options.output === 'json' ? `${stringifyAmounts(value)}\n` : table(value)),
    endWith,
  };
}

/** The address of the control plane. */
function addressOf(config: ClientConfig): string {
  const baseUrl = config.url ?? originOf(config.admin.host, config.admin.port);
  if (!/^https?:\/\/[^/?#@]+\/?$/.test(baseUrl))
    throw new CommandError(`--url must be the address of a control plane, such as http://127.0.0.1:7979.`, EXIT.usage);
  return baseUrl.replace(/\/$/, '');
}

function makeClient(send: Send, settings: NodeJS.ProcessEnv, options: GlobalOptions): OperatorClient {
  const config = readClientConfig(settings);
  return makeOperatorClient({ baseUrl: addressOf(config), operatorKey: operatorKeyOf(config, options), send });
}

function makeContainers(send: Send, settings: NodeJS.ProcessEnv, options: GlobalOptions): ReturnType<Context['containers']> {
  const config = readClientConfig(settings);
  const at = { baseUrl: addressOf(config), adminKey: adminKeyOf(config, options) };
  return { ...makeContainersClient({ ...at, send }), ...at };
}

/** The key in a file that an option names. */
function keyIn(file: string, what: string): string {
  const text = readTextFile(file)?.trim() ?? '';
  if (/^[\x21-\x7e]{1,512}$/.test(text)) return text;
  throw new CommandError(`${file} holds no ${what}: write the key, and nothing else, into that file.`);
}

function adminKeyOf(config: ClientConfig, options: GlobalOptions): string {
  if (options.adminKeyFile !== undefined) return keyIn(options.adminKeyFile, 'admin key');
  const key = config.adminKey ?? readCredentials(config.dataDir).admin_key;
  if (key !== undefined) return key;
  throw new CommandError(
    `There is no admin key in ${credentialsPath(config.dataDir)}: give the server's data folder with --data-dir, or the key of an organization with TINFOIL_ADMIN_KEY or --admin-key-file (castellan keys create NAME --kind admin --member ID makes one).`,
  );
}

function operatorKeyOf(config: ClientConfig, options: GlobalOptions): string {
  if (options.operatorKeyFile !== undefined) return keyIn(options.operatorKeyFile, 'operator key');
  const key = config.operatorKey ?? readCredentials(config.dataDir).operator_key;
  if (key !== undefined) return key;
  throw new CommandError(
    `There is no operator key in ${credentialsPath(config.dataDir)}: give the server's data folder with --data-dir, or the key with ADMIN_API_KEY or --operator-key-file.`,
  );
}
