import { notFound } from '../../core/access/rules.ts';
import { domainUserNames } from '../../core/containers/decide-domain.ts';
import { domainRecordId, type Domain } from '../../core/containers/domain-records.ts';
import { checkDomain, cnameTarget, isDomain, proofHost, proofValue, type DomainProof } from '../../core/containers/domain-rules.ts';
import { uuidOf } from '../../core/containers/uuid.ts';
import { SYSTEM_TENANT } from '../../core/records.ts';
import { accepted, type Outcome } from '../../core/rejection.ts';
import type { Clock } from '../../ports/clock.ts';
import { DnsFault, type DomainLookup } from '../../ports/domain-lookup.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** How domains are proved and looked at again. Lengths in milliseconds. */
export interface DomainSettings {
  readonly baseDomain: string;
  readonly proof: DomainProof;
  /** Parents of names that are not of the public DNS and may be used all the same. */
  readonly allowed: readonly string[];
  readonly checkEveryMs: number;
  /** A verified domain whose proof is missing is lost after so long. */
  readonly lostAfterMs: number;
}

/** A domain with what its owner must know of it. `cnameConfigured` and `checkError` are null where DNS was not just asked. */
export interface DomainView extends Domain {
  readonly usedBy: readonly string[];
  readonly txtHost: string;
  readonly txtValue: string;
  readonly cnameTarget: string;
  readonly cnameConfigured: boolean | null;
  readonly checkError: string | null;
}

/** What is done with a tenant's domains. */
export interface ManageDomains {
  /** In the order of their names. */
  list(tenantId: string): Promise<DomainView[]>;
  /** Rejects: `invalid_request` (domain), then as `create-domain`. */
  create(actor: Actor, tenantId: string, domain: string): Promise<Outcome<DomainView>>;
  /**
   * Asks DNS, and notes what it says; where DNS cannot be asked nothing changes, and the value says why. Rejects: `not_found`, `conflict` (another
   * organization has it verified).
   */
  verify(actor: Actor, tenantId: string, domain: string): Promise<Outcome<DomainView>>;
  /** Rejects as `delete-domain`. */
  remove(actor: Actor, tenantId: string, domain: string): Promise<Outcome<Domain>>;
  /** Asks DNS again about the domains that it was not asked about for long enough. */
  recheck(): Promise<void>;
}

/** What managing domains needs. */
export interface ManageDomainsDeps {
  readonly records: Pick<RecordStore, 'record' | 'records'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly lookup: DomainLookup;
  readonly settings: DomainSettings;
  readonly clock: Clock;
  readonly ids: Pick<Ids, 'next' | 'token'>;
  readonly log: Pick<Log, 'warn'>;
}

const RANDOM_BYTES = 16;
const TRIES = 5;
/** Domains that are looked at again at a time. */
const AT_ONCE = 8;
/** One that nobody has proved for so long is only looked at when somebody asks for it. */
const GIVE_UP_MS = 7 * 86_400_000;

/** What DNS said of the proof of a domain. */
type Seen = { readonly isProved: boolean; readonly error: null } | { readonly isProved: null; readonly error: string };

/** Asks DNS about domains. */
function makeLooks({ lookup, settings: { proof, baseDomain } }: Pick<ManageDomainsDeps, 'lookup' | 'settings'>) {
  async function lookAt({ domain, nonce }: Domain): Promise<Seen> {
    try {
      const texts = await lookup.texts(proofHost(domain, proof));
      return { isProved: texts.includes(proofValue(nonce, proof)), error: null };
    } catch (err) {
      if (!(err instanceof DnsFault)) throw err;
      return { isProved: null, error: err.publicMessage };
    }
  }

  async function isConfigured({ domain, cnameHash }: Domain): Promise<boolean | null> {
    try {
      return (await lookup.alias(domain)) === cnameTarget(cnameHash, baseDomain);
    } catch (err) {
      if (!(err instanceof DnsFault)) throw err;
      return null;
    }
  }

  return { lookAt, isConfigured };
}

/** Makes the {@link ManageDomains}. */
export function makeManageDomains(deps: ManageDomainsDeps): ManageDomains {
  const { records, writer, settings, clock, ids, log } = deps;
  const { lookAt, isConfigured } = makeLooks(deps);
  const { proof, baseDomain } = settings;
  /** 32 digits that nobody can guess. */
  const hex = (): string => uuidOf(ids.token(RANDOM_BYTES)).replaceAll('-', '');

  async function viewsOf(tenantId: string, domains: readonly Domain[], seen: Partial<DomainView> = {}): Promise<DomainView[]> {
    const roster = (await records.record('container-roster', tenantId)) ?? { id: tenantId, containers: [] };
    return domains.map((domain) => ({
      ...domain,
      usedBy: domainUserNames(roster, domain.domain),
      txtHost: proofHost(domain.domain, proof),
      txtValue: proofValue(domain.nonce, proof),
      cnameTarget: cnameTarget(domain.cnameHash, baseDomain),
      cnameConfigured: null,
      checkError: null,
      ...seen,
    }));
  }

  async function viewOf(record: Domain, seen: Partial<DomainView> = {}): Promise<Outcome<DomainView>> {
    const [view] = await viewsOf(record.tenantId, [record], seen);
    return view === undefined ? notFound(`domain ${record.domain}`) : accepted(view);
  }

  const find = async (tenantId: string, domain: string): Promise<Domain | undefined> =>
    isDomain(domain) ? records.record('domain', domainRecordId(tenantId, domain)) : undefined;

  const baseOf = (actor: Actor, name: string, tenantId: string, domain: string) =>
    auditedBase(ids, actor, { name, tenantId, resourceKind: 'domain', resourceId: domain });

  /** Takes the claim to a domain that was proved. */
  async function claim({ tenantId, domain, nonce }: Domain): Promise<Outcome<unknown>> {
    for (let left = TRIES; ; left -= 1) {
      const seenHolder = (await records.record('domain-claim', domain))?.tenantId ?? null;
      const command = { id: ids.next('cmd'), tenantId: SYSTEM_TENANT, domain, claimantId: tenantId, nonce, seenHolder };
      const outcome = await writer.execute({ verb: 'claim-domain', ...command });
      if (outcome.ok || outcome.rejection.code !== 'stale_view' || left === 1) return outcome;
    }
  }

  /** Notes what DNS said, for whoever asked; null: nobody did, and it leaves no row in the trail. */
  async function note(actor: Actor | null, record: Domain, isProved: boolean): Promise<Outcome<Domain>> {
    const { tenantId, domain, nonce } = record;
    if (isProved) {
      const claimed = await claim(record);
      if (!claimed.ok) return claimed;
    }
    const base = actor === null ? { id: ids.next('cmd'), tenantId } : baseOf(actor, 'verify-domain', tenantId, domain);
    return writer.execute({ verb: 'note-domain-check', ...base, domain, nonce, isProved, lostAfterMs: settings.lostAfterMs });
  }

  const isDue = ({ verifiedAtMs, checkedAtMs, createdAtMs }: Domain, nowMs: number): boolean =>
    nowMs - (checkedAtMs ?? 0) >= settings.checkEveryMs && (verifiedAtMs !== null || nowMs - createdAtMs < GIVE_UP_MS);

  /** Only what is news leaves a row in the trail: a domain that is as it was, and was not asked about by anybody, does not. */
  async function lookAgain(record: Domain): Promise<void> {
    const { isProved, error } = await lookAt(record);
    if (isProved === null) {
      log.warn({ domain: record.domain, error }, 'a domain could not be looked at again');
      return;
    }
    const actor: Actor = { kind: 'system', id: 'check-domains', requestId: ids.next('req') };
    const isNews = isProved !== (record.verifiedAtMs !== null);
    const outcome = await note(isNews ? actor : null, record, isProved);
    if (!outcome.ok && outcome.rejection.code !== 'not_found' && outcome.rejection.code !== 'conflict') {
      log.warn({ domain: record.domain, code: outcome.rejection.code }, 'what DNS says of a domain could not be noted');
    }
  }

  return {
    list: async (tenantId) => {
      const domains = await records.records('domain', tenantId);
      return viewsOf(
        tenantId,
        domains.toSorted((a, b) => (a.domain < b.domain ? -1 : 1)),
      );
    },
    create: async (actor, tenantId, domain) => {
      const bad = checkDomain(domain, { baseDomain, allowed: settings.allowed });
      if (bad !== null) return bad;
      const base = baseOf(actor, 'create-domain', tenantId, domain);
      const made = { domainId: ids.next('dom'), domain, nonce: hex(), cnameHash: hex() };
      const outcome = await writer.execute({ verb: 'create-domain', ...base, ...made });
      return outcome.ok ? viewOf(outcome.value) : outcome;
    },
    verify: async (actor, tenantId, domain) => {
      const record = await find(tenantId, domain);
      if (record === undefined) return notFound(`domain ${domain}`);
      const [{ isProved, error }, cnameConfigured] = await Promise.all([lookAt(record), isConfigured(record)]);
      if (isProved === null) return viewOf(record, { cnameConfigured, checkError: error });
      const outcome = await note(actor, record, isProved);
      return outcome.ok ? viewOf(outcome.value, { cnameConfigured }) : outcome;
    },
    remove: async (actor, tenantId, domain) => {
      if (!isDomain(domain)) return notFound(`domain ${domain}`);
      return writer.execute({ verb: 'delete-domain', ...baseOf(actor, 'delete-domain', tenantId, domain), domain });
    },
    recheck: async () => {
      const nowMs = clock.nowMs();
      const due = (await records.records('domain')).filter((record) => isDue(record, nowMs));
      for (let at = 0; at < due.length; at += AT_ONCE) await Promise.all(due.slice(at, at + AT_ONCE).map(lookAgain));
    },
  };
}
