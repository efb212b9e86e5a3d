import type { ApiKey, KeyRotation } from '../records.ts';
import { accepted, rejected } from '../rejection.ts';
import { formatRfc3339 } from '../rfc3339.ts';
import { refuse, type Verb } from '../verb.ts';
import { eventEffects } from './access-events.ts';
import type { RotateKeyCommand } from './commands.ts';
import { openKey } from './decide-update-key.ts';
import { invalid, type Refusal } from './rules.ts';

/** Longest grace of a rotation, in seconds: 30 days. Whoever needs longer needs a second key. */
export const MAX_GRACE_SECONDS = 30 * 24 * 60 * 60;

/** Which of its two values a key was called by. */
export type PresentedValue = 'current' | 'previous';

/**
 * By which value `key` is called where somebody presents one whose hash is `hash`: its present one, or the one before while its grace
 * lasts. Null for any other, and for the one before from the moment on in which its grace ends.
 */
export function presentedValue(key: Pick<ApiKey, 'hash' | 'rotation'>, hash: string, nowMs: number): PresentedValue | null {
  if (key.hash === hash) return 'current';
  const rotation = key.rotation ?? null;
  return rotation !== null && rotation.previousHash === hash && nowMs < rotation.previousUntilMs ? 'previous' : null;
}

/** Until when the value before the last rotation is good; null where none is at `nowMs`. */
export function previousValidUntilMs({ rotation = null }: Pick<ApiKey, 'rotation'>, nowMs: number): number | null {
  return rotation === null || rotation.previousHash === null || rotation.previousUntilMs <= nowMs ? null : rotation.previousUntilMs;
}

/** A member gets no value by which they would act as another one: `forbidden`. */
function refuseForeign(key: ApiKey, asMember: string | undefined): Refusal | null {
  const actsAsMember = key.kind === 'admin' || key.kind === 'management';
  if (asMember === undefined || !actsAsMember || key.createdBy === asMember) return null;
  return rejected({
    code: 'forbidden',
    message: 'a key that acts as another member can be rotated by that member or the operator',
  });
}

/**
 * Gives a key a new value. Everything else of it stays: id, name, limits, what it used and holds, expiry, and whether it is disabled.
 * The value before stays good for the grace; a value that was in its grace already dies at once, so that a key never has more than
 * two. The value is the key.
 *
 * Rejects, in this order: `not_found` (absent, deleted, another tenant's), `tenant_closed`, `forbidden` (a member asks for an admin or
 * management key that acts as another member), `invalid_request` (grace_seconds).
 */
export const rotateKeyVerb: Verb<RotateKeyCommand, ApiKey> = {
  needs: ({ keyId }) => ({ tenantLock: 'exclusive', records: [{ kind: 'key', id: keyId }] }),
  decide: (state, command, nowMs) => {
    const open = openKey(state, command);
    if (!('key' in open)) return refuse(open);
    const foreign = refuseForeign(open.key, command.asMember);
    if (foreign !== null) return refuse(foreign);
    const { graceMs, hash, mask, sealed } = command;
    if (!Number.isSafeInteger(graceMs) || graceMs < 0 || graceMs > MAX_GRACE_SECONDS * 1000) {
      return refuse(invalid('grace_seconds', `be a whole number from 0 to ${MAX_GRACE_SECONDS}`));
    }
    const rotation: KeyRotation = {
      atMs: nowMs,
      previousHash: graceMs === 0 ? null : open.key.hash,
      previousUntilMs: nowMs + graceMs,
    };
    const key: ApiKey = { ...open.key, hash, mask, sealed, rotation };
    const data = {
      tenant_id: key.tenantId,
      key_id: key.id,
      kind: key.kind,
      name: key.name,
      previous_valid_until: graceMs === 0 ? null : formatRfc3339(rotation.previousUntilMs),
    };
    return {
      outcome: accepted(key),
      effects: [
        { type: 'record', kind: 'key', id: key.id, record: key },
        ...eventEffects(command, nowMs, [{ type: 'api_key.rotated', data }]),
      ],
    };
  },
};
