import type { FastifyInstance } from 'fastify';
import type { MountedRoute } from '../api/_shared/openapi/document.ts';

/** The routes of all listeners, gathered as they are mounted. */
export interface MountedRoutes {
  /** Begins to gather the routes that are registered on `app` after this call. Routes that only refuse, or share another's address, are left out, and so is HEAD. */
  gather(app: FastifyInstance, listener: string): void;
  readonly all: () => readonly MountedRoute[];
  /** What `make` makes of all routes, made anew only where routes have been added. */
  memo<T>(make: (routes: readonly MountedRoute[]) => T): () => T;
}

/** Makes an empty {@link MountedRoutes}. */
export function makeMountedRoutes(): MountedRoutes {
  const routes = new Map<string, MountedRoute>();
  let changes = 0;
  return {
    gather: (app, listener) => {
      app.addHook('onRoute', ({ method, url, schema, config }) => {
        if (config?.onlyRefuses === true || config?.sharesAddress === true) return;
        for (const each of Array.isArray(method) ? method : [method]) {
          if (each === 'HEAD') continue;
          const key = `${each} ${url}`;
          const listeners = [...(routes.get(key)?.listeners ?? []), listener];
          changes += 1;
          routes.set(key, { method: each, url, body: schema?.body, listeners });
        }
      });
    },
    all: () => [...routes.values()],
    memo: (make) => {
      let made: { readonly at: number; readonly value: ReturnType<typeof make> } | null = null;
      return () => (made = made?.at === changes ? made : { at: changes, value: make([...routes.values()]) }).value;
    },
  };
}
