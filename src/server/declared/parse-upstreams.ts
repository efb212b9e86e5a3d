import { baseUrlFault } from '../../core/access/base-url.ts';
import { logsOn, upstreamHeadersFault } from '../../core/access/upstream-headers.ts';
import { UPSTREAM_DEFAULTS } from '../../core/access/defaults.ts';
import type { Dialect, SealedUpstream } from '../../core/records.ts';
import { MAX_SEALED_OUTPUT_TOKENS, sealedFault } from '../../core/sealed/enclaves.ts';
import { DIALECTS, dialectsFault } from '../../core/routing/dialects.ts';
import type { DeclaredUpstream } from './declared-config.ts';
import type { Field } from './field.ts';
import { type NamedFields, namesGiven } from './named-fields.ts';
import { refuseDouble } from './refuse-double.ts';
import { parseRateLimits } from './parse-rate-limits.ts';

const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const ID_RULE = 'an id of 1 to 64 letters, digits, ".", "_" and "-" that starts with a letter or digit';

/** A base address without credentials, query and final slash. What it held is never shown: people put passwords into addresses. */
function baseUrlOf(field: Field): string {
  const text = field.text({ secret: true });
  const fault = baseUrlFault(text);
  if (fault !== null) return field.fail(`must ${fault}`);
  return text.replace(/\/+$/, '');
}

function parseUpstream(item: Field, seen: Set<string>, named: NamedFields): DeclaredUpstream {
  const given = item.fields([
    'id',
    'kind',
    'base_url',
    'api_key',
    'provider',
    'region',
    'eu_native',
    'quantized',
    'retention_days',
    'continuous_usage',
    'timeout_ms',
    'headers',
    'speaks',
    'rate_limits',
    'sealed',
  ]);
  const id = given.id.text({ pattern: ID, rule: ID_RULE });
  refuseDouble(seen, id, given.id);
  named.add('upstream', id, namesGiven(given));
  const kind = given.kind.or('openai', (f) => f.oneOf(['openai', 'demo']));
  const sealed = given.sealed.or(null, sealedOf);
  if (kind === 'demo' && given.base_url.isGiven) given.base_url.fail('has no meaning for an upstream of kind demo; remove it');
  if (sealed !== null && kind === 'demo') given.sealed.fail('has no meaning for an upstream of kind demo; remove it');
  if (sealed !== null && given.base_url.isGiven)
    given.base_url.fail('has no meaning beside sealed, whose enclave_urls are its addresses; remove it');
  const headers = headersOf(given.headers);
  if (kind === 'demo' && Object.keys(headers).length > 0) given.headers.fail('has no meaning for an upstream of kind demo; remove it');
  if (logsOn(Object.keys(headers)) && given.api_key.isGiven)
    given.headers.fail('holds authorization beside an api_key, and nobody could tell which one counts; remove one of them');
  return {
    id,
    kind,
    headers,
    baseUrl: kind === 'demo' || sealed !== null ? '' : baseUrlOf(given.base_url),
    apiKey: given.api_key.or(null, (f) =>
      f.text({ secret: true, pattern: /^[\x21-\x7e]+$/, rule: 'a credential of visible ASCII characters', maxLength: 4096 }),
    ),
    provider: given.provider.or(id, (f) => f.text({ maxLength: 64 })),
    region: given.region.or(UPSTREAM_DEFAULTS.region, (f) => f.text({ maxLength: 64 })),
    euNative: given.eu_native.or(UPSTREAM_DEFAULTS.euNative, (f) => f.boolean()),
    quantized: given.quantized.or(UPSTREAM_DEFAULTS.quantized, (f) => f.boolean()),
    retentionDays: given.retention_days.or(UPSTREAM_DEFAULTS.retentionDays, (f) => f.integer({ min: 0, max: 36_500 })),
    continuousUsage: given.continuous_usage.or(UPSTREAM_DEFAULTS.continuousUsage, (f) => f.boolean()),
    timeoutMs: given.timeout_ms.or(UPSTREAM_DEFAULTS.timeoutMs, (f) => f.integer({ min: 100, max: 86_400_000 })),
    rateLimits: parseRateLimits(given.rate_limits),
    ...(given.speaks.isGiven ? { speaks: dialectsOf(given.speaks) } : {}),
    sealed,
  };
}

/** The headers of an upstream. Their values are never shown: they may be credentials. */
function headersOf(field: Field): Record<string, string> {
  const values = Object.entries(field.entries()).map(([name, value]) => [name, value.text({ secret: true, maxLength: 10_000 })] as const);
  const headers = Object.fromEntries(values);
  const fault = upstreamHeadersFault(headers);
  return fault === null ? headers : field.fail(`must ${fault}`);
}

function dialectsOf(field: Field): Dialect[] {
  const dialects = field.items().map((item) => item.oneOf(DIALECTS));
  const fault = dialectsFault(dialects);
  return fault === null ? dialects : field.fail(`must ${fault}`);
}

/** Where sealed bodies go. */
function sealedOf(field: Field): SealedUpstream {
  const given = field.fields(['enclave_urls', 'attestation_url', 'max_output_tokens']);
  const sealed = {
    enclaveUrls: given.enclave_urls.items().map(baseUrlOf),
    attestationUrl: given.attestation_url.or(null, baseUrlOf),
    maxOutputTokens: given.max_output_tokens.or(null, (f) => f.integer({ min: 1, max: MAX_SEALED_OUTPUT_TOKENS })),
  };
  const fault = sealedFault(sealed);
  return fault === null ? sealed : given[fault.field].fail(`must ${fault.rule}`);
}

/** Reads the section `upstreams`. */
export function parseUpstreams(section: Field, named: NamedFields): DeclaredUpstream[] {
  const seen = new Set<string>();
  return section.items().map((item) => parseUpstream(item, seen, named));
}
