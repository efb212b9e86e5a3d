import type { Failpoint } from '../../src/ports/failpoints.ts';

/**
 * Every point between two steps: whether a load passes it, only a start, only a change of the master key, only the closing of a tenant, only the
 * end of a month, only what a payment service is told, only a
 * deployment on a container host, or what is delivered to webhooks. The compiler refuses a table that forgets one.
 */
const POINTS: Readonly<Record<Failpoint, 'load' | 'start' | 'rotation' | 'close' | 'bill' | 'usage' | 'webhook' | 'container'>> = {
  'call.authenticated': 'load',
  'call.held': 'load',
  'call.sent': 'load',
  'call.first-byte': 'load',
  'call.answered': 'load',
  'call.settled': 'load',
  'call.ended': 'load',
  'batch.loaded': 'load',
  'batch.decided': 'load',
  'batch.written': 'load',
  'batch.committed': 'load',
  'batch.answered': 'load',
  'fold.written': 'load',
  'migrate.step': 'start',
  'rotate.prepared': 'rotation',
  'rotate.switched': 'rotation',
  'rotate.resealed': 'rotation',
  'rotate.checked': 'rotation',
  'rotate.kept': 'rotation',
  'rotate.replaced': 'rotation',
  'close.marked': 'close',
  'close.reservations': 'close',
  'close.budgets': 'close',
  'close.webhooks': 'close',
  'close.keys': 'close',
  'close.ended': 'close',
  'bill.made': 'bill',
  'bill.closed': 'bill',
  'container.started': 'container',
  'container.ready': 'container',
  'container.removed': 'container',
  'usage.claimed': 'usage',
  'usage.sent': 'usage',
  'usage.told': 'usage',
  'webhook.found': 'webhook',
  'webhook.handed-out': 'webhook',
  'webhook.leased': 'webhook',
  'webhook.sent': 'webhook',
  'webhook.booked': 'webhook',
  'webhook.told': 'webhook',
};

/** The points that a load passes again and again. */
export const LOAD_POINTS: readonly string[] = Object.entries(POINTS).flatMap(([point, when]) => (when === 'load' ? [point] : []));

/** The points that a first start passes before it listens. */
export const START_POINTS: readonly Failpoint[] = [
  'migrate.step',
  'batch.loaded',
  'batch.decided',
  'batch.written',
  'batch.committed',
  'batch.answered',
];

/** The points that a change of the master key passes, in its order. */
export const ROTATION_POINTS: readonly string[] = Object.entries(POINTS).flatMap(([point, when]) => (when === 'rotation' ? [point] : []));

/** The points that the closing of a tenant passes, in its order. */
export const CLOSE_POINTS: readonly string[] = Object.entries(POINTS).flatMap(([point, when]) => (when === 'close' ? [point] : []));

/** The points that an event passes between its commit and its last delivery, in their order. */
export const WEBHOOK_POINTS: readonly string[] = Object.entries(POINTS).flatMap(([point, when]) => (when === 'webhook' ? [point] : []));

/** The points that the end of a month passes, in its order. */
export const BILL_POINTS: readonly string[] = Object.entries(POINTS).flatMap(([point, when]) => (when === 'bill' ? [point] : []));

/** The points that a deployment passes on a container host, in their order. */
export const CONTAINER_POINTS: readonly string[] = Object.entries(POINTS).flatMap(([point, when]) => (when === 'container' ? [point] : []));
