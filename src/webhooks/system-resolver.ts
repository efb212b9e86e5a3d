import { lookup } from 'node:dns/promises';
import type { Resolve } from './http-sender.ts';

/** Resolves a name by the machine's own means; each holds one of the few threads that everything of this process shares until it ends. */
const lookUp: Resolve = async (hostname) => {
  const found = await lookup(hostname, { all: true, order: 'verbatim' });
  return found.map(({ address }) => address);
};

/** Names that are looked up at once: strangers chose them, and a slow name server must not keep the others of this process waiting. */
const AT_ONCE = 2;

/** Resolves as everything else on this machine does: its hosts file and its name servers, in the order in which they answer. */
export function makeSystemResolver(resolve: Resolve = lookUp): Resolve {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (hostname) => {
    if (running < AT_ONCE) running += 1;
    else await new Promise<void>((go) => waiting.push(go));
    try {
      return await resolve(hostname);
    } finally {
      // Whoever waits takes the place as it is.
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
