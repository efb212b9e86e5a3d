import { RECORD_KINDS, sealedValuesOf, type SealedReplacement } from '../core/access/sealed-values.ts';
import { SYSTEM_TENANT, type KeyKind, type RecordKind, type RecordTypes } from '../core/records.ts';
import { accepted, rejected, type Outcome } from '../core/rejection.ts';
import type { Failpoints } from '../ports/failpoints.ts';
import type { Ids } from '../ports/ids.ts';
import type { MasterKeyPair, MasterKeys } from '../ports/master-keys.ts';
import type { RecordStore } from '../ports/record-store.ts';
import { auditedBase, type Actor } from './audited-command.ts';
import type { LedgerWriter } from './ledger-writer.ts';

/** What a change of the master key came to: the two keys' ids, and how many values were sealed anew. */
export interface MasterKeyChange extends MasterKeyPair {
  readonly resealed: number;
}

/** Changes the master key. */
export type RotateMasterKey = (actor: Actor) => Promise<Outcome<MasterKeyChange>>;

/** What a change needs. */
export interface RotateMasterKeyDeps {
  readonly keys: MasterKeys;
  readonly records: Pick<RecordStore, 'records' | 'keys'>;
  readonly writer: Pick<LedgerWriter, 'execute' | 'barrier'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly failpoints: Failpoints;
  /** Whether other nodes write to the same store: they hear of the change a moment later, and may seal with the old key until then. */
  readonly isShared: boolean;
  /** Waits so many milliseconds. */
  readonly wait: (ms: number) => Promise<void>;
}

/** Keys that are read, and records that are sealed anew, at once. */
const PAGE = 200;
/** By then every node has heard which key seals now. */
const HEARD_MS = 3000;
/** Looks at everything before a change gives up: each finds only what was sealed with the old key since the one before. */
const MAX_LOOKS = 20;

const ALL_KEY_KINDS: readonly KeyKind[] = ['admin', 'inference', 'management', 'tenant'];

/** What one look at every record did. `stuck` names records with a value that does not open, or that nobody knows how to seal. */
interface Look {
  readonly resealed: number;
  readonly stuck: readonly string[];
}

/**
 * Makes the use case that changes the master key while everything goes on. One at a time; who asks meanwhile is given the same answer.
 *
 * The new key is put on disk; the secret of the key table is sealed with it, which tells every node and every later start which key seals;
 * then all that still names the old key is sealed anew, record by record, until a look at all of them finds nothing; only then the old key is
 * put away. Until the end both keys open, so that the process may die between any two steps: asked again, the change goes on.
 *
 * Rejects: `conflict` (no key to change to, or values that open with no key at hand). Throws a `Fault` where the store does.
 */
export function makeRotateMasterKey(deps: RotateMasterKeyDeps): RotateMasterKey {
  let running: Promise<Outcome<MasterKeyChange>> | null = null;
  return (actor) => {
    running ??= rotate(deps, actor).finally(() => {
      running = null;
    });
    return running;
  };
}

async function rotate(deps: RotateMasterKeyDeps, actor: Actor): Promise<Outcome<MasterKeyChange>> {
  const { keys, writer, failpoints } = deps;
  const prepared = await keys.prepare();
  if (!prepared.ok) return prepared;
  const pair = prepared.value;
  failpoints.hit('rotate.prepared');
  const first = await lookAt(deps, { kinds: ['setting'], pair, actor });
  if (first.stuck.length > 0) return stuckAt(first.stuck);
  keys.use(pair.toId);
  failpoints.hit('rotate.switched');
  // What was sealed before that and still waits in the queue must be among the records that are read.
  await writer.barrier();
  let { resealed } = first;
  let isQuiet = false;
  for (let looks = 0; looks < MAX_LOOKS && !isQuiet; looks++) {
    const look = await lookAt(deps, { kinds: RECORD_KINDS, pair, actor: null });
    if (look.stuck.length > 0) return stuckAt(look.stuck);
    resealed += look.resealed;
    isQuiet = look.resealed === 0 && (!deps.isShared || looks > 0);
    if (!isQuiet && deps.isShared) await deps.wait(HEARD_MS);
  }
  if (!isQuiet)
    return rejected({ code: 'conflict', message: 'values keep being sealed with the old master key: check that every node has both' });
  failpoints.hit('rotate.checked');
  keys.finish(pair);
  return accepted({ ...pair, resealed });
}

const stuckAt = (stuck: readonly string[]): Outcome<never> =>
  rejected({
    code: 'conflict',
    message:
      `${stuck.length} sealed values could not be sealed anew, the first in the ${stuck[0]}: give the secret anew, or remove the record, and ` +
      'ask again; until then both master keys are needed',
  });

/** Seals anew what in records of `kinds` does not name the new key. The first change is the one that the audit tells of. */
async function lookAt(
  deps: RotateMasterKeyDeps,
  options: { readonly kinds: readonly RecordKind[]; readonly pair: MasterKeyPair; readonly actor: Actor | null },
): Promise<Look> {
  let resealed = 0;
  const stuck: string[] = [];
  for (const kind of options.kinds) {
    for await (const records of pagesOf(deps.records, kind)) {
      const done = await Promise.all(records.map((record) => resealRecord(deps, { ...options, kind, record })));
      for (const [index, count] of done.entries()) {
        if (count === null) stuck.push(`${kind} ${records[index]?.id ?? ''}`);
        else resealed += count;
      }
      if (done.some((count) => count !== 0)) deps.failpoints.hit('rotate.resealed');
    }
  }
  return { resealed, stuck };
}

/** Every record of a kind, page by page. */
async function* pagesOf(
  records: RotateMasterKeyDeps['records'],
  kind: RecordKind,
): AsyncGenerator<readonly (RecordTypes[RecordKind] & { readonly id: string })[]> {
  if (kind !== 'key') {
    const all = await records.records(kind);
    for (let at = 0; at < all.length; at += PAGE) yield all.slice(at, at + PAGE);
    return;
  }
  for (const { id: tenantId } of await records.records('tenant')) {
    for (let afterId: string | undefined; ;) {
      const page = await records.keys({ tenantId, kinds: ALL_KEY_KINDS, limit: PAGE, ...(afterId === undefined ? {} : { afterId }) });
      if (page.length > 0) yield page;
      afterId = page.at(-1)?.id;
      if (page.length < PAGE) break;
    }
  }
}

/** Seals one record's values anew; returns how many, or null where one cannot be. */
async function resealRecord(
  { keys, writer, ids }: RotateMasterKeyDeps,
  options: {
    readonly kind: RecordKind;
    readonly record: RecordTypes[RecordKind];
    readonly pair: MasterKeyPair;
    readonly actor: Actor | null;
  },
): Promise<number | null> {
  const { kind, record, pair, actor } = options;
  const { id: recordId } = record;
  const old = sealedValuesOf(kind, recordId, record).filter(({ sealed }) => keys.keyIdOf(sealed) !== pair.toId);
  // A field that nobody told us of is not lost with the key before: it keeps the change from ending.
  if (old.length === 0) return JSON.stringify(record).includes(`.${pair.fromId}"`) ? null : 0;
  const values: SealedReplacement[] = [];
  for (const { path, sealed, identity } of old) {
    const plaintext = opened(keys, sealed, identity);
    if (plaintext === null) return null;
    values.push({ path, from: sealed, to: keys.sealWith(pair.toId, plaintext, identity) });
  }
  const tenantId = 'tenantId' in record ? record.tenantId : SYSTEM_TENANT;
  const audited = { name: 'rotate-master-key', tenantId, resourceKind: 'master_key', resourceId: pair.toId };
  const base = actor === null ? { id: ids.next('cmd'), tenantId } : auditedBase(ids, actor, audited);
  const outcome = await writer.execute({ verb: 'reseal', ...base, kind, recordId, values });
  // A record that was removed meanwhile has nothing to seal.
  return outcome.ok ? outcome.value : 0;
}

function opened(keys: MasterKeys, sealed: string, identity: string): string | null {
  try {
    return keys.open(sealed, identity);
  } catch {
    return null;
  }
}
