import { execFileSync } from 'node:child_process';
import { request } from 'node:http';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDockerEngine, startSecondEngine, type TestEngine } from './docker-engine.ts';
import { startDockerRegistry, type TestRegistry } from './docker-registry.ts';
import { startServer, type TestServer } from './server-process.ts';
import { waitUntil } from './wait-until.ts';

/** A container as the API shows it. */
export interface ShownContainer {
  readonly id: string;
  readonly status: string;
  readonly domain: string;
  readonly current_tag: string;
  readonly update_tag: string | null;
  readonly update_status: string | null;
  readonly error_message: string | null;
  readonly [name: string]: unknown;
}

/** An answer of the API. */
export interface Answer<T = ShownContainer> {
  readonly status: number;
  readonly body: T;
}

/** A server with a real Docker engine, an image registry and git repositories: everything that containers need. */
export interface ContainerStage {
  readonly engine: TestEngine;
  readonly registry: TestRegistry;
  readonly server: TestServer;
  /** Sends a request of the Tinfoil Admin API. */
  api<T = ShownContainer>(method: string, path: string, body?: unknown): Promise<Answer<T>>;
  /** Puts a commit with that configuration into a repository of `acme`, and a tag on it. */
  release(repo: string, tag: string, config: string): void;
  /** An image that serves `page` over HTTP on port 80, by its digest. */
  page(page: string): Promise<string>;
  /** Waits until a container is as wanted; throws with how it is where it is not in time. */
  until(id: string, wanted: (container: ShownContainer) => boolean): Promise<ShownContainer>;
  /** What of this installation stands on the engine: names of containers, networks and volumes, and images. */
  left(): Promise<{ readonly containers: string[]; readonly networks: string[]; readonly volumes: string[]; readonly images: string[] }>;
  /** What a container wrote, a JSON text a line. */
  logs(id: string): Promise<string>;
  /** Asks a container for a page through the ingress, by its host. */
  visit(host: string, path?: string): Promise<{ readonly status: number; readonly text: string }>;
  stop(): Promise<void>;
}

const AUTHOR = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@example.com', GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@example.com' };
const WAIT_MS = 20_000;

/** What containers need beside a server: a real engine, a registry of images, and git repositories of `acme`. */
export interface ContainerParts extends Pick<ContainerStage, 'engine' | 'registry' | 'release' | 'page'> {
  /** The configuration of a server that uses them. */
  readonly config: string;
  stop(): Promise<void>;
}

/** With `isPrivate` the registry asks for a name and a password; with `isOwn` nobody else uses the engine. */
interface PartOptions {
  readonly isPrivate?: boolean;
  readonly isOwn?: boolean;
  /** What else the section of sources says. */
  readonly sources?: string;
}

/** Starts the {@link ContainerParts}. `containers` are settings of that section. */
export async function startContainerParts(containers?: string, options: PartOptions = {}): Promise<ContainerParts> {
  const folder = mkdtempSync(join(tmpdir(), 'castellan-stage-'));
  const engine = await (options.isOwn === true ? startSecondEngine() : startDockerEngine());
  const registry = await startDockerRegistry({ address: engine.testAddress, password: options.isPrivate ?? false });
  const git = (cwd: string, ...args: string[]): string =>
    execFileSync('git', args, { cwd, encoding: 'utf8', env: { ...process.env, ...AUTHOR }, stdio: ['ignore', 'pipe', 'ignore'] });
  return {
    engine,
    registry,
    config: `
hosts: [{ name: here, docker: "${engine.docker}", address: ${engine.address}, default: true, firewall: { via: ${JSON.stringify(engine.via)} } }]
sources: { git: [{ owner: acme, base_url: "file://${folder}" }]${options.sources === undefined ? '' : `, ${options.sources}`} }
registries: { ghcr: "${registry.host}" }
containers: { ready_timeout_ms: 5000${containers === undefined ? '' : `, ${containers}`} }
`,
    release: (repo, tag, config) => {
      const path = join(folder, repo);
      mkdirSync(path, { recursive: true });
      git(path, 'init', '--quiet');
      writeFileSync(join(path, 'tinfoil-config.yml'), config);
      git(path, 'add', '--all');
      git(path, 'commit', '--quiet', '--allow-empty', '--message', tag);
      git(path, 'tag', tag);
    },
    page: async (page) => {
      const { address } = await registry.push({
        name: 'acme/page',
        command: ['/bin/busybox', 'httpd', '-f', '-p', '80', '-h', '/srv'],
        files: { '/srv/index.html': page },
      });
      return address.replace(registry.host, 'ghcr.io');
    },
    stop: async () => {
      await registry.stop();
      await engine.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A configuration of one container that serves on port 80. `more` are lines of its section. */
export const pageConfig = (image: string, more: readonly string[] = []): string => `
cvm-version: 0.0.1
cpus: 1
memory: 64
containers:
  - name: web
    image: "${image}"
    cap_add: [NET_BIND_SERVICE]
    stop_timeout: 1s
${more.map((line) => `    ${line}\n`).join('')}shim:
  upstream-port: 80
`;

/** Starts a {@link ContainerStage}. `containers` are settings of that section; `isPrivate` as in {@link PartOptions}. */
export async function startContainerStage(
  options: {
    readonly containers?: string;
    readonly isPrivate?: boolean;
    readonly env?: Readonly<Record<string, string>>;
    /** More sections of the configuration file. */
    readonly sections?: string;
    readonly sources?: string;
  } = {},
): Promise<ContainerStage> {
  const parts = await startContainerParts(options.containers, { ...options, isOwn: true });
  const { engine } = parts;
  const server = await startServer({
    store: { kind: 'sqlite' },
    ...(options.env === undefined ? {} : { env: options.env }),
    config: parts.config + (options.sections ?? ''),
  });

  const api = async <T>(method: string, path: string, body?: unknown): Promise<Answer<T>> => {
    const answer = await fetch(`${server.admin}/api${path}`, {
      method,
      headers: {
        authorization: `Bearer ${server.credentials().admin_key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: (text === '' ? null : JSON.parse(text)) as T };
  };

  const asked = (path: string): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const sent = request({ socketPath: engine.socket, path }, (answer) => {
        let text = '';
        answer.on('data', (chunk) => (text += String(chunk)));
        answer.on('end', () => resolve(JSON.parse(text)));
      });
      sent.on('error', reject);
      sent.end();
    });
  const ours = `filters=${encodeURIComponent(JSON.stringify({ label: ['io.castellan.installation'] }))}`;

  return {
    engine,
    registry: parts.registry,
    release: parts.release,
    page: parts.page,
    server,
    api,
    until: async (id, wanted) => {
      let last: ShownContainer | undefined;
      await waitUntil(async () => {
        last = (await api<ShownContainer>('GET', `/containers/${id}`)).body;
        return wanted(last);
      }, WAIT_MS).catch(() => {
        throw new Error(`the container is not as it should be: ${JSON.stringify(last)}`);
      });
      if (last === undefined) throw new Error(`nobody looked at the container ${id}`);
      return last;
    },
    left: async () => {
      const containers = (await asked(`/containers/json?all=1&${ours}`)) as { Names: string[] }[];
      const networks = (await asked(`/networks?${ours}`)) as { Name: string }[];
      const volumes = (await asked(`/volumes?${ours}`)) as { Volumes: { Name: string }[] | null };
      const images = (await asked('/images/json?all=1')) as { Id: string }[];
      return {
        containers: containers.flatMap(({ Names }) => Names),
        networks: networks.map(({ Name }) => Name),
        volumes: (volumes.Volumes ?? []).map(({ Name }) => Name),
        images: images.map(({ Id }) => Id),
      };
    },
    logs: async (id) => {
      const headers = { authorization: `Bearer ${server.credentials().admin_key}` };
      return (await fetch(`${server.admin}/api/containers/${id}/logs`, { headers })).text();
    },
    visit: (host, path = '/') =>
      new Promise((resolve, reject) => {
        const { hostname, port } = new URL(server.ingress);
        const asked = request({ hostname, port, path, agent: false, headers: { host } }, (answer) => {
          let text = '';
          answer.on('data', (chunk) => (text += String(chunk)));
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
          answer.on('error', reject);
        });
        asked.on('error', reject);
        asked.end();
      }),
    stop: async () => {
      await server.dispose();
      await parts.stop();
    },
  };
}
