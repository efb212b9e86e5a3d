import { DEFAULT_GATEWAY, type DeclaredConfig, type GatewayConfig } from './declared-config.ts';
import type { Field } from './field.ts';
import { NamedFields } from './named-fields.ts';
import { parseContainers } from './parse-containers.ts';
import { parseCorsOrigins } from './parse-cors-origins.ts';
import { parseBilling } from './parse-billing.ts';
import { parseExchangeRates } from './parse-exchange-rates.ts';
import { parseMetrics } from './parse-metrics.ts';
import { parseModels } from './parse-models.ts';
import { parseReporters } from './parse-reporters.ts';
import { parseRetention } from './parse-retention.ts';
import { parseSealed } from './parse-sealed.ts';
import { parseTenants } from './parse-tenants.ts';
import { parseUpstreams } from './parse-upstreams.ts';

const HOUR_MS = 3_600_000;

/** The sections of the file. */
const SECTIONS = [
  'gateway',
  'upstreams',
  'models',
  'exchange_rates',
  'tenants',
  'usage_reporters',
  'hosts',
  'sources',
  'registries',
  'ingress',
  'containers',
  'ssh',
  'dns',
  'metrics',
  'retention',
  'sealed',
  'billing',
] as const;

/** Reads and checks the whole file; throws the first `ConfigError` in the order of the sections. */
export function parseDeclared(root: Field, path: string): DeclaredConfig {
  const sections = root.fields(SECTIONS);
  const named = new NamedFields();
  const upstreams = parseUpstreams(sections.upstreams, named);
  const models = parseModels(sections.models, upstreams, named);
  const exchangeRates = parseExchangeRates(sections.exchange_rates, named);
  const tenants = parseTenants(sections.tenants, named);
  const reporters = parseReporters(sections.usage_reporters, tenants, named);
  const containers = parseContainers(sections);
  const metrics = parseMetrics(sections.metrics);
  const retention = parseRetention(sections.retention);
  const sealedKeys = parseSealed(sections.sealed);
  const billing = parseBilling(sections.billing);
  const { gateway, corsOrigins } = parseGateway(sections.gateway);
  return {
    path,
    gateway,
    corsOrigins,
    metrics,
    retention,
    sealedKeys,
    billing,
    containers,
    upstreams,
    models,
    exchangeRates,
    tenants,
    reporters,
    named: named.keys,
  };
}

function parseGateway(field: Field): { gateway: GatewayConfig; corsOrigins: string[] } {
  const given = field.fields(['hold_ttl_ms', 'hold_grace_ms', 'upstream_timeout_ms', 'drain_ms', 'max_body_bytes', 'cors_origins']);
  const gateway: GatewayConfig = {
    holdTtlMs: given.hold_ttl_ms.or(DEFAULT_GATEWAY.holdTtlMs, (f) => f.integer({ min: 1000, max: 24 * HOUR_MS })),
    holdGraceMs: given.hold_grace_ms.or(DEFAULT_GATEWAY.holdGraceMs, (f) => f.integer({ min: 0, max: 60_000 })),
    upstreamTimeoutMs: given.upstream_timeout_ms.or(DEFAULT_GATEWAY.upstreamTimeoutMs, (f) => f.integer({ min: 100, max: 24 * HOUR_MS })),
    drainMs: given.drain_ms.or(DEFAULT_GATEWAY.drainMs, (f) => f.integer({ min: 0, max: HOUR_MS })),
    maxBodyBytes: given.max_body_bytes.or(DEFAULT_GATEWAY.maxBodyBytes, (f) => f.integer({ min: 1024, max: 1_073_741_824 })),
  };
  return { gateway, corsOrigins: parseCorsOrigins(given.cors_origins) };
}
