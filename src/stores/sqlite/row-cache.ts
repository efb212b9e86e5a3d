/**
 * The rows of one table that the writer used lately, so that a hot row is not read again. Null is a row that does not exist: asking for
 * an account that a tenant has not made is as common as asking for one that it has.
 *
 * Right only while the writer is the single one to change the table and drops everything when a batch fails.
 */
export class RowCache<K, V> {
  // Two generations instead of an order of use: a look at a hot row moves nothing.
  #recent = new Map<K, V | null>();
  #older = new Map<K, V | null>();
  readonly #capacity: number;

  /** Keeps between half of `capacity` and all of it. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The row, null where it is known not to exist, `undefined` where nothing is known. */
  get(key: K): V | null | undefined {
    const recent = this.#recent.get(key);
    if (recent !== undefined) return recent;
    const older = this.#older.get(key);
    if (older !== undefined) this.#recent.set(key, older);
    return older;
  }

  set(key: K, row: V | null): void {
    this.#recent.set(key, row);
  }

  delete(key: K): void {
    this.#recent.delete(key);
    this.#older.delete(key);
  }

  clear(): void {
    this.#recent.clear();
    this.#older.clear();
  }

  /** Drops the rows that were not used for long, where there are too many. Called between batches: no batch loses a row that it loaded. */
  trim(): void {
    if (this.#recent.size <= this.#capacity / 2) return;
    this.#older = this.#recent;
    this.#recent = new Map();
  }
}
