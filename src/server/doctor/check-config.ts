import { readFileSync } from 'node:fs';
import { ConfigError } from '../config-error.ts';
import { type Config, readConfig } from '../config.ts';
import { findDefects } from '../declared/find-defects.ts';
import { type Finding, findingsOf } from './finding.ts';

/** What the configuration says, as far as it can be read, and what is wrong with it. */
export interface CheckedConfig {
  readonly config: Config;
  readonly findings: readonly Finding[];
}

const LEAST_NODE_MAJOR = 24;
const at = findingsOf('configuration');

/**
 * Reads the configuration with every defect that it has. A variable that is wrong counts as unset for what is looked at next. Throws where
 * even that leads to no configuration.
 */
export async function checkConfig(env: NodeJS.ProcessEnv): Promise<CheckedConfig> {
  const { CASTELLAN_CONFIG: path, ...rest } = env;
  const defects: string[] = [];
  let left: NodeJS.ProcessEnv = rest;
  for (;;) {
    try {
      const config = await readConfig(left);
      const file = path === undefined || path === '' ? [] : fileDefects(path, env);
      const all = [...defects, ...file];
      return { config, findings: all.length > 0 ? all.map(at.fail) : [at.ok(soundText(left, path))] };
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      defects.push(error.message);
      const name = namedIn(error.message, left);
      if (name === undefined) throw error;
      left = Object.fromEntries(Object.entries(left).filter(([each]) => each !== name));
    }
  }
}

/** The variable that a complaint is about: the first one in it that is set. */
const namedIn = (message: string, env: NodeJS.ProcessEnv): string | undefined =>
  (message.match(/\b[A-Z][A-Z0-9_]{3,}\b/g) ?? []).find((word) => (env[word] ?? '') !== '');

function fileDefects(path: string, env: NodeJS.ProcessEnv): string[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    return [`CASTELLAN_CONFIG names ${path}, which cannot be read (${code}): correct the path or unset the variable.`];
  }
  return findDefects({ text, path, env });
}

function soundText(env: NodeJS.ProcessEnv, path: string | undefined): string {
  const names = Object.keys(env).filter((name) => name.startsWith('CASTELLAN_') && env[name] !== '');
  const variables = names.length === 0 ? 'no variable is set' : `${names.toSorted().join(', ')}`;
  return path === undefined || path === '' ? `${variables}; no file` : `${variables}; ${path} is correct`;
}

/** Whether the Node.js that this runs on is new enough. */
export function checkRuntime(version: string): Finding {
  const of = findingsOf('runtime');
  const major = Number(version.split('.')[0]);
  if (major >= LEAST_NODE_MAJOR) return of.ok(`Node.js ${version}`);
  return of.fail(`Node.js ${version} is too old: run npm ci without omitting optional packages, or install Node.js 26.`);
}
