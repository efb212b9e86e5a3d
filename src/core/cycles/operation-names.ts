/** Operations of the Cycles runtime plane whose answers are remembered, by the names that the protocol gives them. */
export const OPERATIONS = {
  decide: 'decide',
  create: 'createReservation',
  commit: 'commitReservation',
  release: 'releaseReservation',
  extend: 'extendReservation',
  event: 'createEvent',
} as const;

/** Tells an operation whose answers are kept in the row of the reservation that it makes or ends. */
export const isKeptWithReservation = (operation: string): boolean => operation === OPERATIONS.create || endingState(operation) !== null;

/** Tells an operation that ends a reservation, and in which state. */
export const endingState = (operation: string): 'COMMITTED' | 'RELEASED' | null =>
  operation === OPERATIONS.commit ? 'COMMITTED' : operation === OPERATIONS.release ? 'RELEASED' : null;
