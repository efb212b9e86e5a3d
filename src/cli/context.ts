import type { Command } from 'commander';
import { makeOperatorClient, type OperatorClient } from '../client/operator-client.ts';
import { stringifyAmounts } from '../client/exact-json.ts';
import type { Send } from '../client/request.ts';
import { readClientConfig } from '../server/config.ts';
import { credentialsPath, readCredentials } from '../server/credentials.ts';
import { readTextFile } from '../server/data-folder.ts';
import { originOf } from '../server/origin.ts';
import { CommandError, EXIT, type ExitCode } from './exit-codes.ts';
import type { Terminal } from './terminal.ts';

/** The options that every command takes. */
export interface GlobalOptions {
  readonly dataDir?: string;
  readonly config?: string;
  readonly url?: string;
  readonly operatorKeyFile?: string;
  readonly output: 'table' | 'json';
  readonly color: boolean;
}

/** What commands are made of; a test gives stand-ins. */
export interface CliDeps {
  readonly env: NodeJS.ProcessEnv;
  readonly terminal: Terminal;
  readonly send: Send;
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
    print: (value, table) => deps.terminal.out(options.output === 'json' ? `${stringifyAmounts(value)}\n` : table(value)),
    endWith,
  };
}

function makeClient(send: Send, settings: NodeJS.ProcessEnv, options: GlobalOptions): OperatorClient {
  const config = readClientConfig(settings);
  const baseUrl = config.url ?? originOf(config.admin.host, config.admin.port);
  if (!/^https?:\/\/[^/?#@]+\/?$/.test(baseUrl))
    throw new CommandError(`--url must be the address of a control plane, such as http://127.0.0.1:7979.`, EXIT.usage);
  return makeOperatorClient({ baseUrl, operatorKey: operatorKeyOf(config, options), send });
}

function operatorKeyOf(config: { dataDir: string; operatorKey: string | null }, options: GlobalOptions): string {
  if (options.operatorKeyFile !== undefined) {
    const text = readTextFile(options.operatorKeyFile)?.trim() ?? '';
    if (/^[\x21-\x7e]{1,512}$/.test(text)) return text;
    throw new CommandError(`${options.operatorKeyFile} holds no operator key: write the key, and nothing else, into that file.`);
  }
  const key = config.operatorKey ?? readCredentials(config.dataDir).operator_key;
  if (key !== undefined) return key;
  throw new CommandError(
    `There is no operator key in ${credentialsPath(config.dataDir)}: give the server's data folder with --data-dir, or the key with ADMIN_API_KEY or --operator-key-file.`,
  );
}
