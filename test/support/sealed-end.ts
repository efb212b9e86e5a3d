import { makeSealedEnd, type SealedEnd, type SealedOutcome } from '../../src/app/sealed/sealed-end.ts';
import { makeSealedKeys, type SealedKeys, type SealedKeysDeps } from '../../src/app/sealed/sealed-keys.ts';
import { accepted } from '../../src/core/rejection.ts';
import { DEFAULT_SEALED_KEYS, readKeyRing, type SealedKeyPolicy, type SealedKeyRing } from '../../src/core/sealed/key-ring.ts';
import { putSealedKeysVerb } from '../../src/core/sealed/decide-sealed-keys.ts';
import type { Setting } from '../../src/core/records.ts';
import { makeHpkeCrypto } from '../../src/sealed/hpke-crypto.ts';
import { makeAesSecretBox } from '../../src/server/secrets/aes-secret-box.ts';

/** A store of one setting, which several nodes may share. */
export interface RingStore {
  setting: Setting | undefined;
  reads: number;
}

/** The ring that a store holds; throws where it holds none. */
export function ringIn({ setting }: RingStore): SealedKeyRing {
  const ring = readKeyRing(setting?.value);
  if (ring === null) throw new Error('no key was made');
  return ring;
}

/** Keys of sealed calls on one node, with the real cryptography. `nowMs` is the node's time. */
export function makeTestSealedKeys(options: {
  readonly store?: RingStore;
  readonly nowMs?: () => number;
  readonly policy?: Partial<SealedKeyPolicy>;
  readonly lines?: Readonly<Record<string, unknown>>[];
  readonly name?: string;
}): { readonly keys: SealedKeys; readonly store: RingStore } {
  const { store = { setting: undefined, reads: 0 }, nowMs = () => 0, policy = {}, lines = [], name = 'n' } = options;
  const crypto = makeHpkeCrypto();
  let made = 0;
  const writer = {
    execute: async ({ ring }: { ring: SealedKeyRing }) => {
      const command = { verb: 'put-sealed-keys', id: 'c', tenantId: 'system', ring } as const;
      const { outcome, effects } = putSealedKeysVerb.decide({ record: () => store.setting } as never, command, nowMs());
      for (const effect of effects) if (effect.type === 'record') store.setting = effect.record as Setting;
      return outcome.ok ? accepted(structuredClone(outcome.value)) : outcome;
    },
  };
  const note = (fields: Readonly<Record<string, unknown>>): void => void lines.push(fields);
  const deps = {
    crypto: async () => crypto,
    records: {
      record: async () => {
        store.reads += 1;
        return store.setting;
      },
    },
    writer,
    secretBox: makeAesSecretBox({ masterKey: Buffer.alloc(32, 7) }),
    ids: { next: (prefix: string) => `${prefix}_${name}${(made += 1)}` },
    clock: { nowMs },
    policy: { ...DEFAULT_SEALED_KEYS, ...policy },
    onRotated: () => undefined,
    log: { debug: note, info: note, warn: note, error: note },
  };
  return { keys: makeSealedKeys(deps as unknown as SealedKeysDeps), store };
}

/** The end of sealed calls for a gateway of a test, and what it counted. */
export function makeTestSealedEnd(options: Parameters<typeof makeTestSealedKeys>[0] = {}): {
  readonly end: SealedEnd;
  readonly counted: SealedOutcome[];
} {
  const counted: SealedOutcome[] = [];
  return { end: makeSealedEnd({ keys: makeTestSealedKeys(options).keys, count: (outcome) => void counted.push(outcome) }), counted };
}
