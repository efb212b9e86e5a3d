import { isIP } from 'node:net';
import { DEFAULT_PROOF, isDomain, type DomainProof } from '../../core/containers/domain-rules.ts';
import type { LookupOptions } from '../../dns/domain-lookup.ts';
import type { Field } from './field.ts';

/** How DNS is asked, and domains are proved by it. Lengths in milliseconds. */
export interface DnsConfig {
  readonly lookup: LookupOptions;
  readonly proof: DomainProof;
  readonly allowed: readonly string[];
  readonly checkEveryMs: number;
  readonly lostAfterMs: number;
}

const SECOND_MS = 1000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** What holds where the file says nothing. */
export const DEFAULT_DNS: DnsConfig = {
  lookup: { servers: [], timeoutMs: 2 * SECOND_MS },
  proof: DEFAULT_PROOF,
  allowed: [],
  checkEveryMs: HOUR_MS,
  lostAfterMs: DAY_MS,
};

const LABEL = { pattern: /^_?[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/, rule: 'a label of a domain, such as _tinfoil-challenge' };
const PREFIX = { pattern: /^[\x21-\x7e]{1,64}$/, rule: 'of 1 to 64 ASCII characters without spaces' };

/** Reads the section `dns`. */
export function parseDns(field: Field): DnsConfig {
  const given = field.fields(['servers', 'timeout_ms', 'check_every_ms', 'lost_after_ms', 'txt_label', 'txt_prefix', 'private_domains']);
  const { lookup, proof, checkEveryMs, lostAfterMs } = DEFAULT_DNS;
  return {
    lookup: {
      servers: given.servers.items().map(readServer),
      timeoutMs: given.timeout_ms.or(lookup.timeoutMs, (f) => f.integer({ min: 100, max: 30 * SECOND_MS })),
    },
    proof: {
      label: given.txt_label.or(proof.label, (f) => f.text(LABEL)),
      prefix: given.txt_prefix.or(proof.prefix, (f) => f.text(PREFIX)),
    },
    allowed: given.private_domains.items().map(readParent),
    checkEveryMs: given.check_every_ms.or(checkEveryMs, (f) => f.integer({ min: SECOND_MS, max: DAY_MS })),
    lostAfterMs: given.lost_after_ms.or(lostAfterMs, (f) => f.integer({ min: 0, max: 30 * DAY_MS })),
  };
}

/** An address with a port, or without one. Source: node:dns, `setServers`. */
function readServer(field: Field): string {
  const text = field.text({ maxLength: 64 });
  const [, bracketed, four, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const isGood =
    isIP(text) !== 0 || (isIP(bracketed ?? four ?? '') !== 0 && (port === undefined || (Number(port) > 0 && Number(port) <= 65_535)));
  return isGood ? text : field.fail('must be an IP address, with a port where it is not 53, such as 10.0.0.53 or 127.0.0.1:5353');
}

function readParent(field: Field): string {
  const text = field.text({ maxLength: 253 });
  return isDomain(text) || /^[a-z0-9-]{1,63}$/.test(text)
    ? text
    : field.fail('must be a domain in lower case, such as corp.internal or test');
}
