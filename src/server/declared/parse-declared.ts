import { DEFAULT_GATEWAY, type DeclaredConfig, type GatewayConfig } from './declared-config.ts';
import type { Field } from './field.ts';
import { NamedFields } from './named-fields.ts';
import { parseLaterSections } from './parse-later-sections.ts';
import { parseModels } from './parse-models.ts';
import { parseRetention } from './parse-retention.ts';
import { parseTenants } from './parse-tenants.ts';
import { parseUpstreams } from './parse-upstreams.ts';

const HOUR_MS = 3_600_000;

/** The sections of the file. */
const SECTIONS = [
  'gateway',
  'upstreams',
  'models',
  'tenants',
  'usage_reporters',
  'hosts',
  'sources',
  'registries',
  'ingress',
  'dns',
  'retention',
] as const;

/** Reads and checks the whole file; throws the first `ConfigError` in the order of the sections. */
export function parseDeclared(root: Field, path: string): DeclaredConfig {
  const sections = root.fields(SECTIONS);
  const named = new NamedFields();
  const upstreams = parseUpstreams(sections.upstreams, named);
  const models = parseModels(sections.models, upstreams, named);
  const tenants = parseTenants(sections.tenants, named);
  const waiting = parseLaterSections(sections, tenants);
  const retention = parseRetention(sections.retention);
  return { path, gateway: parseGateway(sections.gateway), retention, upstreams, models, tenants, named: named.keys, waiting };
}

function parseGateway(field: Field): GatewayConfig {
  const given = field.fields(['hold_ttl_ms', 'hold_grace_ms', 'upstream_timeout_ms', 'drain_ms', 'max_body_bytes']);
  return {
    holdTtlMs: given.hold_ttl_ms.or(DEFAULT_GATEWAY.holdTtlMs, (f) => f.integer({ min: 1000, max: 24 * HOUR_MS })),
    holdGraceMs: given.hold_grace_ms.or(DEFAULT_GATEWAY.holdGraceMs, (f) => f.integer({ min: 0, max: 60_000 })),
    upstreamTimeoutMs: given.upstream_timeout_ms.or(DEFAULT_GATEWAY.upstreamTimeoutMs, (f) => f.integer({ min: 100, max: 24 * HOUR_MS })),
    drainMs: given.drain_ms.or(DEFAULT_GATEWAY.drainMs, (f) => f.integer({ min: 0, max: HOUR_MS })),
    maxBodyBytes: given.max_body_bytes.or(DEFAULT_GATEWAY.maxBodyBytes, (f) => f.integer({ min: 1024, max: 1_073_741_824 })),
  };
}
