/** A value of a column to bind. Flags are 0 or 1, JSON is its text. */
export type ColumnValue = string | number | bigint | null;

const BIGINT_COLUMNS = new Set([
  'no',
  'seq',
  'http_status',
  'pruned_no',
  'account_no',
  'allocated',
  'spent',
  'reserved',
  'debt',
  'overdraft_limit',
  'terms_sum',
  'used_percent',
  'journal_sum',
  'd_allocated',
  'd_spent',
  'd_reserved',
  'd_debt',
  'extensions',
  'max_extensions',
  'requests',
  'prompt_tokens',
  'completion_tokens',
  'cached_prompt_tokens',
  'cache_write_prompt_tokens',
  'reasoning_tokens',
  'cost_nano_usd',
  'charge_microcents',
  'media_quantity',
  'debit_per_usd_nanos',
  'debit_microcents',
  'tokens',
  'held',
  'samples',
  'cpu_sum',
  'cpu_max',
  'memory_sum',
  'memory_max',
  'memory_total',
  'gpu_samples',
  'gpu_sum',
  'gpu_max',
  'gpu_memory_sum',
  'gpu_memory_max',
  'gpu_memory_total',
  'minute',
  'count',
]);
const BOOLEAN_COLUMNS = new Set(['is_over_limit', 'streaming', 'estimated', 'interrupted']);
const JSON_COLUMNS = new Set(['body', 'legs', 'charged', 'context', 'checkpoint', 'answer', 'data', 'metadata', 'about', 'terms']);

/** The type of a column; the same name has the same type in every table. */
function columnType(column: string): 'bigint' | 'boolean' | 'json' | 'text' {
  if (column.endsWith('_ms') || BIGINT_COLUMNS.has(column)) return 'bigint';
  if (BOOLEAN_COLUMNS.has(column)) return 'boolean';
  return JSON_COLUMNS.has(column) ? 'json' : 'text';
}

/** The id of a row of `accounts`, in the words of the index accounts_id. */
export const ACCOUNT_ID = `(tenant_id || '|' || kind || '|' || scope || '|' || unit || '|' || period)`;

/** `unnest($first::bigint[], ...) AS alias(columns)`: rows made of one array parameter for each column. */
export function unnest(columns: readonly string[], alias: string, first = 1): string {
  const parameters = columns.map((column, index) => `$${first + index}::${columnType(column)}[]`);
  return `unnest(${parameters.join(', ')}) AS ${alias}(${columns.join(', ')})`;
}

const ESCAPED = /["\\]/g;
const NUL = /\0/g;

/**
 * A parameter as the server takes it: PostgreSQL's text cannot hold the character U+0000, so it becomes U+FFFD, as a lone surrogate does
 * on its way through UTF-8. Text inside of JSON keeps both, because there they are escapes.
 */
export const storable = (value: unknown): unknown => (typeof value === 'string' ? storableText(value) : value);

/** The same for a text. */
export const storableText = (text: string): string => text.replace(NUL, '\uFFFD');

/**
 * An array parameter in PostgreSQL's own text form; null stays null. One array goes for each column of a batch, and building its text
 * here costs a fraction of what the driver's general encoder takes.
 */
export function arrayText(values: readonly ColumnValue[]): string {
  let text = '{';
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? null;
    if (i > 0) text += ',';
    if (value === null) text += 'NULL';
    else if (typeof value === 'string') text += `"${value.replace(NUL, '\uFFFD').replace(ESCAPED, '\\$&')}"`;
    else text += value;
  }
  return `${text}}`;
}

/** The array parameters of rows of `width` columns. */
export function columnArrays(rows: readonly (readonly ColumnValue[])[], width: number): string[] {
  return Array.from({ length: width }, (_, column) => arrayText(rows.map((row) => row[column] ?? null)));
}

/** Compares texts as the database orders identifiers: byte for byte in UTF-8, which is by code point. */
export const compareBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
