/** Types whose condition a look at rates, lengths or the connection finds; `watched-events.test.ts` has their conditions. */
export const WATCHED_TYPES = [
  'budget.burn_rate_anomaly',
  'reservation.denial_rate_spike',
  'reservation.expiry_rate_spike',
  'api_key.auth_failure_rate_spike',
  'system.store_connection_lost',
  'system.store_connection_restored',
  'system.high_latency',
] as const;
