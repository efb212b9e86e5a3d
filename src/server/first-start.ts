import type { Entitlements, KeyKind } from '../core/records.ts';
import { maskOf } from '../core/access/credentials.ts';
import { DEFAULT_ENTITLEMENTS } from '../core/access/defaults.ts';
import { sealIdentity, SYSTEM_TENANT } from '../core/records.ts';
import type { Command } from '../core/verbs.ts';
import type { Ids } from '../ports/ids.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { KeyHasher, SecretBox } from '../ports/secret-box.ts';
import type { Tokenizers } from '../ports/tokenizer.ts';
import type { BootCommands } from './boot-commands.ts';
import { DEFAULT_TENANT, type FullCredentials } from './credentials.ts';
import { DEMO_MODEL, DEMO_UPSTREAM, demoBudgetMicrocents, demoPrice } from './demo-call.ts';

/** The setting that says that a first start is done. It is written in the same transaction as everything else of it. */
const DONE_SETTING = 'first-start';

/** The member that the keys of the first start belong to. */
const ADMIN_MEMBER = 'admin';

/** The first tenant may do everything: whoever starts the program owns the machine. */
const EVERY_ENTITLEMENT: Entitlements = { ...DEFAULT_ENTITLEMENTS, gpuAccess: true, hostChoice: true, maxGpus: 8, maxContainers: 100 };

/** Whether this store has not seen a whole first start yet. */
export const needsFirstStart = async (records: RecordStore): Promise<boolean> =>
  (await records.record('setting', DONE_SETTING)) === undefined;

/**
 * Makes the tenant `default`, its admin member, the demo upstream with its priced model, and the keys whose plaintexts `credentials`
 * hold, in one transaction: after a crash there is all of it or nothing. The credentials must be on disk already.
 */
export async function makeFirstStart(options: {
  boot: BootCommands;
  ids: Ids;
  hasher: KeyHasher;
  secretBox: SecretBox;
  tokenizers: Tokenizers;
  credentials: FullCredentials;
}): Promise<void> {
  const { boot, ids, credentials } = options;
  const system = { tenantId: SYSTEM_TENANT } as const;
  const own = { tenantId: DEFAULT_TENANT } as const;
  const base = (operation: string, kind: string, id: string) => ({ id: boot.nextId(), audit: boot.audit(operation, kind, id) });
  const keyCommand = (key: FirstKey): Command => ({
    verb: 'create-key',
    ...own,
    ...base('create-key', 'key', key.id),
    key: firstKeyRecord({ ...options, key }),
    maxTokens: null,
    moneyBudgetMicrocents: key.moneyBudgetMicrocents,
  });
  const keys: FirstKey[] = [
    { id: ids.next('key'), kind: 'admin', name: 'admin', plaintext: credentials.admin_key, moneyBudgetMicrocents: null },
    { id: ids.next('key'), kind: 'management', name: 'management', plaintext: credentials.management_key, moneyBudgetMicrocents: null },
    {
      id: ids.next('key'),
      kind: 'inference',
      name: 'demo',
      plaintext: credentials.demo_key,
      moneyBudgetMicrocents: await demoBudgetMicrocents(options.tokenizers),
    },
  ];
  const tenant = {
    id: DEFAULT_TENANT,
    name: 'Default',
    entitlements: EVERY_ENTITLEMENT,
    requireBudget: false,
    allowUnpriced: false,
    hideAmounts: false,
  };
  const priceId = ids.next('price');
  const commands: Command[] = [
    { verb: 'create-tenant', ...own, ...base('create-tenant', 'tenant', DEFAULT_TENANT), tenant },
    {
      verb: 'add-member',
      ...own,
      ...base('add-member', 'member', ADMIN_MEMBER),
      member: { id: ADMIN_MEMBER, email: 'admin@localhost.invalid', role: 'admin' },
    },
    { verb: 'put-upstream', ...system, ...base('put-upstream', 'upstream', DEMO_UPSTREAM.id), upstream: DEMO_UPSTREAM, replace: true },
    { verb: 'put-model', ...system, ...base('put-model', 'model', DEMO_MODEL.id), model: DEMO_MODEL, replace: true },
    {
      verb: 'add-price',
      ...system,
      ...base('add-price', 'price', priceId),
      price: { id: priceId, ...demoPrice(), appliesFromMs: null },
    },
    ...keys.map(keyCommand),
    { verb: 'init-setting', ...system, id: boot.nextId(), setting: { id: DONE_SETTING, value: true } },
  ];
  // Two nodes may begin on one empty database at the same moment: the second finds the tenant there and adds its own keys to it.
  await boot.run('The first start', commands, ['conflict']);
}

interface FirstKey {
  readonly id: string;
  readonly kind: Extract<KeyKind, 'admin' | 'management' | 'inference'>;
  readonly name: string;
  readonly plaintext: string;
  readonly moneyBudgetMicrocents: bigint | null;
}

function firstKeyRecord(options: { key: FirstKey; hasher: KeyHasher; secretBox: SecretBox }) {
  const { key, hasher, secretBox } = options;
  return {
    id: key.id,
    kind: key.kind,
    name: key.name,
    hash: hasher.hash(key.plaintext),
    mask: maskOf(key.plaintext),
    // The Tinfoil surface shows inference keys in full to their creator.
    sealed: key.kind === 'inference' ? secretBox.seal(key.plaintext, sealIdentity('key', key.id)) : null,
    createdBy: ADMIN_MEMBER,
    disabled: false,
    expiresAtMs: null,
    metadata: {},
    outputBound: 'hard' as const,
  };
}
