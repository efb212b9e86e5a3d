import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { startTied } from './tied-process.ts';

/** Debian's image registry, with a folder of its own. */
export interface TestRegistry {
  /** As images name it: `host:port`. */
  readonly host: string;
  /** The name and password that it asks for; null for none. */
  readonly auth: { readonly username: string; readonly password: string } | null;
  /** Puts an image there and returns its address by digest. */
  push(image: TestImage): Promise<PushedImage>;
  stop(): Promise<void>;
}

/** An image of one static program. */
export interface TestImage {
  /** Its path at the registry, such as `acme/web`. */
  readonly name: string;
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly env?: readonly string[];
  /** Text files beside the program, by absolute path. */
  readonly files?: Readonly<Record<string, string>>;
  readonly healthcheck?: { readonly Test: readonly string[]; readonly Interval?: number };
}

export interface PushedImage {
  /** `host:port/name@sha256:...`. */
  readonly address: string;
  readonly digest: string;
}

const BUSYBOX = ['/bin/busybox', '/usr/bin/busybox'];
const MANIFEST_TYPE = 'application/vnd.docker.distribution.manifest.v2+json';
const BLOCK = 512;

const sha256 = (bytes: Buffer | string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

function tarEntry(
  name: string,
  content: Buffer,
  { mode, link, folder = false }: { mode: number; link?: string; folder?: boolean },
): Buffer {
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, '0')}\0`;
  header.write(name, 0, 100);
  header.write(octal(mode, 8), 100);
  header.write(octal(0, 8), 108);
  header.write(octal(0, 8), 116);
  header.write(octal(content.length, 12), 124);
  header.write(octal(0, 12), 136);
  header.write(`        ${folder ? '5' : link === undefined ? '0' : '2'}${link ?? ''}`, 148);
  header.write('ustar\x0000', 257);
  header.write(
    `${octal(
      header.reduce((sum, byte) => sum + byte, 0),
      7,
    )} `,
    148,
  );
  return Buffer.concat([header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}

/** One layer: a static busybox under the names of its programs, a folder for passing files, and the files that are given. */
function layerOf(files: Readonly<Record<string, string>>): Buffer {
  const path = BUSYBOX.find((candidate) => spawnSync(candidate, ['true']).status === 0);
  if (path === undefined) throw new Error('No static busybox is installed: `apt-get install busybox-static` brings one.');
  const programs = spawnSync(path, ['--list'], { encoding: 'utf8' }).stdout.trim().split('\n');
  const folders = ['bin/', 'etc/', 'tmp/', 'srv/'].map((name) =>
    tarEntry(name, Buffer.alloc(0), { mode: name === 'tmp/' ? 0o1777 : 0o755, folder: true }),
  );
  const links = programs
    .filter((name) => name !== 'busybox')
    .map((name) => tarEntry(`bin/${name}`, Buffer.alloc(0), { mode: 0o777, link: 'busybox' }));
  const texts = Object.entries({ '/etc/passwd': 'root:x:0:0::/:/bin/sh\nweb:x:1000:1000::/:/bin/sh\n', ...files }).map(([name, text]) =>
    tarEntry(name.slice(1), Buffer.from(text), { mode: 0o755 }),
  );
  return Buffer.concat([
    ...folders,
    tarEntry('bin/busybox', readFileSync(path), { mode: 0o755 }),
    ...links,
    ...texts,
    Buffer.alloc(2 * BLOCK),
  ]);
}

async function freePort(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The hash of `password` as the registry reads it (bcrypt); it is of no other password, so it need not be made anew. */
const PASSWORD = 'correct horse';
const HTPASSWD = 'robot:$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n';

/**
 * Starts a registry on an address of the test, such as an engine's `testAddress`. With `password` it asks for a name and a password.
 */
export async function startDockerRegistry(options: { readonly address: string; readonly password?: boolean }): Promise<TestRegistry> {
  const folder = mkdtempSync(join(tmpdir(), 'castellan-registry-'));
  const port = await freePort(options.address);
  const host = `${options.address}:${port}`;
  const auth = options.password === true ? { username: 'robot', password: PASSWORD } : null;
  writeFileSync(join(folder, 'htpasswd'), HTPASSWD);
  writeFileSync(
    join(folder, 'config.yml'),
    [
      'version: 0.1',
      'log: { level: error, accesslog: { disabled: true } }',
      `storage: { filesystem: { rootdirectory: ${join(folder, 'data')} }, delete: { enabled: true } }`,
      `http: { addr: '${host}' }`,
      ...(auth === null ? [] : [`auth: { htpasswd: { realm: test, path: ${join(folder, 'htpasswd')} } }`]),
    ].join('\n'),
  );
  const log = openSync(join(folder, 'log'), 'a');
  const server = startTied(['docker-registry', 'serve', join(folder, 'config.yml')], log);
  closeSync(log);
  const headers = auth === null ? {} : { authorization: `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}` };
  const stop = async (): Promise<void> => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  for (const deadlineMs = Date.now() + 10_000; ;) {
    const answer = await fetch(`http://${host}/v2/`, { headers }).catch(() => null);
    if (answer?.ok === true) break;
    if (server.hasEnded() || Date.now() > deadlineMs) {
      const said = readFileSync(join(folder, 'log'), 'utf8');
      await stop();
      throw new Error(`The image registry (Debian's docker-registry) did not start: ${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { host, auth, push: (image) => push(image, host, headers), stop };
}

async function push(image: TestImage, host: string, headers: Record<string, string>): Promise<PushedImage> {
  const base = `http://${host}/v2/${image.name}`;
  const put = async (url: string, bytes: Buffer, type: string): Promise<void> => {
    const answer = await fetch(url, { method: 'PUT', body: new Uint8Array(bytes), headers: { ...headers, 'content-type': type } });
    if (answer.status !== 201) throw new Error(`PUT ${url}: ${answer.status} ${await answer.text()}`);
  };
  const blob = async (bytes: Buffer): Promise<{ size: number; digest: string }> => {
    const begun = await fetch(`${base}/blobs/uploads/`, { method: 'POST', headers });
    const to = new URL(begun.headers.get('location') ?? '', base);
    to.searchParams.set('digest', sha256(bytes));
    await put(String(to), bytes, 'application/octet-stream');
    return { size: bytes.length, digest: sha256(bytes) };
  };
  const layer = layerOf(image.files ?? {});
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      config: {
        Env: ['PATH=/bin', ...(image.env ?? [])],
        Cmd: image.command ?? null,
        Entrypoint: image.entrypoint ?? null,
        ...(image.healthcheck === undefined ? {} : { Healthcheck: image.healthcheck }),
      },
      rootfs: { type: 'layers', diff_ids: [sha256(layer)] },
      history: [{ created: '2026-01-01T00:00:00Z', created_by: 'test' }],
    }),
  );
  const layerBlob = await blob(gzipSync(layer, { level: 1 }));
  const configBlob = await blob(config);
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: { mediaType: 'application/vnd.docker.container.image.v1+json', ...configBlob },
      layers: [{ mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip', ...layerBlob }],
    }),
  );
  await put(`${base}/manifests/latest`, manifest, MANIFEST_TYPE);
  const digest = sha256(manifest);
  return { address: `${host}/${image.name}@${digest}`, digest };
}
