import type { RotateMasterKey } from '../app/rotate-master-key.ts';
import { accepted, rejected } from '../core/rejection.ts';
import type { Failpoints } from '../ports/failpoints.ts';
import type { Log } from '../ports/log.ts';
import type { MasterKeys } from '../ports/master-keys.ts';
import type { RecordStore } from '../ports/record-store.ts';
import {
  hasNextMasterKey,
  KEY_SECRET_SETTING,
  keepNextMasterKey,
  type MasterKeySource,
  replaceMasterKeyFile,
  sealedKeySecret,
} from './master-key.ts';
import { sealingKeyOf } from './secrets/aes-secret-box.ts';
import type { KeyRing } from './secrets/key-ring.ts';

/** A node that was heard of so long ago lives. */
const ALIVE_MS = 5000;
/** How often a node of several looks which key seals. */
const FOLLOW_MS = 1000;

/** What the master keys of a process are made of. */
interface MasterKeysDeps {
  readonly ring: KeyRing;
  readonly source: MasterKeySource;
  readonly dataDir: string;
  readonly isShared: boolean;
  readonly ownerId: string;
  readonly records: Pick<RecordStore, 'heartbeat'>;
  readonly failpoints: Failpoints;
}

/**
 * Makes the {@link MasterKeys} of this process.
 *
 * A key in a file is replaced by a new one that is made here. A process cannot change its environment, nor the folders of other nodes: there
 * the operator gives every node both keys, and the change goes from the previous one to the current one.
 */
export function makeMasterKeys(deps: MasterKeysDeps): MasterKeys {
  const { ring, source, dataDir } = deps;

  const prepareInEnvironment = (): ReturnType<MasterKeys['prepare']> => {
    // As the environment gives them: the current key first, whichever seals.
    const [toId, fromId] = ring.ids;
    if (toId !== undefined && fromId !== undefined) return Promise.resolve(accepted({ fromId, toId }));
    return Promise.resolve(
      rejected({
        code: 'conflict',
        message:
          'the master key is set by CASTELLAN_MASTER_KEY, which this process cannot change: restart every node with the new key in ' +
          'CASTELLAN_MASTER_KEY and this one in CASTELLAN_MASTER_KEY_PREVIOUS, then ask again',
      }),
    );
  };

  const prepareInFile: MasterKeys['prepare'] = async () => {
    if (deps.isShared) {
      const alive = await deps.records.heartbeat({ ownerId: deps.ownerId, withinMs: ALIVE_MS });
      const others = alive.filter((owner) => owner !== deps.ownerId).length;
      if (others > 0) {
        return rejected({
          code: 'conflict',
          message:
            `${others} other nodes use this database, and their master.key cannot be changed from here: restart every node with a new key in ` +
            'CASTELLAN_MASTER_KEY and the present one in CASTELLAN_MASTER_KEY_PREVIOUS, then ask again',
        });
      }
    }
    const [currentId = ring.sealingId] = ring.ids;
    const next = keepNextMasterKey(dataDir);
    ring.add(next);
    return accepted({ fromId: currentId, toId: next.id });
  };

  return {
    prepare: source === 'file' ? prepareInFile : prepareInEnvironment,
    keyIdOf: sealingKeyOf,
    open: (sealed, identity) => ring.open(sealed, identity),
    sealWith: (id, plaintext, identity) => ring.sealWith(id, plaintext, identity),
    use: (id) => void ring.use(id),
    finish: () => {
      // The environment's keys stay: a node that still has only the older one may write until it is restarted.
      if (source === 'environment') return;
      replaceMasterKeyFile(dataDir, () => deps.failpoints.hit('rotate.kept'));
      deps.failpoints.hit('rotate.replaced');
      ring.retireOthers();
    },
  };
}

/** Whether a change of the master key was interrupted, so that this process has to end it. */
export const isChangeInterrupted = (dataDir: string, source: MasterKeySource): boolean => source === 'file' && hasNextMasterKey(dataDir);

/** On a store that other nodes write to: keeps to the key that seals there now. Returns how to stop. */
export function followSealingKey(options: { ring: KeyRing; records: Pick<RecordStore, 'record'>; isShared: boolean }): () => void {
  if (!options.isShared) return () => undefined;
  const look = async (): Promise<void> => {
    const setting = await options.records.record('setting', KEY_SECRET_SETTING);
    const id = setting === undefined ? null : sealingKeyOf(sealedKeySecret(setting));
    if (id !== null) options.ring.use(id);
  };
  // A look that fails tells nothing new; the store's own checks tell of an outage.
  const timer = setInterval(() => void look().catch(() => undefined), FOLLOW_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Ends a change that an earlier run began, beside the work of this one. Where that fails, the next start tries again. */
export function endInterruptedChange(rotateMasterKey: RotateMasterKey, log: Log): void {
  log.warn({}, 'a change of the master key was interrupted; it goes on now');
  rotateMasterKey({ kind: 'system', id: 'start', requestId: 'start' }).then(
    (outcome) => {
      if (outcome.ok) log.info({ ...outcome.value }, 'the change of the master key has ended');
      else log.error({ code: outcome.rejection.code }, `the change of the master key cannot end: ${outcome.rejection.message}`);
    },
    (err: unknown) => log.error({ err }, 'the change of the master key failed; the next start goes on with it'),
  );
}
