import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { endChild, freePort, ROOT, temporaryFolder, type Started } from './processes.ts';

/** A running Castellan with a key whose token cap, money budget and tenant budget all govern its calls. */
export interface StartedCastellan extends Started {
  readonly adminPort: number;
  readonly folder: string;
  readonly key: string;
  readonly operatorKey: string;
  readonly adminKey: string;
  /** Starts it again on the same folder and ports, once it has stopped. */
  restart(): Promise<StartedCastellan>;
}

const declared = (upstreamPort: number): string => `
upstreams:
  - { id: bench, base_url: "http://127.0.0.1:${upstreamPort}/v1", api_key: upstream-key }
  - { id: enclave, sealed: { enclave_urls: ["http://127.0.0.1:${upstreamPort}"], max_output_tokens: 64 } }
models:
  - { id: sealed, upstreams: [{ id: enclave, model: bench, price: { input_per_1m: 0.15, output_per_1m: 0.60 } }] }
  - id: bench
    upstreams: [{ id: bench, model: bench, price: { input_per_1m: 0.15, output_per_1m: 0.60 } }]
    context_tokens: 131072
    max_output_tokens: 32768
    default_output_tokens: 64
    tokenizer: o200k_base
tenants: [{ id: default, money_budget_usd: 1000000 }]
`;

/** Whether a server on `port` answers its health check. */
export async function answers(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/health`)).status === 200;
  } catch {
    return false;
  }
}

/** Sends JSON to the control plane and returns the parsed answer; throws where the status is not 2xx. */
export async function callApi(
  url: string,
  headers: Record<string, string>,
  options: { method?: string; body?: unknown } = {},
): Promise<unknown> {
  const init: RequestInit = { method: options.method ?? 'GET', headers: { ...headers } };
  if (options.body !== undefined) {
    init.body = JSON.stringify(options.body);
    init.headers = { ...headers, 'content-type': 'application/json' };
  }
  const answer = await fetch(url, init);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${init.method} ${url}: ${answer.status} ${text}`);
  return JSON.parse(text) as unknown;
}

interface Launched {
  readonly pid: number;
  stop(): Promise<void>;
}

async function launch(env: NodeJS.ProcessEnv, port: number): Promise<Launched> {
  // Logs go where an operator would send them: to a file, not to a terminal that somebody must read.
  const log = openSync(path.join(env['CASTELLAN_DATA_DIR'] ?? ROOT, '..', 'server.log'), 'a');
  // As `npm start` does.
  const child = spawn(
    process.execPath,
    ['--max-semi-space-size=8', path.join(ROOT, 'tools/launch.cjs'), path.join(ROOT, 'src/server/main.ts')],
    {
      env,
      stdio: ['ignore', log, log],
    },
  );
  closeSync(log);
  process.once('exit', () => child.kill('SIGKILL'));
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return { pid: child.pid ?? 0, stop: () => endChild(child) };
}

/** Starts a fresh server on an empty folder (or `databaseUrl`) in front of a model server, and makes the bench's key. */
export async function startCastellan(options: { upstreamPort: number; databaseUrl?: string }): Promise<StartedCastellan> {
  const folder = temporaryFolder('server');
  const config = path.join(folder, 'castellan.yaml');
  writeFileSync(config, declared(options.upstreamPort));
  const [port, adminPort, ingressPort, sshPort] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    CASTELLAN_DATA_DIR: path.join(folder, 'data'),
    CASTELLAN_CONFIG: config,
    CASTELLAN_RUNTIME_PORT: String(port),
    CASTELLAN_ADMIN_PORT: String(adminPort),
    CASTELLAN_INGRESS_PORT: String(ingressPort),
    CASTELLAN_SSH_PORT: String(sshPort),
    ...(options.databaseUrl === undefined ? {} : { DATABASE_URL: options.databaseUrl }),
  };
  const first = await launch(env, port);
  const credentials = JSON.parse(readFileSync(path.join(folder, 'data', 'credentials.json'), 'utf8')) as Record<string, string>;
  const operatorKey = credentials['operator_key'] ?? '';
  const adminKey = credentials['admin_key'] ?? '';
  const base = `http://127.0.0.1:${adminPort}`;
  const bearer = { authorization: `Bearer ${adminKey}` };
  const made = (await callApi(`${base}/api/keys`, bearer, { method: 'POST', body: { name: 'bench', max_tokens: 4_000_000_000_000 } })) as {
    key: string;
    id: string;
  };
  await callApi(
    `${base}/v1/x-castellan/keys/${made.id}`,
    { 'x-admin-api-key': operatorKey },
    { method: 'PATCH', body: { money_budget_usd: 1_000_000 } },
  );
  const running = (launched: Launched): StartedCastellan => ({
    ...launched,
    port,
    adminPort,
    folder,
    key: made.key,
    operatorKey,
    adminKey,
    restart: async () => running(await launch(env, port)),
  });
  return running(first);
}
