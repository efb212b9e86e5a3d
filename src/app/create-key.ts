import type { CreateKeyCommand } from '../core/access/commands.ts';
import { KEY_PREFIXES, KEY_RANDOM_LENGTH, maskOf } from '../core/access/credentials.ts';
import { sealIdentity, type ApiKey } from '../core/records.ts';
import type { PlainJson } from '../core/json/plain-json.ts';
import { accepted, type Outcome } from '../core/rejection.ts';
import type { Ids } from '../ports/ids.ts';
import type { KeyHasher, SecretBox } from '../ports/secret-box.ts';
import { auditedBase, type Actor } from './audited-command.ts';
import type { LedgerWriter } from './ledger-writer.ts';

/** A key to be made. `memberId` is who makes it or, for admin and management keys, whom it acts as. */
export interface NewKey {
  readonly tenantId: string;
  readonly memberId: string;
  readonly kind: ApiKey['kind'];
  readonly name: string;
  readonly expiresAtMs: number | null;
  readonly maxTokens: bigint | null;
  readonly moneyBudgetMicrocents: bigint | null;
  /** As `packMetadata` gives it. */
  readonly metadata: PlainJson;
  /** As `create-key` takes it. */
  readonly onlyName?: CreateKeyCommand['onlyName'];
  /** Nobody can see its value again, its creator neither. */
  readonly isToldOnce?: true;
  /** As `update-key` takes them. */
  readonly levels?: ApiKey['levels'] | null;
  readonly callerLevels?: ApiKey['callerLevels'] | null;
}

/** A key that was just made, with its plaintext, which is told this once. */
export interface CreatedKey {
  readonly key: ApiKey;
  readonly plaintext: string;
}

/**
 * Makes the use case that makes a key. Only inference keys keep their plaintext, sealed, where their creator may see it again.
 *
 * Rejects as the command `create-key` does.
 */
export function makeCreateKey(deps: { writer: Pick<LedgerWriter, 'execute'>; ids: Ids; hasher: KeyHasher; secretBox: SecretBox }) {
  const { writer, ids, hasher, secretBox } = deps;
  return async (actor: Actor, wanted: NewKey): Promise<Outcome<CreatedKey>> => {
    const { tenantId, kind } = wanted;
    const id = ids.next('key');
    const plaintext = KEY_PREFIXES[kind] + ids.base62(KEY_RANDOM_LENGTH[kind]);
    const outcome = await writer.execute({
      verb: 'create-key',
      ...auditedBase(ids, actor, { name: 'create-key', tenantId, resourceKind: 'key', resourceId: id }),
      key: {
        id,
        kind,
        name: wanted.name,
        hash: hasher.hash(plaintext),
        mask: maskOf(plaintext),
        sealed: kind === 'inference' && wanted.isToldOnce !== true ? secretBox.seal(plaintext, sealIdentity('key', id)) : null,
        createdBy: wanted.memberId,
        disabled: false,
        expiresAtMs: wanted.expiresAtMs,
        metadata: wanted.metadata,
        outputBound: 'hard',
        ...givenLevels(wanted),
      },
      maxTokens: wanted.maxTokens,
      moneyBudgetMicrocents: wanted.moneyBudgetMicrocents,
      ...(wanted.onlyName === undefined ? {} : { onlyName: wanted.onlyName }),
    });
    return outcome.ok ? accepted({ key: outcome.value, plaintext }) : outcome;
  };
}

/** The levels of a new key; empty ones are none. */
function givenLevels({ levels, callerLevels }: NewKey): Pick<ApiKey, 'levels' | 'callerLevels'> {
  const isGiven = (value: object | null | undefined): boolean => Object.keys(value ?? {}).length > 0;
  return {
    ...(levels !== undefined && levels !== null && isGiven(levels) ? { levels } : {}),
    ...(callerLevels !== undefined && callerLevels !== null && isGiven(callerLevels) ? { callerLevels } : {}),
  };
}
