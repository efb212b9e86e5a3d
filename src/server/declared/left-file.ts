import { memberRecordId, type RecordKind, type RecordTypes, type Setting, SYSTEM_TENANT } from '../../core/records.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { BootCommands } from '../boot-commands.ts';
import type { DeclaredConfig } from './declared-config.ts';

/** Settings of this form remember that a file declared a thing: `declared:<kind>:<record id>`. They are never taken back. */
const PREFIX = 'declared:';

/** Settings of this form remember that a file named a field: `declared-field:<kind> <record id> <field>`. */
const FIELD_PREFIX = 'declared-field:';

type DeclaredRecordKind = Extract<RecordKind, 'upstream' | 'model' | 'tenant' | 'member' | 'key' | 'usage-reporter'>;

function* declaredThings(declared: DeclaredConfig): Generator<{ kind: DeclaredRecordKind; id: string }> {
  for (const { id } of declared.upstreams) yield { kind: 'upstream', id };
  for (const { id } of declared.models) yield { kind: 'model', id };
  for (const { id } of declared.reporters) yield { kind: 'usage-reporter', id };
  for (const tenant of declared.tenants) {
    yield { kind: 'tenant', id: tenant.id };
    for (const member of tenant.members) yield { kind: 'member', id: memberRecordId(tenant.id, member.id) };
    for (const { id } of tenant.keys) yield { kind: 'key', id };
  }
}

/** What people call a kind. */
const wordsOf = (kind: string): string => kind.replace('-', ' ');

const settingId = (kind: string, id: string): string => `${PREFIX}${kind}:${id}`;

const declaredBefore = async (records: RecordStore): Promise<Setting[]> =>
  (await records.records('setting')).filter(({ id }) => id.startsWith(PREFIX) || id.startsWith(FIELD_PREFIX));

const isStillThere = (record: RecordTypes[DeclaredRecordKind] | undefined): boolean =>
  record !== undefined &&
  !('removedAtMs' in record && record.removedAtMs !== null) &&
  !('deletedAtMs' in record && record.deletedAtMs !== null);

/** A sentence for each thing that a file declared once and for each field that it named, that this one does not name, and that is still there. */
export async function leftFile(records: RecordStore, declared: DeclaredConfig): Promise<string[]> {
  const named = new Set([...declaredThings(declared)].map(({ kind, id }) => settingId(kind, id)));
  const before = (await declaredBefore(records)).map(({ id }) => id);
  const sentences: string[] = [];
  for (const setting of before.filter((id) => id.startsWith(PREFIX))) {
    if (named.has(setting)) continue;
    const [kind = '', ...rest] = setting.slice(PREFIX.length).split(':');
    const id = rest.join(':');
    if (!isStillThere(await records.record(kind as DeclaredRecordKind, id))) continue;
    sentences.push(
      `${declared.path} no longer names the ${wordsOf(kind)} ${id}: it stays as it was, and the operator API may now change or remove it.`,
    );
  }
  return [...sentences, ...(await leftFields(records, declared, before))];
}

/** A sentence for each thing that the file still names, with the fields that it named once and does not name any more. */
async function leftFields(records: RecordStore, declared: DeclaredConfig, before: readonly string[]): Promise<string[]> {
  const left = before.filter((id) => id.startsWith(FIELD_PREFIX)).map((id) => id.slice(FIELD_PREFIX.length));
  const sentences: string[] = [];
  for (const { kind, id } of declaredThings(declared)) {
    const ofThing = `${kind} ${id} `;
    const fields = left.filter((key) => key.startsWith(ofThing) && !declared.named.has(key)).map((key) => key.slice(ofThing.length));
    if (fields.length === 0 || !isStillThere(await records.record(kind, id))) continue;
    const values = fields.length === 1 ? 'it keeps its value' : 'they keep their values';
    const one = fields.length === 1 ? 'it' : 'them';
    sentences.push(
      `${declared.path} no longer names ${fields.toSorted().join(', ')} of the ${wordsOf(kind)} ${id}: ${values}, and the operator API may now change ${one}.`,
    );
  }
  return sentences;
}

/** The settings of the fields that the file names. A thing's id is no field of it that could leave alone. */
const fieldSettings = ({ named }: DeclaredConfig): string[] =>
  [...named].filter((key) => !key.endsWith(' id')).map((key) => FIELD_PREFIX + key);

/** Remembers what this file declares. */
export async function rememberDeclared(deps: { boot: BootCommands; records: RecordStore }, declared: DeclaredConfig): Promise<void> {
  const known = new Set((await declaredBefore(deps.records)).map(({ id }) => id));
  const things = [...declaredThings(declared)].map(({ kind, id }) => settingId(kind, id));
  const ids = [...things, ...fieldSettings(declared)].filter((id) => !known.has(id));
  const commands = ids.map((id) => ({
    verb: 'init-setting' as const,
    id: deps.boot.nextId(),
    tenantId: SYSTEM_TENANT,
    setting: { id, value: true },
  }));
  await deps.boot.run(`Applying ${declared.path}`, commands);
}
