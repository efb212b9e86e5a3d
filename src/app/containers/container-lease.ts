import { CONTAINER_LEASE } from '../../core/containers/container-records.ts';
import { SYSTEM_TENANT } from '../../core/records.ts';
import type { Ids } from '../../ports/ids.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

const LEASE_MS = 30_000;
/** Rarely: a change of a record lets every node read again what it remembers. */
const RENEW_AFTER_MS = 10_000;
/** Before its end in the store it counts as over here: what is under way must not outlive it. */
const MARGIN_MS = 5000;

/** The right to act on hosts, which one node has. */
export interface ContainerLease {
  /** Takes or keeps it; the token, or null where another node has it or nobody can tell. */
  hold(): Promise<number | null>;
  /** Whether it is certainly ours at this moment. */
  isHeld(): boolean;
  /** Lets another node take it at once. */
  giveUp(): Promise<void>;
}

/** Makes the {@link ContainerLease} of this run of the process. */
export function makeContainerLease(deps: {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly ownerId: string;
  /** Whether no other process can use the same store. */
  readonly isAlone: boolean;
  /** A clock that never goes back. */
  readonly elapsedMs: () => number;
}): ContainerLease {
  const { writer, ids, ownerId, isAlone, elapsedMs } = deps;
  const base = () => ({ id: ids.next('cmd'), tenantId: SYSTEM_TENANT, leaseId: CONTAINER_LEASE, ownerId });
  let token: number | null = null;
  let askedAtMs = 0;

  const isHeld = (): boolean => token !== null && elapsedMs() - askedAtMs < LEASE_MS - MARGIN_MS;

  return {
    isHeld,
    hold: async () => {
      if (isHeld() && elapsedMs() - askedAtMs < RENEW_AFTER_MS) return token;
      const nowMs = elapsedMs();
      const outcome = await writer.execute({ verb: 'take-lease', ...base(), ttlMs: LEASE_MS, isAlone });
      token = outcome.ok ? outcome.value.token : null;
      askedAtMs = nowMs;
      return token;
    },
    giveUp: async () => {
      if (token === null) return;
      token = null;
      await writer.execute({ verb: 'end-lease', ...base() });
    },
  };
}
