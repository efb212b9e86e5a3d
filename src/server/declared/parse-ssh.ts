import type { Field } from './field.ts';

/** The gateway to debug containers, as declared. Lengths in milliseconds. */
export interface SshConfig {
  /** Null: that of the environment, or the usual one. */
  readonly port: number | null;
  /** Whether ports of a unit are reached through it. */
  readonly isForwarding: boolean;
  readonly idleMs: number;
  readonly maxConnections: number;
  readonly maxPerSource: number;
}

const HOUR_MS = 3_600_000;

/** What holds where the file says nothing. */
export const DEFAULT_SSH: SshConfig = { port: null, isForwarding: false, idleMs: HOUR_MS, maxConnections: 200, maxPerSource: 20 };

/** Reads the section of the gateway; null where the file has none. */
export function parseSsh(field: Field): SshConfig | null {
  if (!field.isNamed) return null;
  const given = field.fields(['port', 'forwarding', 'idle_ms', 'max_connections', 'max_connections_per_source']);
  return {
    port: given.port.or(DEFAULT_SSH.port, (f) => f.integer({ min: 0, max: 65_535 })),
    isForwarding: given.forwarding.or(DEFAULT_SSH.isForwarding, (f) => f.boolean()),
    idleMs: given.idle_ms.or(DEFAULT_SSH.idleMs, (f) => f.integer({ min: 1000, max: 24 * HOUR_MS })),
    maxConnections: given.max_connections.or(DEFAULT_SSH.maxConnections, (f) => f.integer({ min: 1, max: 10_000 })),
    maxPerSource: given.max_connections_per_source.or(DEFAULT_SSH.maxPerSource, (f) => f.integer({ min: 1, max: 10_000 })),
  };
}
