import type { InFlight } from '../ports/ingress-routes.ts';

/** What is under way to deployments, with what begins and ends it. */
export interface InFlightTable extends InFlight {
  /** Counts one, which `cut` ends; the value takes it off again, and may be called twice. */
  begin(deploymentId: string, cut: () => void): () => void;
  /** Of all deployments. */
  readonly total: number;
  /** Ends what is open of every deployment. */
  cutAll(): void;
}

/** Makes an empty {@link InFlightTable}. */
export function makeInFlight(): InFlightTable {
  const open = new Map<string, Set<() => void>>();
  let total = 0;
  return {
    get total() {
      return total;
    },
    begin: (deploymentId, cut) => {
      const own = open.get(deploymentId) ?? new Set();
      open.set(deploymentId, own);
      // Each gets an entry of its own, also where two are cut by one function.
      const entry = (): void => cut();
      own.add(entry);
      total += 1;
      return () => {
        if (!own.delete(entry)) return;
        total -= 1;
        if (own.size === 0 && open.get(deploymentId) === own) open.delete(deploymentId);
      };
    },
    cutAll: () => {
      for (const own of open.values()) for (const cut of own) cut();
    },
    count: (deploymentId) => open.get(deploymentId)?.size ?? 0,
    cut: (deploymentId) => {
      const entries = [...(open.get(deploymentId) ?? [])];
      for (const cut of entries) cut();
      return entries.length;
    },
  };
}
