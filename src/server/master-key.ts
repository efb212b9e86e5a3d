import { randomBytes } from 'node:crypto';
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Ids } from '../ports/ids.ts';
import type { LedgerStore } from '../ports/ledger-store.ts';
import type { RecordStore } from '../ports/record-store.ts';
import { sealIdentity, type Setting, SYSTEM_TENANT } from '../core/records.ts';
import { ConfigError } from './config-error.ts';
import { readTextFile, syncFolderOf, writeFileDurably } from './data-folder.ts';
import { MASTER_KEY_BYTES, type MasterKey, masterKeyOf, SealBroken, sealingKeyOf } from './secrets/aes-secret-box.ts';
import { makeKeyRing, type KeyRing } from './secrets/key-ring.ts';

/** The setting that keeps the secret of the key table, sealed with the master key. Whichever key sealed it seals everything else. */
export const KEY_SECRET_SETTING = 'key-hash-secret';
const KEY_SECRET_IDENTITY = sealIdentity('setting', KEY_SECRET_SETTING);
const KEY_SECRET_VERSION = 1;
const KEY_SECRET_BYTES = 32;

/** Where this process has its master keys from. */
export type MasterKeySource = 'environment' | 'file';

/** What the program keeps secrets with. */
export interface Secrets {
  readonly secretBox: KeyRing;
  readonly keyHashSecret: Buffer;
  readonly source: MasterKeySource;
}

/** The master keys that the environment gives. */
export interface ConfiguredMasterKeys {
  readonly masterKey: Buffer | null;
  readonly previousMasterKey: Buffer | null;
}

/** The files of master keys in a data folder. `next` is there only while the key is being changed, `previous` ever after. */
export const masterKeyFiles = (dataDir: string) => ({
  current: join(dataDir, 'master.key'),
  next: join(dataDir, 'master.key.next'),
  previous: join(dataDir, 'master.key.previous'),
});

/** The master keys at hand, the current one first; none where neither environment nor folder has one. */
export function findMasterKeys(dataDir: string, configured: ConfiguredMasterKeys): { keys: MasterKey[]; source: MasterKeySource } {
  const { masterKey, previousMasterKey } = configured;
  const files = masterKeyFiles(dataDir);
  const found = masterKey === null ? [readMasterKey(files.current), readMasterKey(files.next)] : [masterKey, previousMasterKey];
  return {
    keys: found.filter((bytes) => bytes !== null).map(masterKeyOf),
    source: masterKey === null ? 'file' : 'environment',
  };
}

/**
 * Opens the secret of the key table with the master key; on an empty store makes both.
 *
 * The master key is `CASTELLAN_MASTER_KEY`, else the file `master.key` in the data folder; beside it the previous one of the environment, or
 * the next one in the folder, opens what it sealed. A key file is made only where the store has nothing that another key could have sealed.
 */
export async function openSecrets(options: {
  dataDir: string;
  configured: ConfiguredMasterKeys;
  store: LedgerStore & RecordStore;
  ids: Ids;
}): Promise<Secrets> {
  const { dataDir, store, ids } = options;
  const { current: path } = masterKeyFiles(dataDir);
  const kept = await store.record('setting', KEY_SECRET_SETTING);
  const { keys, source } = findMasterKeys(dataDir, options.configured);
  const [first, ...others] = keys;
  if (first === undefined && kept !== undefined) {
    throw new ConfigError(
      `${path} is missing, and without the master key the keys in this database cannot be used: put the file back from a backup, or set CASTELLAN_MASTER_KEY.`,
    );
  }
  const secretBox = makeKeyRing([first ?? masterKeyOf(makeMasterKey(path)), ...others], () => laterKeys(dataDir, source));
  const setting = kept ?? (await initKeySecret({ secretBox, store, ids }));
  const keyHashSecret = openKeySecret({ setting, secretBox, from: source === 'file' ? path : 'CASTELLAN_MASTER_KEY' });
  return { secretBox, keyHashSecret, source };
}

/** The keys in the folder now: while a restart hands over, another process may have changed them since this one read them. */
function laterKeys(dataDir: string, source: MasterKeySource): MasterKey[] {
  if (source === 'environment') return [];
  try {
    return findMasterKeys(dataDir, { masterKey: null, previousMasterKey: null }).keys;
  } catch {
    // A damaged file has no key to give; who looks for one learns that it is not at hand.
    return [];
  }
}

function readMasterKey(path: string): Buffer | null {
  const text = readTextFile(path);
  if (text === null) return null;
  const key = Buffer.from(text.trim(), 'base64');
  if (key.length === MASTER_KEY_BYTES) return key;
  throw new ConfigError(
    `${path} is damaged, it must hold ${MASTER_KEY_BYTES} bytes in base64: put it back from a backup, or set CASTELLAN_MASTER_KEY.`,
  );
}

const fileTextOf = (key: Uint8Array): string => `${Buffer.from(key).toString('base64')}\n`;

function makeMasterKey(path: string): Buffer {
  const key = randomBytes(MASTER_KEY_BYTES);
  if (writeFileDurably(path, fileTextOf(key), { exclusive: true })) return key;
  // Another start on the same folder was faster.
  return readMasterKey(path) ?? key;
}

/** The next master key of a folder: the one that an interrupted change left there, else a new one, on disk. */
export function keepNextMasterKey(dataDir: string): MasterKey {
  const { next } = masterKeyFiles(dataDir);
  return masterKeyOf(readMasterKey(next) ?? makeMasterKey(next));
}

/** Whether a change of the master key was interrupted in this folder. */
export const hasNextMasterKey = (dataDir: string): boolean => existsSync(masterKeyFiles(dataDir).next);

/**
 * Puts the next master key in the place of the current one, which stays as `master.key.previous`: backups from before need it. At every
 * moment the folder has both keys. `kept` is called between the two steps.
 */
export function replaceMasterKeyFile(dataDir: string, kept: () => void): void {
  const { current, next, previous } = masterKeyFiles(dataDir);
  const before = readMasterKey(current);
  if (before !== null) writeFileDurably(previous, fileTextOf(before));
  kept();
  renameSync(next, current);
  syncFolderOf(current);
}

/** Writes a new secret, unless another node just did; returns what stands. */
async function initKeySecret(options: { secretBox: KeyRing; store: LedgerStore; ids: Ids }): Promise<Setting> {
  const { secretBox, store, ids } = options;
  const sealed = secretBox.seal(randomBytes(KEY_SECRET_BYTES).toString('base64'), KEY_SECRET_IDENTITY);
  const setting: Setting = { id: KEY_SECRET_SETTING, value: { version: KEY_SECRET_VERSION, sealed } };
  const command = { verb: 'init-setting', id: ids.next('cmd'), tenantId: SYSTEM_TENANT, setting } as const;
  const { outcomes } = await store.execute(ids.next('batch'), [command], 0);
  const [outcome] = outcomes;
  if (outcome?.ok !== true) throw new Error('the store refused to keep the secret of the key table');
  return outcome.value as Setting;
}

/** The sealed secret of the key table. Throws a `ConfigError` where it is in a form that this version does not know. */
export function sealedKeySecret(setting: Setting): string {
  const value = setting.value as { readonly version?: unknown; readonly sealed?: unknown } | null;
  if (value?.version === KEY_SECRET_VERSION && typeof value.sealed === 'string') return value.sealed;
  throw new ConfigError(
    'This database keeps its key secrets in a form that this version does not know: start it with the version that wrote it, or a newer one.',
  );
}

/** Opens the secret of the key table, and lets the key that sealed it seal. `from` says where the master key came from. */
export function openKeySecret(options: { setting: Setting; secretBox: KeyRing; from: string }): Buffer {
  const { secretBox } = options;
  const sealed = sealedKeySecret(options.setting);
  try {
    const secret = Buffer.from(secretBox.open(sealed, KEY_SECRET_IDENTITY), 'base64');
    secretBox.use(sealingKeyOf(sealed) ?? secretBox.sealingId);
    return secret;
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error;
    const named = sealingKeyOf(sealed);
    const needed = named === null ? '' : `; it was sealed with the key ${named}, and at hand is ${secretBox.ids.join(' and ')}`;
    throw new ConfigError(
      `The master key in ${options.from} is not the one that this database was made with: give this node the same master key as the first one (CASTELLAN_MASTER_KEY, or its master.key)${needed}.`,
    );
  }
}
