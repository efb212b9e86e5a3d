import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { waitUntil } from './wait-until.ts';

const CADDYFILE = resolve(import.meta.dirname, '../../deploy/Caddyfile');
const START_MS = 30_000;

/** A real Caddy with the Caddyfile of this project and an authority of its own. */
export interface TestCaddy {
  readonly httpsPort: number;
  /** The certificate of its authority. */
  readonly ca: string;
  stop(): Promise<void>;
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => void server.close(done));
  return port;
}

/** Starts a {@link TestCaddy} before an ingress. `ask` is where it asks, `ingress` is `address:port`. */
export async function startCaddy(options: { readonly ask: string; readonly ingress: string }): Promise<TestCaddy> {
  const folder = mkdtempSync(join(tmpdir(), 'castellan-caddy-'));
  const httpsPort = await freePort();
  const child = spawn('caddy', ['run', '--config', CADDYFILE, '--adapter', 'caddyfile'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      ...process.env,
      HOME: folder,
      XDG_DATA_HOME: folder,
      XDG_CONFIG_HOME: folder,
      CASTELLAN_ASK: options.ask,
      CASTELLAN_INGRESS: options.ingress,
      CASTELLAN_HTTPS_PORT: String(httpsPort),
      CASTELLAN_HTTP_PORT: String(await freePort()),
      CASTELLAN_TLS_ISSUER: 'internal',
    },
  });
  let told = '';
  child.stderr.on('data', (chunk) => (told += String(chunk)));
  const ended = once(child, 'close');
  const root = join(folder, 'caddy/pki/authorities/local/root.crt');
  await waitUntil(async () => child.exitCode !== null || (existsSync(root) && told.includes('serving initial configuration')), START_MS);
  if (child.exitCode !== null) throw new Error(`caddy ended: ${told}`);
  return {
    httpsPort,
    ca: readFileSync(root, 'utf8'),
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
