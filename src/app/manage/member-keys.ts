import { keyNameTaken } from '../../core/access/decide-create-key.ts';
import { keyNameId, type ApiKey, type KeyKind } from '../../core/records.ts';
import { rejected, type Outcome } from '../../core/rejection.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { Actor } from '../audited-command.ts';
import type { CreatedKey, makeCreateKey } from '../create-key.ts';
import type { makeDeleteKey } from '../delete-key.ts';

/** Whose keys they are, and the key that the member asks with. */
export interface MemberKeyUse {
  readonly tenantId: string;
  readonly memberId: string;
  readonly keyId: string;
}

/** What a member does with their own inference and management keys, wherever these were made. */
export interface MemberKeys {
  /** All of them that are not deleted, oldest first. */
  list(owner: Pick<MemberKeyUse, 'tenantId' | 'memberId'>): Promise<ApiKey[]>;
  /** Makes a key whose name no other key of the member has; its value is told this once. Rejects: `conflict`, then as `create-key`. */
  create(
    actor: Actor,
    owner: MemberKeyUse,
    wanted: { readonly name: string; readonly kind: 'inference' | 'management' },
  ): Promise<Outcome<CreatedKey>>;
  /**
   * Deletes the one key of that name. Rejects, in this order: `not_found`, `invalid_request` (several keys have the name, or it is the key
   * that the member asks with), then as `delete-key`.
   */
  deleteByName(actor: Actor, owner: MemberKeyUse, name: string): Promise<Outcome<ApiKey>>;
}

/** The kinds of key that members manage. */
const KINDS: readonly KeyKind[] = ['inference', 'management'];

const badName = (message: string): Outcome<never> => rejected({ code: 'invalid_request', message, field: 'name' });

/** Makes the {@link MemberKeys}. */
export function makeMemberKeys(deps: {
  records: Pick<RecordStore, 'keys' | 'record'>;
  createKey: ReturnType<typeof makeCreateKey>;
  deleteKey: ReturnType<typeof makeDeleteKey>;
}): MemberKeys {
  const { records, createKey, deleteKey } = deps;

  const list: MemberKeys['list'] = async ({ tenantId, memberId }) =>
    (await records.keys({ tenantId, kinds: KINDS })).filter(({ createdBy }) => createdBy === memberId);

  return {
    list,
    create: async (actor, owner, { name, kind }) => {
      const { tenantId, memberId } = owner;
      // In this order: whoever takes the name after the keys were looked at has changed what was read before.
      const last = await records.record('key-name', keyNameId(tenantId, memberId, name));
      if ((await list(owner)).some((key) => key.name === name)) return keyNameTaken(name);
      return createKey(actor, {
        tenantId,
        memberId,
        kind,
        name,
        expiresAtMs: null,
        maxTokens: null,
        moneyBudgetMicrocents: null,
        metadata: {},
        onlyName: { lastKeyId: last?.keyId ?? null },
        isToldOnce: true,
      });
    },
    deleteByName: async (actor, owner, name) => {
      const named = (await list(owner)).filter((key) => key.name === name);
      const [key] = named;
      if (key === undefined) return rejected({ code: 'not_found', message: 'API key not found', field: 'name' });
      if (named.length > 1) return badName(`${named.length} API keys have this name; none was deleted: give them names of their own first`);
      if (key.id === owner.keyId) return badName('name must not be that of the management key which this request was made with');
      return deleteKey(actor, key);
    },
  };
}
