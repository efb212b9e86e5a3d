import { getServers, Resolver } from 'node:dns/promises';
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
/** Aliases that are followed: more make a circle, or a joke. */
const MAX_ALIASES = 8;

/** What servers answer where there is no such record, or no such name. */
const NOTHING_THERE = new Set(['ENODATA', 'ENOTFOUND']);

const codeOf = (err: unknown): string => (err as NodeJS.ErrnoException).code ?? 'no answer';

/** What a look finds; nothing where a server says that there is none. */
async function orNone<T>(found: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await found;
  } catch (err) {
    if (NOTHING_THERE.has(codeOf(err))) return [];
    throw err;
  }
}

async function aliasOf(resolver: Resolver, name: string): Promise<string | null> {
  const [alias] = await orNone(resolver.resolveCname(name));
  return alias === undefined ? null : alias.toLowerCase().replace(/\.$/, '');
}

async function textsOf(resolver: Resolver, name: string): Promise<string[]> {
  const records = await orNone(resolver.resolveTxt(name));
  return records.slice(0, MAX_TEXTS).map((strings) => strings.join(''));
}

/** A server that knows one zone alone tells an alias, and leaves it to whoever asks to follow it. */
async function textsBehind(resolver: Resolver, name: string): Promise<string[]> {
  const seen = new Set<string>();
  for (let next: string | null = name; next !== null && !seen.has(next) && seen.size <= MAX_ALIASES; next = await aliasOf(resolver, next)) {
    const texts = await textsOf(resolver, next);
    if (texts.length > 0) return texts;
    seen.add(next);
  }
  return [];
}

/** Makes the {@link DomainLookup} by Node's resolver: servers are asked one after another, until one can tell. */
export function makeDomainLookup({ servers, timeoutMs }: LookupOptions): DomainLookup {
  async function ask<T>(name: string, of: (resolver: Resolver) => Promise<T>): Promise<T> {
    let why: unknown;
    for (const server of servers.length > 0 ? servers : getServers()) {
      // Of its own, so that cutting one look off cuts off no other.
      const resolver = new Resolver({ timeout: timeoutMs, tries: TRIES });
      resolver.setServers([server]);
      const over = setTimeout(() => resolver.cancel(), 2 * TRIES * timeoutMs);
      try {
        return await of(resolver);
      } catch (err) {
        why = err;
      } finally {
        clearTimeout(over);
      }
    }
    const code = codeOf(why);
    throw new DnsFault(`DNS of ${name}: ${code}`, `DNS could not be asked about ${name} (${code}); try again later`, { cause: why });
  }

  return {
    texts: (name) => ask(name, (resolver) => textsBehind(resolver, name)),
    alias: (name) => ask(name, (resolver) => aliasOf(resolver, name)),
  };
}
