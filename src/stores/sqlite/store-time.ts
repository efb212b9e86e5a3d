/**
 * An SQL expression for the time of the last batch that wrote: the journal's last line has it, and `store_state` where a batch wrote no
 * line. So most batches need not touch a page more to keep it.
 */
export const LAST_BATCH_MS = `max(
  (SELECT last_ms FROM store_state WHERE one = 1),
  coalesce((SELECT at_ms FROM ledger_entries WHERE seq = (SELECT max(seq) FROM ledger_entries)), 0)
)`;
