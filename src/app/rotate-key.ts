import { maskOf, rotatedPlaintext } from '../core/access/credentials.ts';
import { sealIdentity, type ApiKey } from '../core/records.ts';
import { accepted, type Outcome } from '../core/rejection.ts';
import type { Ids } from '../ports/ids.ts';
import type { KeyHasher, SecretBox } from '../ports/secret-box.ts';
import { auditedBase, type Actor } from './audited-command.ts';
import type { CreatedKey } from './create-key.ts';
import type { LedgerWriter } from './ledger-writer.ts';

/** How a key is rotated: in whose tenant, on behalf of which member (null: the operator), and how long its old value stays good. */
export interface Rotation {
  readonly tenantId: string;
  readonly asMember: string | null;
  readonly graceMs: number;
}

/** Hears of a rotation that has happened: of the key as it was before, and of its new value. Must not throw. */
export type OnRotated = (before: ApiKey, plaintext: string) => void;

/**
 * Makes the use case that gives a key a new value; the one before stays good for a while. The new one is kept, sealed, where the one
 * before was, and told this once.
 *
 * Rejects as the command `rotate-key` does.
 */
export function makeRotateKey(deps: {
  writer: Pick<LedgerWriter, 'execute'>;
  ids: Ids;
  hasher: KeyHasher;
  secretBox: SecretBox;
  onRotated?: OnRotated;
}) {
  const { writer, ids, hasher, secretBox } = deps;
  return async (actor: Actor, key: ApiKey, { tenantId, asMember, graceMs }: Rotation): Promise<Outcome<CreatedKey>> => {
    const { id } = key;
    const plaintext = rotatedPlaintext(key, (length) => ids.base62(length));
    const outcome = await writer.execute({
      verb: 'rotate-key',
      ...auditedBase(ids, actor, { name: 'rotate-key', tenantId, resourceKind: 'key', resourceId: id }),
      keyId: id,
      hash: hasher.hash(plaintext),
      mask: maskOf(plaintext),
      sealed: key.sealed === null ? null : secretBox.seal(plaintext, sealIdentity('key', id)),
      graceMs,
      ...(asMember === null ? {} : { asMember }),
    });
    if (!outcome.ok) return outcome;
    deps.onRotated?.(key, plaintext);
    return accepted({ key: outcome.value, plaintext });
  };
}
