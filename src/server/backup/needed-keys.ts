import { sealedValuesOf, SEALED_KINDS } from '../../core/access/sealed-values.ts';
import type { KeyKind, RecordKind, RecordTypes } from '../../core/records.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { SealBroken, sealingKeyOf } from '../secrets/aes-secret-box.ts';
import type { KeyRing } from '../secrets/key-ring.ts';

const PAGE = 500;
const ALL_KEY_KINDS: readonly KeyKind[] = ['admin', 'inference', 'management', 'tenant'];

type Reads = Pick<RecordStore, 'records' | 'keys'>;

/** A sealed value and the record that it stands in. */
interface FoundValue {
  readonly record: string;
  readonly sealed: string;
  readonly identity: string;
}

/** Every sealed value of a store. */
async function* sealedIn(records: Reads): AsyncGenerator<FoundValue> {
  for (const kind of SEALED_KINDS) {
    for await (const record of recordsOf(records, kind)) {
      for (const { sealed, identity } of sealedValuesOf(kind, record.id, record))
        yield { record: `${kind} ${record.id}`, sealed, identity };
    }
  }
}

async function* recordsOf(records: Reads, kind: RecordKind): AsyncGenerator<RecordTypes[RecordKind]> {
  if (kind !== 'key') return yield* await records.records(kind);
  for (const { id: tenantId } of await records.records('tenant')) {
    for (let afterId = ''; ;) {
      const page = await records.keys({ tenantId, kinds: ALL_KEY_KINDS, limit: PAGE, afterId });
      yield* page;
      afterId = page.at(-1)?.id ?? '';
      if (page.length < PAGE) break;
    }
  }
}

/** The ids of the master keys that a store's secrets name. Those of the first release name none. */
export async function neededMasterKeys(records: Reads): Promise<string[]> {
  const ids = new Set<string>();
  for await (const { sealed } of sealedIn(records)) {
    const id = sealingKeyOf(sealed);
    if (id !== null) ids.add(id);
  }
  return [...ids].toSorted();
}

/** How many of a store's secrets there are, and the records whose secret does not open with the keys at hand. */
export async function openEverySecret(records: Reads, ring: KeyRing): Promise<{ count: number; closed: string[] }> {
  let count = 0;
  const closed: string[] = [];
  for await (const { record, sealed, identity } of sealedIn(records)) {
    count += 1;
    try {
      ring.open(sealed, identity);
    } catch (error) {
      if (!(error instanceof SealBroken)) throw error;
      closed.push(record);
    }
  }
  return { count, closed };
}
