import type { Octokit } from 'octokit';
import type { AppConnection } from '../../core/containers/app-connection.ts';
import type { RepositoryOf } from '../../ports/release-source.ts';
import {
  boundedFetch,
  FORBIDDEN,
  githubFault,
  makeAskGithub,
  MISSING,
  type GithubLimits,
  type GithubQuestions,
} from './github-requests.ts';

/** An App of GitHub as it is declared. `id` is its number or its client id. */
export interface DeclaredApp {
  readonly id: string;
  /** In PEM, PKCS#8. */
  readonly privateKey: string;
  /** Which tenants may use what the App sees of an owner's repositories. */
  readonly owners: readonly { readonly owner: string; readonly tenants: readonly string[] }[];
}

/** How the App stands to a repository, and what it may do there. */
export type Installation =
  | { readonly connection: Exclude<AppConnection, 'connected'> }
  | { readonly connection: 'connected'; readonly mayWrite: boolean; readonly questions: () => Promise<GithubQuestions> };

/** The App, as the source of its repositories uses it. */
export interface GithubApp {
  /** Asks for the installation at a repository. Nothing is asked for a tenant that the owner is not given to. */
  installation(of: RepositoryOf, signal: AbortSignal): Promise<Installation>;
}

const INSTALLATION_ROUTE = 'GET /repos/{owner}/{repo}/installation';
const TOKEN_ROUTE = 'POST /app/installations/{installation_id}/access_tokens';
const UNREADABLE = 'GitHub gave an answer that cannot be read';

const closed = (route: string) =>
  githubFault(route, { message: 'refused', publicMessage: 'GitHub does not let the App of this server do that for now: try again later' });

const silent = (): void => undefined;

/** The library, loaded with the first question; nothing is asked twice, and nothing logged, by itself. */
export const githubOptions = (baseUrl: string, limits: GithubLimits) => ({
  baseUrl: baseUrl.replace(/\/+$/, ''),
  userAgent: 'castellan',
  request: { fetch: boundedFetch(limits) },
  retry: { enabled: false },
  throttle: { enabled: false },
  log: { debug: silent, info: silent, warn: silent, error: silent },
});

/** Makes the {@link GithubApp}. A token is asked for one repository only, and kept for as long as it is good. */
export function makeGithubApp(deps: {
  readonly app: DeclaredApp;
  readonly baseUrl: string;
  readonly nowMs: () => number;
  readonly limits: GithubLimits;
}): GithubApp {
  const { app, nowMs, limits } = deps;
  const options = githubOptions(deps.baseUrl, limits);
  const tenantsOf = new Map(app.owners.map(({ owner, tenants }) => [owner.toLowerCase(), new Set(tenants)]));
  let opening: Promise<{ readonly asApp: Octokit; readonly Library: typeof Octokit }> | null = null;

  async function open(): Promise<{ readonly asApp: Octokit; readonly Library: typeof Octokit }> {
    const { App, Octokit: Library } = await import('octokit');
    const { octokit } = new App({ appId: app.id, privateKey: app.privateKey, Octokit: Library.defaults(options), log: options.log });
    return { asApp: octokit, Library };
  }

  const isAllowed = ({ tenantId, repo }: RepositoryOf): boolean =>
    tenantsOf.get((repo.split('/', 1)[0] ?? '').toLowerCase())?.has(tenantId) === true;

  /** Installations whose token GitHub did not take: the next one is asked for anew. */
  const stale = new Set<number>();

  async function questionsOf(installationId: number, name: string, signal: AbortSignal): Promise<GithubQuestions> {
    const { asApp, Library } = await (opening ??= open());
    let token: unknown = null;
    // The library asks for a token on a way of its own; what goes wrong there is read as everything else.
    const request = async () => {
      const refresh = stale.delete(installationId);
      ({ token } = (await asApp.auth({ type: 'installation', installationId, repositoryNames: [name], refresh })) as { token: unknown });
      return { status: 201, headers: {}, data: {} };
    };
    const { ask } = makeAskGithub({ octokit: { request: request as unknown as Octokit['request'] }, signal, nowMs, credential: 'App' });
    await ask(TOKEN_ROUTE, {});
    if (token === null) throw closed(TOKEN_ROUTE);
    if (typeof token !== 'string') {
      // The library keeps what it was given.
      stale.add(installationId);
      throw githubFault(TOKEN_ROUTE, { message: 'no token', publicMessage: UNREADABLE });
    }
    const octokit = new Library({ ...options, auth: token });
    return makeAskGithub({ octokit, signal, nowMs, credential: 'App', onRefused: () => void stale.add(installationId) });
  }

  return {
    installation: async (of, signal) => {
      if (!isAllowed(of)) return { connection: 'not_allowed' };
      const [owner = '', name = ''] = of.repo.split('/');
      const { asApp } = await (opening ??= open());
      const { ask } = makeAskGithub({ octokit: asApp, signal, nowMs, credential: 'App' });
      const found = await ask(INSTALLATION_ROUTE, { owner, repo: name });
      // Only where GitHub says that there is none, there is none: containers are disconnected by that.
      if (found === MISSING) return { connection: 'not_installed' };
      if (found === FORBIDDEN) throw closed(INSTALLATION_ROUTE);
      const { id } = found;
      if (typeof id !== 'number') throw githubFault(INSTALLATION_ROUTE, { message: 'no id', publicMessage: UNREADABLE });
      if (typeof found['suspended_at'] === 'string') return { connection: 'suspended' };
      const permissions = (found['permissions'] ?? {}) as { readonly contents?: unknown };
      return {
        connection: 'connected',
        mayWrite: permissions.contents === 'write',
        questions: () => questionsOf(id, name, signal),
      };
    },
  };
}
