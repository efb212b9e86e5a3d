import type { Send } from '../../client/request.ts';
import { readCredentials } from '../credentials.ts';
import { readTextFile } from '../data-folder.ts';
import { join } from 'node:path';
import { ConfigError } from '../config-error.ts';
import { checkConfig, checkRuntime } from './check-config.ts';
import { checkDataFolder } from './check-data-folder.ts';
import { checkPorts } from './check-ports.ts';
import { checkStore } from './check-store.ts';
import { type Finding, findingsOf } from './finding.ts';

/** What an examination needs from outside. */
export interface DoctorDeps {
  readonly env: NodeJS.ProcessEnv;
  readonly send: Send;
  readonly nowMs: () => number;
}

/**
 * Looks at everything that a start or a running server relies on, and changes nothing: configuration, data folder, disk, ports, database,
 * clock, secrets. Goes on past what is wrong, as far as that lets it.
 */
export async function examine({ env, send, nowMs }: DoctorDeps): Promise<Finding[]> {
  const runtime = checkRuntime(process.versions.node);
  const { config, findings } = await checkConfig(env);
  const { dataDir } = config;
  const found: Finding[] = [runtime, ...findings, ...checkDataFolder(dataDir, config.databaseUrl === null)];
  const folder = findingsOf('data folder');
  let operatorKey = config.operatorKey;
  let runId: string | null = null;
  try {
    operatorKey ??= readCredentials(dataDir).operator_key ?? null;
    runId = runIdOf(readTextFile(join(dataDir, 'run.json')));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    found.push(folder.fail(error.message));
  }
  const ports = await checkPorts({ config, operatorKey, runId, send });
  const server = findingsOf('server');
  const runs = ports.server === null ? 'none runs on this data folder' : `version ${ports.server.version} runs on this data folder`;
  return [...found, ...ports.findings, server.ok(runs), ...(await checkStore(config, nowMs))];
}

function runIdOf(text: string | null): string | null {
  try {
    const { owner_id: id } = JSON.parse(text ?? '{}') as { owner_id?: unknown };
    return typeof id === 'string' ? id : null;
  } catch {
    return null;
  }
}
