import type { ConfigNode, TextRule } from './config-node.ts';
import type { ShimConfig } from './container-config.ts';

const MAX_PORT = 65_535;
const MAX_RATE = 1_000_000;

const PATH: TextRule = {
  pattern: /^(?:\/[^*?#\s\\\u0000-\u001f\u007f]*\*?|\*)$/,
  words: 'be a path that begins with a slash, without a query; `*` may stand at its end only',
};
const ORIGIN: TextRule = {
  pattern: /^(?:\*|[a-z][a-z0-9+.-]*:\/\/[^/\s?#@*\\]+)$/i,
  words: 'be an origin such as https://app.example.com, without a path, or *',
};

const TLS_END = 'the ingress does not take certificates from configurations';
const NO_PROOF = 'there is no confidential hardware whose state could be proved';
/** Fields that are taken, and why nothing comes of them. Source: Tinfoil reference section 3. */
const WITHOUT_EFFECT: readonly (readonly [string, string])[] = [
  ...['tls-mode', 'tls-env', 'tls-challenge', 'tls-wildcard', 'tls-own-san-domain', 'email'].map((name) => [name, TLS_END] as const),
  ...['atc', 'publish-attestation', 'dummy-attestation'].map((name) => [name, NO_PROOF] as const),
  ['control-plane', 'keys are checked by this server itself'],
  ['listen-port', 'the ingress listens where the operator says'],
];
const FIELDS: readonly string[] = [
  ...'upstream-port upstream-container paths origins authenticated authenticated-endpoints rate-limit rate-burst'.split(' '),
  ...WITHOUT_EFFECT.map(([name]) => name),
];

/** Fields about certificates are held to their rules although nothing comes of them, so that a file is good here only if it is elsewhere. */
function checkTls(node: ConfigNode): void {
  node.field('tls-mode').choice(['self-signed', 'acme', 'cert-proxy']);
  node.field('tls-env').choice(['production', 'staging']);
  const challenge = node.field('tls-challenge').choice(['tls', 'dns', 'http']);
  const wildcard = node.field('tls-wildcard').boolean();
  if (wildcard === true && challenge !== 'dns') node.field('tls-wildcard').refuse('needs the tls-challenge dns');
}

function warnIgnored(node: ConfigNode): void {
  for (const [name, why] of WITHOUT_EFFECT) {
    if (node.field(name).isGiven) node.field(name).warn(`has no effect: ${why}`);
  }
  for (const name of node.fieldNames()) {
    if (!FIELDS.includes(name)) node.field(name).warn('has no effect: no such field is known');
  }
}

function warnOdd(node: ConfigNode, shim: ShimConfig): void {
  if (shim.origins?.length === 0) node.field('origins').warn('is empty, so that pages of other origins are all refused');
  if (shim.authenticatedEndpoints !== null && !shim.authenticated) {
    node.field('authenticated-endpoints').warn('has no effect: authenticated is not true');
  }
  if (shim.rateBurst !== null && shim.rateLimit === null) node.field('rate-burst').warn('has no effect: there is no rate-limit');
}

/** Reads `shim`. `unitNames` are those of the containers, the first of which is served where none is named. */
export function checkShim(node: ConfigNode, unitNames: readonly string[]): ShimConfig {
  node.required();
  const upstream = node.field('upstream-container');
  const upstreamUnit = upstream.text();
  if (upstreamUnit !== null && !unitNames.includes(upstreamUnit)) upstream.refuse('must be the name of one of the containers');
  const port = node.field('upstream-port');
  const shim: ShimConfig = {
    upstreamUnit: upstreamUnit ?? unitNames[0] ?? '',
    upstreamPort: (node.isGiven ? port.required() : port).integer(1, MAX_PORT) ?? 0,
    paths: node.field('paths').texts({ rule: PATH }) ?? [],
    origins: node.field('origins').texts({ rule: ORIGIN }),
    authenticated: node.field('authenticated').boolean() ?? false,
    authenticatedEndpoints: node.field('authenticated-endpoints').texts({ rule: PATH }),
    // Nought switches the limit off, as leaving it out does.
    rateLimit: node.field('rate-limit').number(0, MAX_RATE) || null,
    rateBurst: node.field('rate-burst').integer(0, MAX_RATE) || null,
  };
  checkTls(node);
  warnIgnored(node);
  warnOdd(node, shim);
  return shim;
}
