import { createHash, createHmac, createVerify, generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A release as a test says it. */
export interface TestRelease {
  readonly tag: string;
  readonly config?: string;
  readonly prerelease?: boolean;
  readonly draft?: boolean;
  readonly publishedAt?: string;
  readonly assets?: readonly { readonly name: string; readonly state: string }[];
}

/** A repository with its releases, the newest last. `isPrivate`: only an installation sees it. */
export interface TestRepository {
  isPrivate: boolean;
  readonly releases: TestRelease[];
  latest: string | null;
  /** Null: the App is not installed for it. */
  installation: { readonly id: number; contents: 'read' | 'write'; suspendedAt: string | null } | null;
}

/** What goes wrong with requests: a status with headers, an answer that does not come, a connection that ends. */
export type GithubFault =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  | 'hang'
  | 'cut';

/** A server on loopback that answers in GitHub's form, as far as the program asks, Apps included. */
export interface GithubServer {
  readonly url: string;
  readonly appId: string;
  /** In PKCS#1, as GitHub gives it. */
  readonly privateKey: string;
  /** By full name. */
  readonly repositories: Map<string, TestRepository>;
  /** Every request so far, such as `GET /repos/acme/app/releases`, with who asked: `app`, `installation <id>`, `token`, `nobody`. */
  readonly asked: { readonly line: string; readonly as: string; readonly status: number }[];
  /** Lets the next requests whose line matches go wrong, one each. */
  fail(pattern: RegExp, ...faults: readonly GithubFault[]): void;
  /** Takes back every token of installations. */
  revokeTokens(): void;
  close(): Promise<void>;
}

const APP_ID = '4711';
const JWT_CLOCK_S = 90;

type Answer = readonly [status: number, body: object, headers?: Readonly<Record<string, string>>];

const NOT_FOUND: Answer = [404, { message: 'Not Found', documentation_url: 'https://docs.example', status: '404' }];
const shaOf = (text: string): string => createHash('sha1').update(text).digest('hex');

/** Makes a repository. */
export const repositoryOf = (over: Partial<TestRepository> = {}): TestRepository => ({
  isPrivate: false,
  releases: [],
  latest: null,
  installation: { id: 99, contents: 'write', suspendedAt: null },
  ...over,
});

/** A release as GitHub shows it. */
const shown = (repo: string, { tag, prerelease = false, draft = false, publishedAt, assets = [] }: TestRelease): object => ({
  id: Number.parseInt(shaOf(`${repo} ${tag}`).slice(0, 8), 16),
  tag_name: tag,
  draft,
  prerelease,
  created_at: '2026-01-01T00:00:00Z',
  published_at: draft ? null : (publishedAt ?? '2026-01-01T00:00:00Z'),
  assets,
});

/** Starts the server. GitHub's own bodies have many more fields; these are those of its documents that matter here. */
export async function startGithubServer(): Promise<GithubServer> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  const repositories: GithubServer['repositories'] = new Map();
  const asked: { line: string; as: string; status: number }[] = [];
  const faults: { readonly pattern: RegExp; readonly left: GithubFault[] }[] = [];
  /** What a token of an installation is for. */
  const tokens = new Map<string, { readonly installation: number; readonly names: readonly string[] }>();
  const hanging = new Set<ServerResponse>();

  function isApp(jwt: string): boolean {
    const [head = '', payload = '', signature = ''] = jwt.split('.');
    const isSigned = createVerify('RSA-SHA256').update(`${head}.${payload}`).verify(publicKey, signature, 'base64url');
    if (!isSigned) return false;
    const { iss, iat, exp } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { iss: unknown; iat: number; exp: number };
    const nowS = Date.now() / 1000;
    return String(iss) === APP_ID && iat <= nowS + JWT_CLOCK_S && exp > nowS && exp - iat <= 660;
  }

  /** Who asks; null where the credential is none of ours. */
  function who({ authorization = '' }: IncomingMessage['headers']): { readonly as: string; readonly token: string } | null {
    if (authorization === '') return { as: 'nobody', token: '' };
    const [, token = ''] = authorization.split(' ');
    if (token.startsWith('github_pat_')) return { as: 'token', token };
    const known = tokens.get(token);
    if (known !== undefined) return { as: `installation ${known.installation}`, token };
    return token.split('.').length === 3 && isApp(token) ? { as: 'app', token } : null;
  }

  function tokenFor(installationId: number, body: string): Answer {
    const names = (JSON.parse(body) as { repositories?: string[] }).repositories ?? [];
    const found = [...repositories.values()].find(({ installation }) => installation?.id === installationId);
    if (found === undefined || found.installation === null) return NOT_FOUND;
    if (found.installation.suspendedAt !== null) return [403, { message: 'This installation has been suspended' }];
    const token = `ghs_${randomUUID()}`;
    tokens.set(token, { installation: installationId, names });
    const expires = new Date(Date.now() + 3_600_000).toISOString();
    return [201, { token, expires_at: expires, permissions: { contents: found.installation.contents }, repository_selection: 'selected' }];
  }

  function ofRepository(method: string, repo: string, rest: string, asker: { as: string; token: string }, body: string): Answer {
    const repository = repositories.get(repo);
    if (repository === undefined) return NOT_FOUND;
    if (rest === '/installation') {
      if (asker.as !== 'app' || repository.installation === null) return NOT_FOUND;
      const { id, contents, suspendedAt } = repository.installation;
      return [200, { id, suspended_at: suspendedAt, permissions: { contents, metadata: 'read' } }];
    }
    const grant = tokens.get(asker.token);
    const isInstalled = grant?.installation === repository.installation?.id && grant?.names.includes(repo.split('/')[1] ?? '') === true;
    if (repository.isPrivate && !isInstalled) return NOT_FOUND;
    if (rest === '') return [200, { full_name: repo }];
    const seen = repository.releases.filter(({ draft }) => draft !== true || isInstalled).toReversed();
    if (rest === '/releases') {
      const list = seen.map((release) => shown(repo, release));
      return [200, list, { etag: `"${shaOf(JSON.stringify(list))}"` }];
    }
    const byTag = (tag: string): TestRelease | undefined => repository.releases.find((release) => release.tag === tag);
    if (rest === '/releases/latest') {
      const latest = byTag(repository.latest ?? '');
      return latest === undefined ? NOT_FOUND : [200, shown(repo, latest)];
    }
    const [, tag] = /^\/releases\/tags\/(.+)$/.exec(rest) ?? [];
    if (tag !== undefined) {
      const release = byTag(decodeURIComponent(tag));
      return release === undefined || release.draft === true ? NOT_FOUND : [200, shown(repo, release)];
    }
    if (method === 'PATCH' && rest.startsWith('/releases/')) {
      if (!isInstalled || repository.installation?.contents !== 'write')
        return [403, { message: 'Resource not accessible by integration' }];
      const release = repository.releases.find((known) => rest === `/releases/${(shown(repo, known) as { id: number }).id}`);
      if (release === undefined) return NOT_FOUND;
      if (release.prerelease === true) return [422, { message: 'Validation Failed' }];
      if ((JSON.parse(body) as { make_latest?: unknown }).make_latest === 'true') repository.latest = release.tag;
      return [200, shown(repo, release)];
    }
    const [, ref] = /^\/git\/ref\/tags%2F(.+)$/.exec(rest) ?? [];
    if (ref !== undefined) {
      const found = byTag(decodeURIComponent(ref));
      return found === undefined ? NOT_FOUND : [200, { object: { type: 'commit', sha: shaOf(`${repo} ${found.tag}`) } }];
    }
    const [, commit] = /^\/contents\/tinfoil-config\.yml\?ref=([0-9a-f]{40})$/.exec(rest) ?? [];
    const of = repository.releases.find((release) => shaOf(`${repo} ${release.tag}`) === commit);
    if (of?.config === undefined) return NOT_FOUND;
    const content = Buffer.from(of.config).toString('base64');
    return [200, { type: 'file', encoding: 'base64', size: of.config.length, sha: shaOf(of.config), content }];
  }

  function answer(method: string, url: string, asker: { as: string; token: string }, body: string): Answer {
    const [, installation] = /^\/app\/installations\/(\d+)\/access_tokens$/.exec(url) ?? [];
    if (installation !== undefined)
      return asker.as === 'app' ? tokenFor(Number(installation), body) : [401, { message: 'a JWT is needed' }];
    const [, repo, rest] = /^\/repos\/([^/]+\/[^/?]+)(.*)$/.exec(url) ?? [];
    return repo === undefined ? NOT_FOUND : ofRepository(method, repo, (rest ?? '').replace('?per_page=100', ''), asker, body);
  }

  function handle(request: IncomingMessage, response: ServerResponse, body: string): void {
    const { method = '', url = '' } = request;
    const line = `${method} ${url}`;
    const fault = faults.find(({ pattern, left }) => left.length > 0 && pattern.test(line))?.left.shift();
    const asker = who(request.headers);
    const note = (status: number): void => void asked.push({ line, as: asker?.as ?? 'a stranger', status });
    if (fault === 'hang') return void (note(0), hanging.add(response));
    if (fault === 'cut') return void (note(0), response.destroy());
    const [status, answered, headers] =
      fault !== undefined
        ? ([fault.status, { message: 'no' }, fault.headers ?? {}] as const)
        : asker === null
          ? ([401, { message: 'Bad credentials' }, {}] as const)
          : answer(method, url, asker, body);
    const isSame = headers?.['etag'] !== undefined && request.headers['if-none-match'] === headers['etag'];
    note(isSame ? 304 : status);
    response.writeHead(isSame ? 304 : status, { 'content-type': 'application/json; charset=utf-8', ...headers });
    const text = fault !== undefined && fault.body !== undefined ? fault.body : JSON.stringify(answered);
    response.end(isSame ? undefined : text);
  }

  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => handle(request, response, body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    appId: APP_ID,
    privateKey,
    repositories,
    asked,
    fail: (pattern, ...left) => void faults.push({ pattern, left: [...left] }),
    revokeTokens: () => tokens.clear(),
    close: () =>
      new Promise((resolve) => {
        for (const response of hanging) response.destroy();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A webhook as GitHub sends it, signed with `secret`. */
export function signedHook(
  event: string,
  payload: unknown,
  secret: string,
): { readonly body: string; readonly headers: Readonly<Record<string, string>> } {
  const body = typeof payload === 'string' ? payload : JSON.stringify(payload);
  return {
    body,
    headers: {
      'content-type': 'application/json',
      'x-github-event': event,
      'x-github-delivery': randomUUID(),
      'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
    },
  };
}

/** The payload of a release that was published at that time. */
export const publishedHook = (repo: string, tag: string, at: string, action = 'published'): object => ({
  action,
  release: { id: 1, tag_name: tag, draft: false, prerelease: false, created_at: at, published_at: at },
  repository: { id: 1, full_name: repo },
  installation: { id: 99 },
});
