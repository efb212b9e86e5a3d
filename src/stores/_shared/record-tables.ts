import type { ApiKey, RecordKind, RecordTypes } from '../../core/records.ts';

/** A value of an extra column of a record table. */
export type ColumnValue = string | number | null;

/** Where records of one kind are kept: always `id` and `body` (the record as JSON text), and the columns that queries need. */
export interface RecordTable<K extends RecordKind> {
  readonly table: string;
  readonly columns: readonly string[];
  /** The values of `columns`, in order. */
  readonly values: (record: RecordTypes[K]) => readonly ColumnValue[];
}

const none = (): readonly ColumnValue[] => [];

/** The table of every kind of record, the same in both dialects. */
export const RECORD_TABLES: { readonly [K in RecordKind]: RecordTable<K> } = {
  tenant: { table: 'tenants', columns: [], values: none },
  member: { table: 'members', columns: ['tenant_id'], values: (member) => [member.tenantId] },
  key: {
    table: 'api_keys',
    columns: ['tenant_id', 'kind', 'hash', 'name', 'created_at_ms', 'deleted_at_ms', 'previous_hash'],
    values: (key: ApiKey) => [
      key.tenantId,
      key.kind,
      key.hash,
      key.name,
      key.createdAtMs,
      key.deletedAtMs,
      key.rotation?.previousHash ?? null,
    ],
  },
  upstream: { table: 'upstreams', columns: [], values: none },
  model: { table: 'models', columns: [], values: none },
  price: { table: 'prices', columns: ['model_id'], values: (price) => [price.modelId] },
  'exchange-rate': { table: 'exchange_rates', columns: [], values: none },
  credit: { table: 'balance_credits', columns: ['tenant_id'], values: (credit) => [credit.tenantId] },
  setting: { table: 'settings', columns: [], values: none },
  'usage-reporter': { table: 'usage_reporters', columns: [], values: none },
  policy: { table: 'policies', columns: ['tenant_id'], values: (policy) => [policy.tenantId] },
  'policy-name': { table: 'policy_names', columns: [], values: none },
  'key-name': { table: 'key_names', columns: [], values: none },
  statement: { table: 'statements', columns: ['tenant_id'], values: (statement) => [statement.tenantId] },
  'statement-lines': { table: 'statement_lines', columns: [], values: none },
  'bill-correction': { table: 'bill_corrections', columns: ['tenant_id'], values: (correction) => [correction.tenantId] },
  'bill-state': { table: 'bill_states', columns: [], values: none },
  'bill-link': { table: 'bill_links', columns: ['tenant_id'], values: (link) => [link.tenantId] },
  'billing-customer': { table: 'billing_customers', columns: [], values: none },
  'usage-meter': { table: 'usage_meters', columns: [], values: none },
  payment: { table: 'payments', columns: ['tenant_id'], values: (payment) => [payment.tenantId] },
  container: { table: 'containers', columns: ['tenant_id'], values: (container) => [container.tenantId] },
  'container-roster': { table: 'container_rosters', columns: [], values: none },
  'container-meter': { table: 'container_meters', columns: [], values: none },
  lease: { table: 'leases', columns: [], values: none },
  'tenant-key': { table: 'tenant_keys', columns: [], values: none },
  secret: { table: 'secrets', columns: ['tenant_id'], values: (secret) => [secret.tenantId] },
  'registry-credential': { table: 'registry_credentials', columns: ['tenant_id'], values: (credential) => [credential.tenantId] },
  domain: { table: 'domains', columns: ['tenant_id'], values: (domain) => [domain.tenantId] },
  'domain-claim': { table: 'domain_claims', columns: [], values: none },
  'ssh-key': { table: 'ssh_keys', columns: ['tenant_id'], values: (key) => [key.tenantId] },
  webhook: { table: 'webhooks', columns: ['tenant_id'], values: (webhook) => [webhook.tenantId] },
};

/** Kinds that a query may narrow to one tenant. */
export const TENANT_KINDS: ReadonlySet<RecordKind> = new Set<RecordKind>([
  'member',
  'key',
  'policy',
  'webhook',
  'credit',
  'statement',
  'bill-correction',
  'bill-link',
  'container',
  'secret',
  'registry-credential',
  'ssh-key',
  'domain',
]);

/** All columns of a kind's table, in the order in which {@link recordValues} gives their values. */
export const recordColumns = (kind: RecordKind): readonly string[] => ['id', ...RECORD_TABLES[kind].columns, 'body'];

/** The row of a record. */
export function recordValues<K extends RecordKind>(kind: K, id: string, record: RecordTypes[K]): readonly ColumnValue[] {
  return [id, ...RECORD_TABLES[kind].values(record), JSON.stringify(record)];
}

/** The record of a row's `body`, as text. Records hold neither bigints nor numbers that a double cannot hold. */
export const recordFromBody = <K extends RecordKind>(body: string): RecordTypes[K] => JSON.parse(body) as RecordTypes[K];
