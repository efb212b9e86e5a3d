import type { PutSealedKeysCommand } from '../access/commands.ts';
import type { PlainJson } from '../json/plain-json.ts';
import { accepted } from '../rejection.ts';
import type { Verb } from '../verb.ts';
import { readKeyRing, SEALED_KEYS_SETTING, type SealedKeyRing } from './key-ring.ts';

/**
 * Puts a ring of keys in the place of the version before; never refuses. Where that one is not the one that stands, because another node was
 * first, nothing changes. The outcome is the ring that stands, so that all nodes agree.
 */
export const putSealedKeysVerb: Verb<PutSealedKeysCommand, SealedKeyRing> = {
  needs: () => ({ tenantLock: 'exclusive', records: [{ kind: 'setting', id: SEALED_KEYS_SETTING }] }),
  decide: (state, { ring }) => {
    const standing = readKeyRing(state.record('setting', SEALED_KEYS_SETTING)?.value);
    if (standing !== null && standing.version !== ring.version - 1) return { outcome: accepted(standing), effects: [] };
    const record = { id: SEALED_KEYS_SETTING, value: ring as unknown as PlainJson };
    return { outcome: accepted(ring), effects: [{ type: 'record', kind: 'setting', id: SEALED_KEYS_SETTING, record }] };
  },
};
