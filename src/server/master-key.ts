import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Ids } from '../ports/ids.ts';
import type { LedgerStore } from '../ports/ledger-store.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { SecretBox } from '../ports/secret-box.ts';
import { sealIdentity, type Setting, SYSTEM_TENANT } from '../core/records.ts';
import { ConfigError } from './config-error.ts';
import { readTextFile, writeFileDurably } from './data-folder.ts';
import { makeAesSecretBox, MASTER_KEY_BYTES, SealBroken } from './secrets/aes-secret-box.ts';

/** The setting that keeps the secret of the key table, sealed with the master key. */
const KEY_SECRET_SETTING = 'key-hash-secret';
const KEY_SECRET_IDENTITY = sealIdentity('setting', KEY_SECRET_SETTING);
const KEY_SECRET_VERSION = 1;
const KEY_SECRET_BYTES = 32;

/** What the program keeps secrets with. */
export interface Secrets {
  readonly secretBox: SecretBox;
  readonly keyHashSecret: Buffer;
}

/**
 * Opens the secret of the key table with the master key; on an empty store makes both.
 *
 * The master key is `configured` (`CASTELLAN_MASTER_KEY`) or the file `master.key` in the data folder. A key file is made only where
 * the store has nothing that another key could have sealed.
 */
export async function openSecrets(options: {
  dataDir: string;
  configured: Buffer | null;
  store: LedgerStore & RecordStore;
  ids: Ids;
}): Promise<Secrets> {
  const { dataDir, configured, store, ids } = options;
  const path = join(dataDir, 'master.key');
  const kept = await store.record('setting', KEY_SECRET_SETTING);
  const found = configured ?? readMasterKey(path);
  if (found === null && kept !== undefined) {
    throw new ConfigError(
      `${path} is missing, and without the master key the keys in this database cannot be used: put the file back from a backup, or set CASTELLAN_MASTER_KEY.`,
    );
  }
  const secretBox = makeAesSecretBox({ masterKey: found ?? makeMasterKey(path) });
  const setting = kept ?? (await initKeySecret({ secretBox, store, ids }));
  return { secretBox, keyHashSecret: openKeySecret({ setting, secretBox, from: configured === null ? path : 'CASTELLAN_MASTER_KEY' }) };
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

function makeMasterKey(path: string): Buffer {
  const key = randomBytes(MASTER_KEY_BYTES);
  if (writeFileDurably(path, `${key.toString('base64')}\n`, { exclusive: true })) return key;
  // Another start on the same folder was faster.
  return readMasterKey(path) ?? key;
}

/** Writes a new secret, unless another node just did; returns what stands. */
async function initKeySecret(options: { secretBox: SecretBox; store: LedgerStore; ids: Ids }): Promise<Setting> {
  const { secretBox, store, ids } = options;
  const sealed = secretBox.seal(randomBytes(KEY_SECRET_BYTES).toString('base64'), KEY_SECRET_IDENTITY);
  const setting: Setting = { id: KEY_SECRET_SETTING, value: { version: KEY_SECRET_VERSION, sealed } };
  const command = { verb: 'init-setting', id: ids.next('cmd'), tenantId: SYSTEM_TENANT, setting } as const;
  const { outcomes } = await store.execute(ids.next('batch'), [command], 0);
  const [outcome] = outcomes;
  if (outcome?.ok !== true) throw new Error('the store refused to keep the secret of the key table');
  return outcome.value as Setting;
}

function openKeySecret(options: { setting: Setting; secretBox: SecretBox; from: string }): Buffer {
  const value = options.setting.value as { readonly version?: unknown; readonly sealed?: unknown } | null;
  if (value?.version !== KEY_SECRET_VERSION || typeof value.sealed !== 'string') {
    throw new ConfigError(
      'This database keeps its key secrets in a form that this version does not know: start it with the version that wrote it, or a newer one.',
    );
  }
  try {
    return Buffer.from(options.secretBox.open(value.sealed, KEY_SECRET_IDENTITY), 'base64');
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error;
    throw new ConfigError(
      `The master key in ${options.from} is not the one that this database was made with: give this node the same master key as the first one (CASTELLAN_MASTER_KEY, or its master.key).`,
    );
  }
}
