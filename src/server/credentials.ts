import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { OnRotated } from '../app/rotate-key.ts';
import { KEY_PREFIXES, KEY_RANDOM_LENGTH } from '../core/access/credentials.ts';
import type { KeyKind } from '../core/records.ts';
import type { Ids } from '../ports/ids.ts';
import type { Log } from '../ports/log.ts';
import type { KeyHasher } from '../ports/secret-box.ts';
import { ConfigError } from './config-error.ts';
import { readTextFile, writeFileDurably } from './data-folder.ts';

/** What `credentials.json` keeps, by the names that it uses. Only a node that made a first start has more than the operator key. */
export interface Credentials {
  readonly operator_key: string;
  readonly tenant?: string;
  readonly admin_key?: string;
  readonly management_key?: string;
  readonly demo_key?: string;
}

/** The credentials of a first start: all of them. */
export type FullCredentials = Required<Credentials>;

const NAMES = ['operator_key', 'tenant', 'admin_key', 'management_key', 'demo_key'] as const;
const KEY_NAMES = ['admin_key', 'management_key', 'demo_key'] as const;
const OPERATOR_KEY_CHARACTERS = 43;

/** Where the credentials of this data folder are. */
export const credentialsPath = (dataDir: string): string => join(dataDir, 'credentials.json');

/** Whether a start has written credentials into this data folder. */
export const hasCredentials = (dataDir: string): boolean => existsSync(credentialsPath(dataDir));

/** Reads `credentials.json`; empty where there is none. */
export function readCredentials(dataDir: string): Partial<Credentials> {
  const path = credentialsPath(dataDir);
  const text = readTextFile(path);
  if (text === null) return {};
  const damaged = new ConfigError(`${path} is damaged: correct it, or remove it to have a new operator key made.`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw damaged;
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw damaged;
  const found: Record<string, string> = {};
  for (const name of NAMES) {
    const value = (parsed as Record<string, unknown>)[name];
    if (value === undefined) continue;
    if (typeof value !== 'string' || !/^[\x21-\x7e]{1,512}$/.test(value)) throw damaged;
    found[name] = value;
  }
  return found;
}

/**
 * The credentials as they hold from now on: the operator key that the environment sets, else the kept one, else a new one, and with
 * `full` whatever is still missing for a first start. The file is written before anything uses what it says, so that no key can
 * exist whose plaintext was lost.
 */
export function keepCredentials(options: { dataDir: string; operatorKey: string | null; ids: Ids; full: true }): FullCredentials;
export function keepCredentials(options: { dataDir: string; operatorKey: string | null; ids: Ids; full: boolean }): Credentials;
export function keepCredentials(options: { dataDir: string; operatorKey: string | null; ids: Ids; full: boolean }): Credentials {
  const { dataDir, ids } = options;
  const before = readCredentials(dataDir);
  const operatorKey = options.operatorKey ?? before.operator_key ?? ids.base62(OPERATOR_KEY_CHARACTERS);
  const after: Credentials = options.full
    ? {
        operator_key: operatorKey,
        tenant: DEFAULT_TENANT,
        admin_key: before.admin_key ?? newKey(ids, 'admin'),
        management_key: before.management_key ?? newKey(ids, 'management'),
        demo_key: before.demo_key ?? newKey(ids, 'inference'),
      }
    : { ...before, operator_key: operatorKey };
  const text = `${JSON.stringify(after, null, 2)}\n`;
  if (text !== readTextFile(credentialsPath(dataDir))) writeFileDurably(credentialsPath(dataDir), text);
  return after;
}

/**
 * Makes what keeps `credentials.json` true: a key of the first start that is rotated by this process stands there with its new value. The
 * value before is found by its hash; a key that is not of the first start changes nothing, and where the file cannot be written the log says so.
 */
export function keepRotated(deps: { dataDir: string; hasher: KeyHasher; log: Pick<Log, 'warn'> }): OnRotated {
  const { dataDir, hasher, log } = deps;
  return (before, plaintext) => {
    try {
      const kept = readCredentials(dataDir);
      const name = KEY_NAMES.find((each) => kept[each] !== undefined && hasher.hash(kept[each]) === before.hash);
      if (name === undefined) return;
      writeFileDurably(credentialsPath(dataDir), `${JSON.stringify({ ...kept, [name]: plaintext }, null, 2)}\n`);
    } catch (err) {
      log.warn({ err, keyId: before.id }, 'credentials.json still has the value of a key from before its rotation');
    }
  };
}

const newKey = (ids: Ids, kind: KeyKind): string => KEY_PREFIXES[kind] + ids.base62(KEY_RANDOM_LENGTH[kind]);

/** The tenant that a first start makes. */
export const DEFAULT_TENANT = 'default';
