import { Resolver } from 'node:dns/promises';
import { DnsFault, type DomainLookup } from '../ports/domain-lookup.ts';

/** Which servers are asked, and how. */
export interface LookupOptions {
  /** Addresses, with a port where it is not 53; empty: those of the system. */
  readonly servers: readonly string[];
  /** For one server and try. */
  readonly timeoutMs: number;
}

const TRIES = 2;
/** Texts beyond these are not looked at: no proof needs more, and whoever answers may send anything. */
const MAX_TEXTS = 200;

/** What servers answer where there is no such record, or no such name. */
const NOTHING_THERE = new Set(['ENODATA', 'ENOTFOUND']);

/** Makes the {@link DomainLookup} by Node's resolver. */
export function makeDomainLookup({ servers, timeoutMs }: LookupOptions): DomainLookup {
  async function ask<T>(name: string, of: (resolver: Resolver) => Promise<readonly T[]>): Promise<readonly T[]> {
    const resolver = new Resolver({ timeout: timeoutMs, tries: TRIES });
    if (servers.length > 0) resolver.setServers(servers);
    // Servers in turn may each take their time; all of it is bounded.
    const over = setTimeout(() => resolver.cancel(), (servers.length || 1) * TRIES * timeoutMs * 2);
    try {
      return await of(resolver);
    } catch (cause) {
      const { code = '' } = cause as NodeJS.ErrnoException;
      if (NOTHING_THERE.has(code)) return [];
      throw new DnsFault(`DNS of ${name}: ${code}`, `DNS could not be asked about ${name} (${code}); try again later`, { cause });
    } finally {
      clearTimeout(over);
    }
  }

  return {
    texts: async (name) =>
      (await ask(name, (resolver) => resolver.resolveTxt(name))).slice(0, MAX_TEXTS).map((strings) => strings.join('')),
    alias: async (name) => {
      const [alias] = await ask(name, (resolver) => resolver.resolveCname(name));
      return alias === undefined ? null : alias.toLowerCase().replace(/\.$/, '');
    },
  };
}
