/** The named points between two steps at which a test may end the process. */
export type Failpoint =
  | 'call.authenticated'
  | 'call.held'
  | 'call.sent'
  | 'call.first-byte'
  | 'call.answered'
  | 'call.settled'
  | 'call.ended'
  | 'batch.loaded'
  | 'batch.decided'
  | 'batch.written'
  | 'batch.committed'
  | 'batch.answered'
  | 'fold.written'
  | 'migrate.step'
  | 'rotate.prepared'
  | 'rotate.switched'
  | 'rotate.resealed'
  | 'rotate.checked'
  | 'rotate.kept'
  | 'rotate.replaced'
  | 'close.marked'
  | 'close.reservations'
  | 'close.budgets'
  | 'close.webhooks'
  | 'close.keys'
  | 'close.ended'
  | 'bill.made'
  | 'bill.closed'
  | 'usage.claimed'
  | 'usage.sent'
  | 'usage.told'
  | 'webhook.found'
  | 'webhook.handed-out'
  | 'webhook.leased'
  | 'webhook.sent'
  | 'webhook.booked'
  | 'webhook.told';

/** Called at every named point. Production passes one that does nothing; only the tests' composition root fills it. */
export interface Failpoints {
  hit(point: Failpoint): void;
}
