import type { Clock } from '../ports/clock.ts';
import type { Ids } from '../ports/ids.ts';
import type { LedgerStore } from '../ports/ledger-store.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { KeyHasher, SecretBox } from '../ports/secret-box.ts';
import type { Tokenizers } from '../ports/tokenizer.ts';
import { makeBootCommands } from './boot-commands.ts';
import type { Config } from './config.ts';
import { type Credentials, keepCredentials } from './credentials.ts';
import { makeFirstStart, needsFirstStart } from './first-start.ts';

/** What a start found and did before anything listens. */
export interface Prepared {
  readonly credentials: Credentials;
  readonly isFirstStart: boolean;
  /** Whether the demo key has not made its call yet, so that telling how is of use. */
  readonly isDemoUnused: boolean;
  /** Sentences for the operator about the configuration file. */
  readonly notices: readonly string[];
}

/** Brings the store into the state that this start promises: the first start where there was none, then the declared configuration. */
export async function prepareStore(options: {
  config: Config;
  store: LedgerStore & RecordStore;
  clock: Clock;
  ids: Ids;
  hasher: KeyHasher;
  secretBox: SecretBox;
  tokenizers: Tokenizers;
  startId: string;
}): Promise<Prepared> {
  const { config, store, ids, hasher } = options;
  const boot = makeBootCommands(options);
  const isFirstStart = await needsFirstStart(store);
  const kept = { dataDir: config.dataDir, operatorKey: config.operatorKey, ids };
  let credentials: Credentials;
  if (isFirstStart) {
    const full = keepCredentials({ ...kept, full: true });
    await makeFirstStart({ ...options, boot, credentials: full });
    credentials = full;
  } else {
    credentials = keepCredentials({ ...kept, full: false });
  }
  const notices = config.declared === null ? [] : await applyDeclaredConfig(options, boot, config.declared);
  const isDemoUnused = isFirstStart || (await hasUnusedKey(store, hasher, credentials.demo_key));
  return { credentials, isFirstStart, isDemoUnused, notices };
}

async function applyDeclaredConfig(
  options: Parameters<typeof prepareStore>[0],
  boot: ReturnType<typeof makeBootCommands>,
  declared: NonNullable<Config['declared']>,
): Promise<string[]> {
  const { applyDeclared } = await import('./declared/apply-declared.ts');
  return applyDeclared({ ...options, boot, records: options.store }, declared);
}

async function hasUnusedKey(store: RecordStore, hasher: KeyHasher, plaintext: string | undefined): Promise<boolean> {
  if (plaintext === undefined) return false;
  const key = await store.keyByHash(hasher.hash(plaintext));
  if (key === undefined || key.disabled) return false;
  const usage = await store.keyUsage({ tenantId: key.tenantId, keyIds: [key.id] });
  return usage.every(({ lastUsedAtMs }) => lastUsedAtMs === null);
}
