/** The time of day. */
export interface Clock {
  /** Milliseconds since the epoch. May go back; stores keep the time of their batches from doing so. */
  nowMs(): number;
}
