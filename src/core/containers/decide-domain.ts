import { eventEffects } from '../access/access-events.ts';
import { openTenant } from '../access/decide-tenant.ts';
import { notFound } from '../access/rules.ts';
import type { Effect } from '../effects.ts';
import type { RecordRef } from '../records.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type Needs, type State, type Verb } from '../verb.ts';
import type { ContainerRoster } from './container-records.ts';
import { rosterOf } from './container-state.ts';
import type { ClaimDomainCommand, CreateDomainCommand, DeleteDomainCommand, NoteDomainCheckCommand } from './domain-commands.ts';
import { domainRecordId, type Domain, type DomainClaim } from './domain-records.ts';
import { isDomain } from './domain-rules.ts';

/** Domains of a tenant. */
const MAX_DOMAINS = 1000;

/** The rows of a tenant's domain. What is none has no row. */
export const domainNeeds = (tenantId: string, domain: string | null): RecordRef[] =>
  domain !== null && isDomain(domain) ? [{ kind: 'domain', id: domainRecordId(tenantId, domain) }] : [];

/** A tenant's domain. To be asked for what {@link domainNeeds} was asked for only. */
export const domainOf = (state: State, tenantId: string, domain: string): Domain | undefined =>
  isDomain(domain) ? state.record('domain', domainRecordId(tenantId, domain)) : undefined;

/** The names of the containers that use a domain, by their deployment or their update: each once. */
export const domainUserNames = (roster: ContainerRoster, domain: string): string[] =>
  [...new Set(roster.containers.filter(({ customDomains }) => customDomains.includes(domain)).map(({ name }) => name))].sort();

const needsOf = ({ tenantId, domain }: { readonly tenantId: string; readonly domain: string }): Needs => ({
  tenantLock: 'exclusive',
  records: [
    { kind: 'container-roster', id: tenantId },
    ...domainNeeds(tenantId, domain),
    ...(isDomain(domain) ? [{ kind: 'domain-claim', id: domain } as const] : []),
  ],
});

const toldOf = ({ tenantId, domain }: Pick<Domain, 'tenantId' | 'domain'>) => ({ tenant_id: tenantId, domain });
const domainEffect = (record: Domain): Effect => ({ type: 'record', kind: 'domain', id: record.id, record });
const countEffect = (roster: ContainerRoster, domainCount: number): Effect => ({
  type: 'record',
  kind: 'container-roster',
  id: roster.id,
  record: { ...roster, domainCount },
});

/**
 * Adds a domain. The value is the record.
 *
 * Rejects, in this order: `not_found` (tenant), `tenant_closed`, `conflict` (the tenant has it), `forbidden` (as many as there may be). Source: Tinfoil
 * Admin API, custom domains.
 */
export const createDomainVerb: Verb<CreateDomainCommand, Domain> = {
  needs: needsOf,
  decide: (state, command, nowMs) => {
    const { tenantId, domain, domainId, nonce, cnameHash } = command;
    const open = openTenant(state, tenantId);
    if ('rejection' in open) return refuse(rejected(open.rejection));
    if (domainOf(state, tenantId, domain) !== undefined) {
      return refuse(rejected({ code: 'conflict', message: `the domain ${domain} was added already`, field: 'domain' }));
    }
    const roster = rosterOf(state, tenantId);
    const count = roster.domainCount ?? 0;
    if (count >= MAX_DOMAINS) {
      return refuse(rejected({ code: 'forbidden', message: `the organization has reached its limit of ${MAX_DOMAINS} domains` }));
    }
    const record: Domain = {
      id: domainRecordId(tenantId, domain),
      domainId,
      tenantId,
      domain,
      nonce,
      cnameHash,
      verifiedAtMs: null,
      checkedAtMs: null,
      missingSinceMs: null,
      createdAtMs: nowMs,
    };
    return {
      outcome: accepted(record),
      effects: [
        domainEffect(record),
        countEffect(roster, count + 1),
        ...eventEffects(command, nowMs, [{ type: 'domain.created', data: toldOf(record) }]),
      ],
      auditMetadata: toldOf(record),
    };
  },
};

/**
 * Deletes a domain; whoever proves it next may have it. The value is what it was.
 *
 * Rejects, in this order: `not_found`, `conflict` (containers use it: `details.containers` are their names). Source: Tinfoil Admin API, custom domains.
 */
export const deleteDomainVerb: Verb<DeleteDomainCommand, Domain> = {
  needs: needsOf,
  decide: (state, command, nowMs) => {
    const { tenantId, domain } = command;
    const record = domainOf(state, tenantId, domain);
    if (record === undefined) return refuse(notFound(`domain ${domain}`));
    const roster = rosterOf(state, tenantId);
    const containers = domainUserNames(roster, domain);
    if (containers.length > 0) {
      return refuse(rejected({ code: 'conflict', message: `Domain is in use by: ${containers.join(', ')}`, details: { containers } }));
    }
    const isOurs = state.record('domain-claim', domain)?.tenantId === tenantId;
    return {
      outcome: accepted(record),
      effects: [
        { type: 'record-removed', kind: 'domain', id: record.id },
        ...(isOurs ? [{ type: 'record-removed', kind: 'domain-claim', id: domain } as const] : []),
        countEffect(roster, Math.max(0, (roster.domainCount ?? 0) - 1)),
        ...eventEffects(command, nowMs, [{ type: 'domain.deleted', data: toldOf(record) }]),
      ],
      auditMetadata: toldOf(record),
    };
  },
};

/**
 * Takes the claim to a domain for a tenant that has proved it. A claim whose holder has the domain verified stands, whoever proves what: a domain is one
 * tenant's at a time. The value is the claim.
 *
 * Rejects, in this order: `not_found` (the claimant does not have it, or added it anew since), `stale_view` (another had the claim when that was
 * looked at), `conflict` (another has it verified).
 */
export const claimDomainVerb: Verb<ClaimDomainCommand, DomainClaim> = {
  needs: ({ domain, claimantId, seenHolder }) => ({
    tenantLock: 'exclusive',
    lockedTenants: [claimantId, ...(seenHolder === null || seenHolder === claimantId ? [] : [seenHolder])],
    records: [
      { kind: 'domain-claim', id: domain },
      ...domainNeeds(claimantId, domain),
      ...(seenHolder === null || seenHolder === claimantId ? [] : domainNeeds(seenHolder, domain)),
    ],
  }),
  decide: (state, { domain, claimantId, nonce, seenHolder }) => {
    if (domainOf(state, claimantId, domain)?.nonce !== nonce) return refuse(notFound(`domain ${domain}`));
    const before = state.record('domain-claim', domain);
    if ((before?.tenantId ?? null) !== seenHolder) return refuse(rejected({ code: 'stale_view', message: 'the claim changed meanwhile' }));
    if (before !== undefined && before.tenantId === claimantId) return { outcome: accepted(before), effects: [] };
    const holders = before === undefined ? undefined : domainOf(state, before.tenantId, domain);
    if (holders?.verifiedAtMs !== undefined && holders.verifiedAtMs !== null) {
      return refuse(rejected({ code: 'conflict', message: `the domain ${domain} is verified by another organization`, field: 'domain' }));
    }
    const claim: DomainClaim = { id: domain, tenantId: claimantId };
    return { outcome: accepted(claim), effects: [{ type: 'record', kind: 'domain-claim', id: domain, record: claim }] };
  },
};

/** What a check makes of a domain, and the event where that is news. */
function checked(
  before: Domain,
  { isProved, lostAfterMs }: NoteDomainCheckCommand,
  nowMs: number,
): { readonly record: Domain; readonly event: 'domain.verified' | 'domain.lost' | null } {
  const record = { ...before, checkedAtMs: nowMs };
  if (isProved) {
    const isNew = before.verifiedAtMs === null;
    return {
      record: { ...record, verifiedAtMs: before.verifiedAtMs ?? nowMs, missingSinceMs: null },
      event: isNew ? 'domain.verified' : null,
    };
  }
  if (before.verifiedAtMs === null) return { record, event: null };
  const missingSinceMs = before.missingSinceMs ?? nowMs;
  if (nowMs - missingSinceMs < lostAfterMs) return { record: { ...record, missingSinceMs }, event: null };
  return { record: { ...record, verifiedAtMs: null, missingSinceMs: null }, event: 'domain.lost' };
}

/**
 * Notes what DNS told of a domain. The value is the record as it is now.
 *
 * Rejects, in this order: `not_found` (gone, or added anew since), `conflict` (proved, and another tenant has the claim).
 */
export const noteDomainCheckVerb: Verb<NoteDomainCheckCommand, Domain> = {
  needs: needsOf,
  decide: (state, command, nowMs) => {
    const { tenantId, domain, nonce, isProved } = command;
    const before = domainOf(state, tenantId, domain);
    if (before === undefined || before.nonce !== nonce) return refuse(notFound(`domain ${domain}`));
    if (isProved && state.record('domain-claim', domain)?.tenantId !== tenantId) {
      return refuse(rejected({ code: 'conflict', message: `the domain ${domain} is verified by another organization`, field: 'domain' }));
    }
    const { record, event } = checked(before, command, nowMs);
    const containers = domainUserNames(rosterOf(state, tenantId), domain);
    const data = { ...toldOf(record), used_by: containers };
    return {
      outcome: accepted(record),
      effects: [domainEffect(record), ...(event === null ? [] : eventEffects(command, nowMs, [{ type: event, data }]))],
      auditMetadata: { ...toldOf(record), verified: record.verifiedAtMs !== null },
    };
  },
};
