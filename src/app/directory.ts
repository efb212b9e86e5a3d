import { presentedValue } from '../core/access/decide-rotate-key.ts';
import { NO_POLICIES, rankPolicies, type PolicyRules } from '../core/policy/resolve-policy.ts';
import { memberRecordId, type ApiKey, type Member, type RecordRef, type Tenant } from '../core/records.ts';
import { accepted, rejected, type Outcome } from '../core/rejection.ts';
import type { Log } from '../ports/log.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { KeyHasher } from '../ports/secret-box.ts';
import { makeCatalogue, type Catalogue } from './directory/catalogue.ts';
import { makeReadCache } from './directory/read-cache.ts';

/** Who a credential stands for. `member` is whom an admin or management key acts as; null for other kinds. */
export interface Identity {
  readonly key: ApiKey;
  readonly tenant: Tenant;
  readonly member: Member | null;
}

/** What the program knows of records without asking the store each time. */
export interface Directory {
  /**
   * Whose credential `plaintext` is, at `nowMs`. After a change on this node the very next call sees it; after one on another node,
   * within a second. Also brings {@link Directory.catalogue} up to date.
   *
   * Rejects, in this order: `key_revoked` (a tenant key that was deleted), `unauthorized` (nobody has it, deleted, or replaced and past its
   * grace), `key_disabled`, `key_expired`, `tenant_closed` (but for tenant keys, whose tenant may still be read), `forbidden` (an admin or management key whose member is gone, or an admin key whose member is no admin). Throws a `Fault` where the store cannot be
   * read. Source: architecture section 5.
   */
  authenticate(plaintext: string, nowMs: number): Promise<Outcome<Identity>>;
  /**
   * The same, after a look for changes by other nodes: for keys that make keys, so that one that was deleted anywhere leaves nothing behind.
   */
  authenticateAnew(plaintext: string, nowMs: number): Promise<Outcome<Identity>>;
  /** Upstreams, models, prices and exchange rates as they were at the last {@link Directory.authenticate} or {@link Directory.refresh}. */
  readonly catalogue: Catalogue;
  /** Reads again what may be old. */
  refresh(): Promise<void>;
  tenant(id: string): Promise<Tenant | undefined>;
  /** The same as it is in the store now, for whoever learned that what is remembered is not. */
  currentTenant(id: string): Promise<Tenant | undefined>;
  /** The policies of a tenant, as fresh as its record is; none for a tenant that has none. */
  policies(tenantId: string): PolicyRules | Promise<PolicyRules>;
  /** Forgets changed records; call it before anybody learns that they changed. */
  recordsChanged(refs: readonly RecordRef[]): void;
  /** Looks once for changes by other nodes. Failures are logged. */
  poll(): Promise<void>;
  /** Begins to poll. */
  start(): void;
  /** Ends polling. */
  close(): void;
}

/** What the directory needs. Lengths in milliseconds, sizes in entries. */
export interface DirectoryOptions {
  readonly records: Pick<RecordStore, 'keyByHash' | 'deletedKeyByHash' | 'record' | 'records' | 'generation'>;
  readonly hasher: KeyHasher;
  readonly log: Log;
  /** Whether other processes write to the same store; else nothing is polled, for every change is heard of at once. */
  readonly isShared: boolean;
  /** A clock that never goes back, for measuring lengths only. */
  readonly elapsedMs: () => number;
  /** Told of every request that a tenant's key lets in. */
  readonly onTenantKeyUsed?: (keyId: string, nowMs: number) => void;
  readonly pollMs?: number;
  readonly trustMs?: number;
  readonly maxKeys?: number;
  readonly maxUnknownKeys?: number;
}

const POLL_MS = 500;
const TRUST_MS = 2000;
const MAX_KEYS = 100_000;
/** Bad credentials are remembered too, so that trying them costs no read each; bounded, so that nobody can buy memory with them. */
const MAX_UNKNOWN_KEYS = 10_000;
/** Nothing that we give out is longer; hashing what somebody sends costs time. */
const MAX_CREDENTIAL_LENGTH = 512;

/** What is remembered of records. Of deleted keys only tenants' are told from those that never were, and only to whoever has the whole value. */
function makeCaches({ records, maxKeys = MAX_KEYS, maxUnknownKeys = MAX_UNKNOWN_KEYS }: DirectoryOptions) {
  const keys = makeReadCache<ApiKey>({
    read: (hash) => records.keyByHash(hash),
    idOf: ({ id }) => id,
    maxFound: maxKeys,
    maxMissing: maxUnknownKeys,
  });
  const revoked = makeReadCache<ApiKey>({
    read: (hash) => records.deletedKeyByHash(hash),
    idOf: ({ id }) => id,
    maxFound: maxUnknownKeys,
    maxMissing: maxUnknownKeys,
  });
  const tenants = makeReadCache<Tenant>({
    read: (id) => records.record('tenant', id),
    idOf: ({ id }) => id,
    maxFound: maxKeys,
    maxMissing: 0,
  });
  const members = makeReadCache<Member>({
    read: (id) => records.record('member', id),
    idOf: ({ tenantId, id }) => memberRecordId(tenantId, id),
    maxFound: maxKeys,
    maxMissing: 0,
  });
  const policies = makeReadCache<{ readonly tenantId: string; readonly rules: PolicyRules }>({
    read: async (tenantId) => ({ tenantId, rules: rankPolicies(tenantId, await records.records('policy', tenantId)) }),
    idOf: ({ tenantId }) => tenantId,
    maxFound: maxKeys,
    maxMissing: 0,
  });
  return { keys, revoked, tenants, members, policies };
}

/** Makes the {@link Directory} over the committed records of a store. */
export function makeDirectory(options: DirectoryOptions): Directory {
  const { records, hasher, log, isShared, elapsedMs, pollMs = POLL_MS, trustMs = TRUST_MS } = options;
  const catalogue = makeCatalogue(records);
  const { keys, revoked, tenants, members, policies } = makeCaches(options);
  let generation: number | null = null;
  let heardAtMs = -Infinity;
  let checking: Promise<void> | null = null;
  let timer: NodeJS.Timeout | null = null;

  function forgetAll(): void {
    for (const cache of [keys, revoked, tenants, members, policies]) cache.clear();
    catalogue.invalidate();
  }

  /** Asks the store whether anything changed since the last look. Callers at the same moment share one look. */
  function check(): Promise<void> {
    checking ??= (async () => {
      try {
        const askedAtMs = elapsedMs();
        const current = await records.generation();
        if (generation !== null && current !== generation) forgetAll();
        generation = current;
        heardAtMs = askedAtMs;
      } finally {
        checking = null;
      }
    })();
    return checking;
  }

  /** A look that begins now or later: one that is under way may have missed what its caller knows of. */
  async function checkAnew(): Promise<void> {
    await checking?.catch(() => undefined);
    await check();
  }

  async function refresh(): Promise<void> {
    if (isShared && elapsedMs() - heardAtMs > trustMs) await check();
    if (!catalogue.isFresh()) await catalogue.load();
  }

  async function poll(): Promise<void> {
    try {
      await checkAnew();
    } catch (error) {
      log.warn({ err: error }, 'could not look for changed records; nothing cached is trusted for longer');
    }
  }

  const authenticate: Directory['authenticate'] = async (plaintext, nowMs) => {
    await refresh();
    if (plaintext.length === 0 || plaintext.length > MAX_CREDENTIAL_LENGTH) return unknownKey();
    const hash = hasher.hash(plaintext);
    const key = await keys.get(hash);
    // The value before a rotation may be cached longer than its grace lasts, so that is looked at each time.
    if (key === undefined || key.deletedAtMs !== null) {
      const gone = await revoked.get(hash);
      return gone?.kind === 'tenant'
        ? rejected({ code: 'key_revoked', message: 'this API key was revoked', ...aboutOf(gone) })
        : unknownKey();
    }
    if (presentedValue(key, hash, nowMs) === null) return unknownKey();
    if (key.disabled) return rejected({ code: 'key_disabled', message: 'this API key is disabled', ...aboutOf(key) });
    if (key.expiresAtMs !== null && key.expiresAtMs <= nowMs)
      return rejected({ code: 'key_expired', message: 'this API key has expired', ...aboutOf(key) });
    const tenant = await tenants.get(key.tenantId);
    if (tenant === undefined) return unknownKey();
    // What its own keys may still do there, and what it is told, the Cycles protocol decides for each operation.
    if (key.kind === 'tenant') options.onTenantKeyUsed?.(key.id, nowMs);
    if (tenant.status === 'CLOSED' && key.kind !== 'tenant')
      return rejected({ code: 'tenant_closed', message: 'this organization is closed', ...aboutOf(key) });
    if (key.kind !== 'admin' && key.kind !== 'management') return accepted({ key, tenant, member: null });
    const member = await members.get(memberRecordId(key.tenantId, key.createdBy));
    if (member === undefined || !mayActAs(key, member)) {
      const message = 'the member whom this key belongs to has no access to this organization any more';
      return rejected({ code: 'forbidden', message, ...aboutOf(key) });
    }
    return accepted({ key, tenant, member });
  };

  return {
    catalogue,
    refresh,
    poll,
    tenant: (id) => tenants.get(id),
    currentTenant: async (id) => {
      await poll();
      return tenants.get(id);
    },
    policies: (tenantId) => policies.peek(tenantId)?.rules ?? policies.get(tenantId).then((found) => found?.rules ?? NO_POLICIES),
    authenticate,
    authenticateAnew: async (plaintext, nowMs) => {
      if (isShared) await checkAnew();
      return authenticate(plaintext, nowMs);
    },
    recordsChanged: (refs) => {
      for (const { kind, id } of refs) {
        if (kind === 'tenant') tenants.forget(id);
        else if (kind === 'member') members.forget(id);
        else if (kind === 'key') for (const cache of [keys, revoked]) cache.forget(id);
        // Whose policy it is, its name alone does not say; they change seldom.
        else if (kind === 'policy' || kind === 'policy-name') policies.clear();
        // Names of keys are looked up where one is made, in the store itself.
        // So is what was paid in, where it is listed.
        // And what a container was metered, which changes every minute.
        else if (kind !== 'key-name' && kind !== 'credit' && kind !== 'container-meter') catalogue.invalidate();
      }
    },
    start: () => {
      if (!isShared || timer !== null) return;
      timer = setInterval(() => void poll(), pollMs);
      timer.unref();
    },
    close: () => {
      if (timer !== null) clearInterval(timer);
      timer = null;
    },
  };
}

/** Whose key it is that is good no more, for the audit. */
const aboutOf = ({ id, tenantId }: ApiKey) => ({ about: { tenantId, keyId: id } });

const unknownKey = (): Outcome<never> => rejected({ code: 'unauthorized', message: 'this API key is not known' });

/** Whether a key may still act as its member. One made before the member joined anew died with the first membership. */
function mayActAs(key: ApiKey, member: Member): boolean {
  if (member.removedAtMs !== null || key.createdAtMs < member.createdAtMs) return false;
  return key.kind !== 'admin' || member.role === 'admin';
}
