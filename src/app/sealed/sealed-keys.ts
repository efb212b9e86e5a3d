import { sealIdentity, SYSTEM_TENANT } from '../../core/records.ts';
import { bytesOfHex, hexOf } from '../../core/sealed/hex.ts';
import { encodeKeyConfig } from '../../core/sealed/key-config.ts';
import {
  keysAfter,
  readKeyRing,
  SEALED_KEYS_SETTING,
  usesOf,
  type SealedKey,
  type SealedKeyPolicy,
  type SealedKeyRing,
} from '../../core/sealed/key-ring.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { SealedContext, SealedCrypto, SealedReceiver } from '../../ports/sealed-crypto.ts';
import type { SecretBox } from '../../ports/secret-box.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** What came of the first frame of a body. `stale`: it is for a key that opens no longer; `unopenable`: for none that anybody remembers. */
export type FirstFrame =
  | { readonly kind: 'opened'; readonly plaintext: Uint8Array; readonly context: SealedContext }
  | { readonly kind: 'stale' }
  | { readonly kind: 'unopenable' };

/** The keys that clients seal for: one for all nodes, changed as the policy says, kept sealed in the store. */
export interface SealedKeys {
  /** The key that is to be used from now on, as `application/ohttp-keys`. Makes it where there is none yet, or where a new one is due. Throws a `Fault` where the store does. */
  published(): Promise<Uint8Array>;
  /** Opens the first frame of a body with the key that it is for, which nothing but trying tells. */
  open(encapsulatedKey: Uint8Array, frame: Uint8Array): Promise<FirstFrame>;
  /** Changes the key if that is due, and forgets what is of no use any more; does nothing where nobody has asked for a key yet. */
  keep(): Promise<void>;
}

/** What the keys need. */
export interface SealedKeysDeps {
  readonly crypto: () => Promise<SealedCrypto>;
  readonly records: Pick<RecordStore, 'record'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly secretBox: SecretBox;
  readonly ids: Pick<Ids, 'next'>;
  readonly clock: Clock;
  readonly policy: SealedKeyPolicy;
  readonly onRotated: () => void;
  readonly log: Log;
}

/** A ring as this process holds it: private keys in hex by their ids. */
interface Held {
  readonly ring: SealedKeyRing;
  readonly privateKeys: Readonly<Record<string, string>>;
}

const IDENTITY = sealIdentity('setting', SEALED_KEYS_SETTING);

/** Makes the keys' use case. Nothing is read or made before the first use. */
export function makeSealedKeys(deps: SealedKeysDeps): SealedKeys {
  const { records, secretBox, clock, policy } = deps;
  const receivers = new Map<string, Promise<SealedReceiver>>();
  let held: Held | null = null;
  let rotating: Promise<Held> | null = null;

  const hold = (ring: SealedKeyRing): Held => {
    if (held !== null && held.ring.version >= ring.version) return held;
    held = { ring, privateKeys: JSON.parse(secretBox.open(ring.sealed, IDENTITY)) as Record<string, string> };
    for (const id of receivers.keys()) if (held.privateKeys[id] === undefined) receivers.delete(id);
    return held;
  };

  const read = async (): Promise<Held | null> => {
    const ring = readKeyRing((await records.record('setting', SEALED_KEYS_SETTING))?.value);
    return ring === null ? null : hold(ring);
  };

  const isCurrent = ({ ring }: Held): boolean => {
    const { published, hasExpired } = usesOf(ring.keys, clock.nowMs(), policy);
    return published !== null && !hasExpired;
  };

  /** One at a time: what is asked for meanwhile is the same. */
  const change = (): Promise<Held> => {
    rotating ??= changeKeys(deps, { read, hold, isCurrent }).finally(() => {
      rotating = null;
    });
    return rotating;
  };

  const receiverOf = (key: SealedKey, privateKeys: Held['privateKeys']): Promise<SealedReceiver> => {
    const known = receivers.get(key.id);
    if (known !== undefined) return known;
    const pair = { publicKey: bytesOfHex(key.publicKey), privateKey: bytesOfHex(privateKeys[key.id] ?? '') };
    const loaded = deps.crypto().then((crypto) => crypto.load(pair));
    receivers.set(key.id, loaded);
    return loaded;
  };

  const tryKeys = async (of: Held, keys: readonly SealedKey[], [enc, frame]: readonly [Uint8Array, Uint8Array]) => {
    for (const key of keys) {
      const context = await (await receiverOf(key, of.privateKeys)).receive(enc);
      const plaintext = context === null ? null : await context.open(frame);
      if (context !== null && plaintext !== null) return { plaintext, context };
    }
    return null;
  };

  const openWith = async (of: Held, message: readonly [Uint8Array, Uint8Array]): Promise<FirstFrame> => {
    const { opening, recognised } = usesOf(of.ring.keys, clock.nowMs(), policy);
    const opened = await tryKeys(of, opening, message);
    if (opened !== null) return { kind: 'opened', ...opened };
    return { kind: (await tryKeys(of, recognised, message)) === null ? 'unopenable' : 'stale' };
  };

  return {
    published: async () => {
      const known = held ?? (await read());
      const { ring } = known !== null && isCurrent(known) ? known : await change();
      return encodeKeyConfig(bytesOfHex(ring.keys[0]?.publicKey ?? ''));
    },
    open: async (enc, frame) => {
      const before = held;
      const found = before === null ? null : await openWith(before, [enc, frame]);
      if (found?.kind === 'opened') return found;
      // Another node may have told the client of a key that this one has not heard of.
      const now = await read();
      if (now === null || (found !== null && now.ring.version === before?.ring.version)) return found ?? { kind: 'unopenable' };
      return openWith(now, [enc, frame]);
    },
    keep: async () => {
      const known = await read();
      if (known !== null && !isCurrent(known)) await change();
    },
  };
}

/** Makes a new key where one is due, forgets what has expired, and holds what stands then. Another node may be first: then its keys stand. */
async function changeKeys(
  { crypto, writer, secretBox, ids, clock, policy, onRotated, log }: SealedKeysDeps,
  {
    read,
    hold,
    isCurrent,
  }: {
    readonly read: () => Promise<Held | null>;
    readonly hold: (ring: SealedKeyRing) => Held;
    readonly isCurrent: (held: Held) => boolean;
  },
): Promise<Held> {
  const before = await read();
  if (before !== null && isCurrent(before)) return before;
  const nowMs = clock.nowMs();
  const old = before?.ring.keys ?? [];
  const isDue = usesOf(old, nowMs, policy).published === null;
  const pair = isDue ? await (await crypto()).makeKeyPair() : null;
  const made = pair === null ? null : { id: ids.next('sek'), publicKey: hexOf(pair.publicKey), madeAtMs: nowMs, replacedAtMs: null };
  const keys = keysAfter(old, { made, nowMs, policy });
  const known: Record<string, string> = { ...before?.privateKeys };
  if (made !== null && pair !== null) known[made.id] = hexOf(pair.privateKey);
  const privateKeys = Object.fromEntries(keys.map(({ id }) => [id, known[id]]));
  const ring = { version: (before?.ring.version ?? 0) + 1, keys, sealed: secretBox.seal(JSON.stringify(privateKeys), IDENTITY) };
  const outcome = await writer.execute({ verb: 'put-sealed-keys', id: ids.next('cmd'), tenantId: SYSTEM_TENANT, ring });
  if (!outcome.ok) throw new Error('the keys of sealed calls could not be kept');
  if (made !== null && outcome.value.keys[0]?.id === made.id) {
    onRotated();
    log.info(
      { keyId: made.id, openingUntil: keys[1]?.replacedAtMs === undefined ? null : nowMs + policy.overlapMs },
      'sealed calls have a new key',
    );
  }
  return hold(outcome.value);
}
