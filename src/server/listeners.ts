import { registerFallback } from '../api/_shared/fallback.ts';
import { openAiForm } from '../api/_shared/openai-form.ts';
import { mountDataPlane, type ComposeDeps, type Parts } from './compose.ts';
import type { Config, ListenAddress } from './config.ts';
import { registerHealth } from './health.ts';
import { type ClientTimeouts, listen, type Listener, makeServer } from './listener.ts';
import { registerRequestLog } from './request-log.ts';

/** The listeners of the program. */
export interface Listeners {
  readonly runtime: Listener;
  readonly admin: Listener;
}

/** Opens both listeners; their closer finishes what they are answering. */
export async function openListeners(options: {
  config: Config;
  deps: ComposeDeps;
  parts: Parts;
  operatorKey: string;
  timeouts: ClientTimeouts;
}): Promise<Listeners> {
  const { config, deps, parts, timeouts } = options;
  const open: Listener[] = [];
  // One closer for both: while one finishes its requests, the other must not take new ones.
  deps.closers.add('listeners', async () => void (await Promise.all(open.map((listener) => listener.drain(config.gateway.drainMs)))));

  const start = async (name: 'runtime' | 'admin', address: ListenAddress): Promise<Listener> => {
    const { log, ids } = deps;
    const app = makeServer({ bodyLimit: config.gateway.maxBodyBytes, ids, timeouts, owners: [], form: openAiForm, log });
    registerRequestLog(app, { listener: name, log, callerOf: () => ({}) });
    registerFallback(app, { owners: [], log });
    registerHealth(app);
    await mountDataPlane(app, deps, parts);
    const listener = await listen(app, address, `CASTELLAN_${name.toUpperCase()}_PORT`);
    open.push(listener);
    return listener;
  };
  // The data plane last: whoever finds it ready may use the control plane as well.
  const admin = await start('admin', config.admin);
  return { runtime: await start('runtime', config.runtime), admin };
}
